/** Clients that mean harm, or go wrong: each gets its protocol's own error, and the others do not notice. */

import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { httpDoor } from "../../../tools/serve/http/door.ts";
import { randomModel } from "../../fixtures/random-model.ts";
import { temporaryFile } from "../../fixtures/temporary.ts";
import { type Served, serve } from "../serving.ts";

const model = temporaryFile("talker.gguf", randomModel({ layers: 2, hiddenSize: 128, contextLength: 1024, peaked: 5 }));
const chat = (content: unknown, more: object = {}) => ({
  model: "talker",
  messages: [{ role: "user", content }],
  ...more,
});
/** An answer that takes longer than any test. */
const endless = { max_tokens: 900, grammar: "root ::= [a-z ]*" };

let served: Served;
let keyed: Served;

beforeAll(async () => {
  const load = { contextLength: 1024, parallel: 2, queue: 4 };
  served = await serve(httpDoor, { model, load, settings: { "max-body": 0.1 } });
  keyed = await serve(httpDoor, {
    keys: ["first key", "second"],
    settings: { "allow-origin": ["https://app.example"] },
  });
});

afterAll(async () => {
  await served?.[Symbol.asyncDispose]();
  await keyed?.[Symbol.asyncDispose]();
});

async function post(path: string, body: unknown, init: RequestInit = {}) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const response = await fetch(`${served.url}${path}`, { method: "POST", body: text, ...init });
  return { status: response.status, body: await response.json() };
}

/** A request with headers that fetch does not allow. */
async function raw(port: number, path: string, headers: Record<string, string>) {
  const request = http.request({ port, path, headers, setHost: false });
  request.end();
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  response.resume();
  return { status: response.statusCode, headers: response.headers };
}

const alive = async () => expect((await fetch(`${served.url}/health`)).status).toBe(200);
const busy = async () => (await (await served.serving.backend.talk!.phi()).status()).running;

describe("bodies", () => {
  it.each([
    ["no JSON", "{", "invalid_json"],
    ["nothing", "", "invalid_json"],
    ["a list", "[]", "invalid_value"],
    ["a text", '"x"', "invalid_value"],
    ["null", "null", "invalid_value"],
    ["depth", `{"messages":${"[".repeat(20_000)}${"]".repeat(20_000)}}`, "invalid_json"],
    ["a huge number", JSON.stringify(chat("x", { max_tokens: 1e300 })), "invalid_value"],
    ["a negative one", JSON.stringify(chat("x", { top_p: -1 })), "invalid_value"],
    ["another type", JSON.stringify(chat(7)), "invalid_value"],
    ["an image", JSON.stringify(chat([{ type: "image_url", image_url: {} }])), "invalid_value"],
  ])("%s: refused", async (_, body, code) => {
    expect(await post("/v1/chat/completions", body)).toMatchObject({ status: 400, body: { error: { code } } });
  });

  it("too long, with or without their length: 413", async () => {
    const long = JSON.stringify(chat("x".repeat(200_000)));
    expect(await post("/v1/chat/completions", long)).toMatchObject({
      status: 413,
      body: { error: { code: "body_too_large" } },
    });
    const request = http.request({ port: served.port, path: "/api/chat", method: "POST" });
    const answered = once(request, "response");
    request.on("error", () => undefined);
    for (let i = 0; i < 4; i++) request.write(long);
    request.end();
    expect(((await answered) as [http.IncomingMessage])[0].statusCode).toBe(413);
    await alive();
  });

  it("NUL, lone surrogates and control tokens' names are text", async () => {
    for (const content of ["a\0b", "\ud800 light", "<|endoftext|>", "../../etc/passwd", "\u202e\u200b"]) {
      const answer = await post("/v1/chat/completions", chat(content, { max_tokens: 2 }));
      expect(answer.status).toBe(200);
    }
  });

  it("names of models lead nowhere else", async () => {
    for (const name of ["../talker", "talker/../..", "/etc/passwd", "talker\0", "x".repeat(5000)]) {
      expect((await post("/v1/chat/completions", chat("x", { model: name }))).status).toBe(404);
      expect((await fetch(`${served.url}/v1/models/${encodeURIComponent(name)}`)).status).toBeGreaterThanOrEqual(400);
    }
  });
});

