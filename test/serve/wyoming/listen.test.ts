/** The door without a model: a stand-in answers, so that each test says what it needs of it. */

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { PiPhiError } from "../../../runtime/errors.ts";
import { encodeEvent } from "../../../tools/serve/wyoming/framing.ts";
import { History, type Message } from "../../../tools/serve/wyoming/history.ts";
import { addressText, parseAddress } from "../../../tools/serve/wyoming/listen.ts";
import { temporaryPath } from "../../fixtures/temporary.ts";
import { never, serve, TURN_ON } from "../../fixtures/wyoming-service.ts";

describe("addresses", () => {
  it.each(["tcp://127.0.0.1:10400", "tcp://[::1]:0", "unix:///run/piphi.sock", "stdio://"])("%s", (uri) => {
    expect(addressText(parseAddress(uri))).toBe(uri);
  });

  it.each(["", "127.0.0.1:10400", "tcp://host", "tcp://host:99999", "http://host:1", "unix://"])("not %s", (uri) => {
    expect(() => parseAddress(uri)).toThrow(/is no Wyoming address\. Give tcp:/);
  });

  it("that are taken are refused, with a way out", async () => {
    const { port } = await serve();
    await expect(serve({ address: `tcp://127.0.0.1:${port}` })).rejects.toThrow(/is in use\. .*--wyoming-port/);
    await expect(serve({ address: "unix:///no/such/folder/socket" })).rejects.toThrow(/Give another address/);
  });

  it("may be sockets in the file system: one that a killed process left over is replaced, nothing else is", async () => {
    const file = temporaryPath("wyoming.sock");
    const { client, listening } = await serve({ address: `unix://${file}` });
    client.send("ping");
    expect((await client.next())?.type).toBe("pong");
    await expect(serve({ address: `unix://${file}` })).rejects.toThrow("in use");
    await listening.close(0);
    const script = `require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))`;

    spawnSync(process.execPath, ["-e", script, file]);
    expect(fs.lstatSync(file).isSocket()).toBe(true);
    await serve({ address: `unix://${file}` });
    const text = path.join(path.dirname(file), "a-file-of-the-user");
    fs.writeFileSync(text, "mine");
    await expect(serve({ address: `unix://${text}` })).rejects.toThrow("no socket");
    expect(fs.readFileSync(text, "utf8")).toBe("mine");
  });
});

describe("events", () => {
  it("describe is answered at once, also while the models load", async () => {
    const { client } = await serve({ ready: () => new Promise(() => {}) });
    client.send("transcript", { text: "hello" });
    client.send("describe");
    const info = await client.next();
    expect(info?.type).toBe("info");
    const { intent, handle } = info!.data as Record<string, Record<string, unknown>[]>;
    expect(intent[0]).toMatchObject({
      name: "piphi",
      installed: true,
      version: "1.2.3",
      attribution: { name: "PiPhi", url: expect.stringContaining("https://") },
      models: [{ name: "piphi-home", installed: true, languages: ["en"], attribution: { name: "PiPhi" } }],
    });
    expect(handle[0]).toMatchObject({ supports_handled_streaming: true, supports_home_control: true });
  });

  it("ping comes back with its text, and unknown ones are passed over", async () => {
    const { client } = await serve();
    client.send("synthesize", { text: "x" });
    client.send("ping", { text: "42" });
    expect(await client.next()).toEqual({ type: "pong", data: { text: "42" } });
  });

  it("one command is one intent, several are framed, and both bring the context back", async () => {
    const both = async (text: string) => (text === "two" ? [TURN_ON, { name: "HassNevermind", slots: {} }] : [TURN_ON]);
    const { client, turns } = await serve({ understand: both });
    const context = { conversation_id: "c", satellite_id: "s" };
    const intent = { name: "HassTurnOn", entities: [{ name: "name", value: "Lamp" }], text: TURN_ON.text, context };
    expect(await client.turn("one", context)).toEqual([{ type: "intent", data: intent }]);
    expect(await client.turn("two", context)).toEqual([
      { type: "intents-start", data: { context } },
      { type: "intent", data: intent },
      { type: "intent", data: { name: "HassNevermind", entities: [], context } },
      { type: "intents-stop", data: { context } },
    ]);
    expect(turns).toEqual(["intent", "intent"]);
  });

  it("recognize asks the same", async () => {
    const { client } = await serve({ understand: async () => [TURN_ON] });
    client.send("recognize", { text: "one" });
    expect((await client.next())?.type).toBe("intent");
  });

  it("what is no command is not recognized, or handled where nobody told of a house", async () => {
    const { client } = await serve();
    expect(await client.turn("tell me a joke")).toMatchObject([{ type: "not-recognized", data: { text: /Sorry/ } }]);
    const other = await serve({ knowsHouse: false, understand: () => Promise.reject(new Error("never asked")) });
    expect(await other.client.turn("lights on")).toMatchObject([{ type: "handled", data: { text: /--house/ } }]);
  });

  it("the place is the satellite, then the device", async () => {
    const places: (readonly string[])[] = [];
    const { client } = await serve({
      understand: async (_, place) => {
        places.push(place);
        return [TURN_ON];
      },
    });
    await client.turn("on", { device_id: "d", satellite_id: "s" });
    await client.turn("on", { device_id: "d" });
    await client.turn("on", { device_id: 7 });
    expect(places).toEqual([["s", "d"], ["d"], []]);
  });

  it.each([{}, { text: 1 }, { text: null }, { text: "x".repeat(10_001) }])(
    "a sentence that is none: %j",
    async (data) => {
      const { client } = await serve();
      client.send("transcript", data);
      expect(await client.next()).toMatchObject({ type: "error", data: { code: "E_USAGE", text: /Send/ } });
      client.send("ping");
      expect((await client.next())?.type).toBe("pong");
    },
  );

  it("what fails is told, and the next sentence is answered", async () => {
    let calls = 0;
    const { client } = await serve({
      understand: async () => {
        if (calls++ === 0) throw new PiPhiError("E_BUSY", "Too many wait. Ask again.");
        return [TURN_ON];
      },
    });
    expect(await client.turn("on")).toEqual([
      { type: "error", data: { text: "Too many wait. Ask again.", code: "E_BUSY" } },
    ]);
    expect((await client.turn("on"))[0].type).toBe("intent");
  });
});

