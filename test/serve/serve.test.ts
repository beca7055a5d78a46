/** `piphi serve` as a process: where it listens, what it tells, how it ends. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it } from "vitest";
import { EventReader, encodeEvent, type WyomingEvent } from "../../tools/serve/wyoming/framing.ts";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryFile, temporaryPath } from "../fixtures/temporary.ts";
import { WyomingClient } from "../fixtures/wyoming.ts";

const CLI = fileURLToPath(new URL("../../dist/tools/cli.js", import.meta.url));
const HOUSE = fileURLToPath(new URL("../../examples/house.yaml", import.meta.url));
const started: ChildProcess[] = [];

afterEach(async () => {
  for (const child of started.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill("SIGKILL");
    await once(child, "exit");
  }
});

interface Line {
  level: string;
  msg: string;
  [field: string]: unknown;
}

/** The server, and what it logs as it comes. */
function serve(args: string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [CLI, "serve", ...args], { env: { ...process.env, ...env } });
  started.push(child);
  const log: Line[] = [];
  const raw: string[] = [];
  const waiting = new Set<() => void>();
  createInterface(child.stderr).on("line", (line) => {
    raw.push(line);
    if (line.startsWith("{")) log.push(JSON.parse(line) as Line);
    for (const wake of waiting) wake();
  });
  const exit = once(child, "exit").then(([code]) => code as number | null);
  const changed = async () => {
    if (child.exitCode !== null) throw new Error(raw.join("\n"));
    await new Promise<void>((resolve) => {
      waiting.add(resolve);
      child.on("exit", () => resolve());
    });
  };
  const until = async (message: string): Promise<Line> => {
    for (;;) {
      const line = log.find((one) => one.msg === message);
      if (line) return line;
      await changed();
    }
  };
  /** The port in "Wyoming: tcp://127.0.0.1:10400". */
  const port = async (): Promise<number> => {
    for (;;) {
      const line = raw.find((one) => one.startsWith("Wyoming: "));
      if (line) return Number(line.split(":").at(-1));
      await changed();
    }
  };
  return { child, log, raw, exit, until, port };
}

const ANY_PORT = ["--port", "0", "--wyoming-port", "0"];