describe("who comes in", () => {
  it("names that are not known, and none, are refused: pages could lead them here", async () => {
    for (const host of ["evil.example", "evil.example:11435", "127.0.0.1.evil.example"]) {
      expect((await raw(served.port, "/v1/models", { host })).status, host).toBe(403);
    }
    expect((await raw(served.port, "/v1/models", {})).status).toBeGreaterThanOrEqual(400);
    for (const host of [`localhost:${served.port}`, "127.0.0.1", "LOCALHOST."]) {
      expect((await raw(served.port, "/v1/models", { host })).status, host).toBe(200);
    }
  });

  it("pages of other origins only where they are allowed, and never all", async () => {
    const host = "localhost";
    const from = (origin: string, port: number) => raw(port, "/health", { host, origin });
    expect((await from("https://app.example", served.port)).status).toBe(403);
    expect((await from("null", served.port)).status).toBe(403);
    const allowed = await from("https://app.example", keyed.port);
    expect([allowed.status, allowed.headers["access-control-allow-origin"]]).toEqual([200, "https://app.example"]);
  });

  it("with one of the keys alone", async () => {
    const ask = (key?: string) =>
      fetch(`${keyed.url}/v1/models`, { headers: key === undefined ? {} : { Authorization: `Bearer ${key}` } });
    for (const wrong of [undefined, "", "first", "first keyx", "second "].slice(0, 4))
      expect((await ask(wrong)).status).toBe(401);
    expect((await ask("first key")).status).toBe(200);
    expect((await ask("second")).status).toBe(200);
    expect((await fetch(`${keyed.url}/metrics`)).status).toBe(401);
    expect((await fetch(`${keyed.url}/health`)).status).toBe(200);
  });
});

describe("clients that leave", () => {
  it.each([true, false])("end their answer at once, also in the queue; streamed: %s", async (stream) => {
    const gone = Array.from({ length: 4 }, () => new AbortController());
    const asked = gone.map(({ signal }) =>
      post("/v1/chat/completions", chat("the light", { ...endless, stream }), { signal }).catch(() => "gone"),
    );
    await expect.poll(busy, { timeout: 10_000 }).toBe(2);
    for (const controller of gone) controller.abort();
    await Promise.all(asked);
    await expect.poll(busy, { timeout: 10_000 }).toBe(0);
    const { status } = await post("/v1/chat/completions", chat("the light", { max_tokens: 2 }));
    expect(status).toBe(200);
  });

  it("beyond the queue: 503, and what was taken is answered", async () => {
    const asked = Array.from({ length: 12 }, () => post("/v1/chat/completions", chat("the light", { max_tokens: 30 })));
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    expect(new Set(statuses)).toEqual(new Set([200, 503]));
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(6);
  });

  it("send half a request, or nothing, and others are served", async () => {
    const sockets = [
      "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Le",
      "",
      "\r\n\r\n",
      "GET / HTTP/9\r\n\r\n",
    ];
    const open = sockets.map((text) => {
      const socket = net.connect(served.port, "127.0.0.1", () => socket.write(text));
      socket.on("error", () => undefined);
      return socket;
    });
    const bad = net.connect(served.port, "127.0.0.1", () => bad.end("\0\0\0 nonsense\r\n\r\n"));
    const [answer] = await once(bad, "data");
    expect(String(answer)).toMatch(/^HTTP\/1\.1 400/);
    await alive();
    for (const socket of open) socket.destroy();
  });
});

it("the end lets an answer that runs come to its end, and takes nothing new", async () => {
  await using ending = await serve(httpDoor, { model, load: { contextLength: 1024 } });
  const body = JSON.stringify(chat("the light", { max_tokens: 60, grammar: "root ::= [a-z ]*" }));
  const running = fetch(`${ending.url}/v1/chat/completions`, { method: "POST", body });
  await expect.poll(async () => (await ending.serving.backend.talk!.loaded!.status()).running).toBe(1);
  const closed = ending.door.close(20_000);
  expect((await (await running).json()).choices[0].finish_reason).toBeDefined();
  await closed;
  await expect(fetch(`${ending.url}/health`)).rejects.toThrow();
});

it("what people said is logged only where that was asked for", async () => {
  await using loud = await serve(httpDoor, { model, settings: { "log-text": true } });
  const body = JSON.stringify(chat("a secret of mine", { max_tokens: 1 }));
  await fetch(`${loud.url}/v1/chat/completions`, { method: "POST", body });
  await post("/v1/chat/completions", chat("a secret of mine", { max_tokens: 1 }));
  expect(JSON.stringify(loud.logged)).toContain("a secret of mine");
  expect(JSON.stringify(served.logged)).not.toContain("secret");
});