describe("conversation", () => {
  async function* pieces(...texts: string[]) {
    yield* texts;
  }

  it("is handed over in pieces, and ends with the whole; the next turn knows it, by its conversation only", async () => {
    const asked: (readonly Message[])[] = [];
    const { connect, client } = await serve({
      converse: (messages) => {
        asked.push(messages);
        return pieces("It ", "is ", "", "blue.");
      },
    });
    const context = { conversation_id: "mine" };
    expect(await client.turn("why", context)).toEqual([
      { type: "handled-start", data: { context } },
      ...["It ", "is ", "blue."].map((text) => ({ type: "handled-chunk", data: { text } })),
      { type: "handled", data: { text: "It is blue.", context } },
    ]);
    expect((await client.next())?.type).toBe("handled-stop");
    await (await connect()).turn("and then", context);
    await (await connect()).turn("hello", { conversation_id: "another" });
    const [, , unnamed] = [await (await connect()).turn("hi"), 0, await (await connect()).turn("hi")];
    expect(asked[1]).toEqual([
      { role: "user", content: "why" },
      { role: "assistant", content: "It is blue." },
      { role: "user", content: "and then" },
    ]);
    expect(asked.slice(2).map((messages) => messages.length)).toEqual([1, 1, 1]);
    expect(unnamed.at(-1)?.data.context).toEqual({ conversation_id: expect.stringMatching(/^[0-9a-f-]{36}$/) });
  });

  it("keeps only what was handed over when the client breaks in, and the work stops", async () => {
    let stopped = false;
    const { client, connect, history, turns } = await serve({
      async *converse(_, signal) {
        yield "Once upon ";
        yield "a time ";
        try {
          await never(signal);
        } finally {
          stopped = true;
        }
      },
    });
    client.send("transcript", { text: "a story", context: { conversation_id: "c" } });
    for (const type of ["handled-start", "handled-chunk", "handled-chunk"])
      expect((await client.next())?.type).toBe(type);
    client.close();
    while (turns.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(stopped).toBe(true);
    expect(turns).toEqual(["gone"]);
    expect(history.of("c")).toEqual([
      { role: "user", content: "a story" },
      { role: "assistant", content: "Once upon a time" },
    ]);
    (await connect()).send("ping");
  });

  it("reaches a client that has closed its half", async () => {
    let speak = () => {};
    const { client } = await serve({
      async *converse() {
        await new Promise<void>((resolve) => {
          speak = resolve;
        });
        yield "Hello.";
      },
    });
    client.socket.end(encodeEvent({ type: "transcript", data: { text: "hi" } }));
    expect((await client.next())?.type).toBe("handled-start");
    expect(await client.next()).toEqual({ type: "handled-chunk", data: { text: "" } });
    speak();
    expect((await client.answer()).at(-1)).toMatchObject({ type: "handled", data: { text: "Hello." } });
  });

  it("stops where a client has closed both halves before anything was said", async () => {
    const { client, turns } = await serve({
      async *converse(_, signal) {
        await never(signal);
        yield "never";
      },
    });
    client.send("transcript", { text: "hi" });
    await client.next();
    client.close();
    while (turns.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(turns).toEqual(["gone"]);
  });

  it("is forgotten after a while, and when there are too many", () => {
    let now = 0;
    const history = new History({ conversations: 2, messages: 4, forget: 100 }, () => now);
    for (const id of ["a", "b", "b", "b", "c"]) history.add(id, "said", id);
    expect([history.of("a").length, history.of("b").length, history.of("c").length]).toEqual([0, 4, 2]);
    now = 100;
    expect(history.of("c")).toEqual([]);
    history.add("d", "said", "d");
    expect(history.of("b")).toEqual([]);
  });
});