describe("piphi serve", () => {
  it("listens, understands commands in a house, logs no sentence, and ends by a signal without failure", async () => {
    const server = serve([...ANY_PORT, "--house", HOUSE]);
    const client = await WyomingClient.connect(await server.port());
    client.send("describe");
    expect((await client.next())?.type).toBe("info");
    const [event] = await client.turn("turn off the worktop light");
    expect(event).toMatchObject({
      type: "intent",
      data: { name: "HassTurnOff", text: expect.stringContaining("Turned off") },
    });
    client.close();
    server.child.kill("SIGTERM");
    expect(await server.exit).toBe(0);
    expect(server.log.map(({ msg }) => msg.split(",")[0])).toEqual(["ready", "turn", "draining"]);
    expect(server.log[1]).toMatchObject({ door: "wyoming", event: "transcript", outcome: "intent" });
    expect(server.raw.join()).not.toContain("worktop");
  });

  it("without a house says what to do", async () => {
    const server = serve(ANY_PORT);
    const client = await WyomingClient.connect(await server.port());
    expect(await client.turn("turn on the lights")).toMatchObject([
      { type: "handled", data: { text: /--home-assistant/ } },
    ]);
  });

  it("lets a model answer what is no command", async () => {
    const file = temporaryFile("talker.gguf", randomModel({ seed: 5, contextLength: 1024, peaked: 5 }));
    const server = serve([file, ...ANY_PORT, "--house", HOUSE, "--no-pack"]);
    const client = await WyomingClient.connect(await server.port());
    expect((await client.turn("turn off the worktop light"))[0].type).toBe("intent");
    const events = await client.turn("tell me a joke");
    expect(events[0].type).toBe("handled-start");
    const chunks = events.filter(({ type }) => type === "handled-chunk").map(({ data }) => data.text);
    expect(events.at(-1)).toMatchObject({ type: "handled", data: { text: chunks.join("").trim() } });
  });

  it("speaks over stdio://, and ends with its input", async () => {
    const { child, exit } = serve(["--port", "0", "--wyoming", "stdio://", "--house", HOUSE]);
    const reader = new EventReader();
    const events: WyomingEvent[] = [];
    child.stdout!.on("data", (bytes: Buffer) => events.push(...reader.push(bytes)));
    child.stdin!.end(encodeEvent({ type: "transcript", data: { text: "turn on the worktop light" } }));
    expect(await exit).toBe(0);
    expect(events.filter(({ type }) => type !== "handled-chunk")).toMatchObject([
      { type: "intent", data: { name: "HassTurnOn" } },
    ]);
  });

  it("listens at a socket in the file system, which is gone afterwards", async () => {
    const path = temporaryPath("piphi.sock");
    const server = serve(["--port", "0", "--wyoming", `unix://${path}`, "--house", HOUSE]);
    await server.until("ready");
    const client = await WyomingClient.connect(path);
    client.send("ping");
    expect((await client.next())?.type).toBe("pong");
    client.close();
    server.child.kill("SIGINT");
    expect(await server.exit).toBe(0);
    await expect(WyomingClient.connect(path)).rejects.toThrow("ENOENT");
  });

  it("waits for a Home Assistant that is not there yet, and tells those who ask meanwhile", async () => {
    const args = [...ANY_PORT, "--home-assistant", "http://127.0.0.1:9", "--token-file", temporaryFile("token", "abc")];
    const server = serve(args);
    const client = await WyomingClient.connect(await server.port());
    expect(await client.turn("lights on")).toMatchObject([{ type: "error", data: { code: "E_HOME_ASSISTANT" } }]);
    server.child.kill("SIGTERM");
    expect(await server.exit).toBe(0);
  });

  it.each<[string[], RegExp, number]>([
    [["--house", "/no/such/house.yaml"], /\[E_NOT_FOUND\]/, 1],
    [["/no/such/model.gguf", "--port", "0", "--wyoming-port", "0"], /\[E_NOT_FOUND\]/, 1],
    [["--port", "0", "--wyoming", "nonsense"], /no Wyoming address/, 2],
    [["--port", "0", "--wyoming", "stdio://", "--wyoming", "stdio://"], /one standard input/, 2],
    [["--wyoming-port", "70000"], /from 0 to 65535/, 2],
    [["--home-assistant", "http://x"], /\[E_TOKEN\]/, 1],
  ])("refuses %j", async (args, message, code) => {
    const server = serve(args, { HOME_ASSISTANT_TOKEN: "" });
    expect(await server.exit).toBe(code);
    expect(server.raw.join("\n")).toMatch(message);
  });
});

it.skipIf(process.platform !== "linux")("nothing is left of a hundred clients, whichever way they went", async () => {
  const server = serve([...ANY_PORT, "--house", HOUSE]);
  const port = await server.port();
  await server.until("ready");
  const open = () => readdirSync(`/proc/${server.child.pid}/fd`).length;
  // What the first sentence opens stays open, such as the threads' pipes.
  const first = await WyomingClient.connect(port);
  await first.turn("turn on the worktop light");
  const before = open();
  first.close();
  for (let i = 0; i < 100; i++) {
    const client = await WyomingClient.connect(port);
    if (i % 2 === 0) await client.turn("turn on the worktop light");
    else client.send("transcript", { text: "turn on the worktop light" });
    client.close();
  }
  while (open() > before) await new Promise((resolve) => setTimeout(resolve, 20));
  const client = await WyomingClient.connect(port);
  expect((await client.turn("turn on the worktop light"))[0].type).toBe("intent");
});
