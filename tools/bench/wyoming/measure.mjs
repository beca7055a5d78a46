/** Starts `piphi serve`, speaks Wyoming to it, and takes times. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import os from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { CLI } from "../peers/engines.mjs";
import { makeHouse, makeSentences } from "./house.mjs";

const FINAL = new Set(["info", "intent", "intents-stop", "handled", "not-recognized", "error"]);

/** The types of the events in these bytes; undefined while the last is incomplete. */
function typesOf(bytes) {
  const types = [];
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(10, at);
    if (end < 0) return types;
    const { type, data_length: length = 0 } = JSON.parse(bytes.toString("utf8", at, end));
    at = end + 1 + length;
    if (at <= bytes.length) types.push(type);
  }
  return types;
}

const isOver = (types) => FINAL.has(types.at(-1)) && !(types[0] === "intents-start" && types.at(-1) !== "intents-stop");

/** Milliseconds from connecting to the last event of an answer, and how it ended. */
export async function ask(port, event) {
  const start = performance.now();
  const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
  socket.write(`${JSON.stringify(event)}\n`);
  let bytes = Buffer.alloc(0);
  for await (const piece of socket) {
    bytes = Buffer.concat([bytes, piece]);
    const types = typesOf(bytes);
    if (!isOver(types)) continue;
    socket.destroy();
    return { ms: performance.now() - start, outcome: types.at(-1) };
  }
  throw new Error("The server closed the connection without an answer. Look at its log.");
}

const say = (port, text) => ask(port, { type: "transcript", data: { text, language: "en", context: {} } });

/** Starts a server; resolves when it answers `describe`. */
async function startServer(house) {
  const start = performance.now();
  const args = [CLI, "serve", "--house", house, "--port", "0", "--wyoming-port", "0"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "pipe"] });
  const lines = createInterface(child.stderr);
  let port;
  for await (const line of lines) {
    port = Number(/^Wyoming: .*:(\d+)$/.exec(line)?.[1]);
    if (port > 0) break;
  }
  lines.resume();
  await ask(port, { type: "describe" });
  return { child, port, ms: performance.now() - start };
}

async function stop({ child }) {
  child.kill();
  await once(child, "exit");
}

const sorted = (values) => [...values].sort((a, b) => a - b);
const at = (values, share) => sorted(values)[Math.min(values.length - 1, Math.floor(values.length * share))];
const spreadOf = (values) => ({ median: at(values, 0.5), p95: at(values, 0.95), max: at(values, 1), n: values.length });

async function latency(port, sentences) {
  const answers = [];
  for (const sentence of sentences) answers.push(await say(port, sentence));
  const outcomes = {};
  for (const { outcome } of answers) outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
  return { ms: spreadOf(answers.map(({ ms }) => ms)), outcomes };
}

/** Clients that say nothing, and clients that send a byte at a time; the function lets go of them. */
async function crowd(port, idle, slow) {
  const sockets = Array.from({ length: idle + slow }, () =>
    net.connect(port, "127.0.0.1").on("error", () => undefined),
  );
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  const timer = setInterval(() => {
    for (const socket of sockets.slice(idle)) if (socket.writable) socket.write("{");
  }, 100);
  return () => {
    clearInterval(timer);
    for (const socket of sockets) socket.destroy();
  };
}

/** In kB, as Linux tells it; undefined elsewhere. */
function memoryOf({ child }) {
  try {
    const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
    return { residentKb: Number(/VmRSS:\s+(\d+)/.exec(status)[1]), peakKb: Number(/VmHWM:\s+(\d+)/.exec(status)[1]) };
  } catch {
    return undefined;
  }
}

export async function measureWyoming({ entities, sentences: count, idle, slow, starts }, tell) {
  const folder = mkdtempSync(path.join(os.tmpdir(), "piphi-bench-"));
  try {
    const house = makeHouse(entities);
    const file = path.join(folder, "house.yaml");
    writeFileSync(file, JSON.stringify(house));
    const sentences = makeSentences(house, count);
    const startMs = [];
    for (let i = 0; i < starts; i++) {
      tell(`start ${i + 1} of ${starts}`);
      const server = await startServer(file);
      startMs.push(server.ms);
      await stop(server);
    }
    const server = await startServer(file);
    tell("sentences");
    await latency(server.port, sentences.slice(0, 20));
    const alone = await latency(server.port, sentences);
    const memory = memoryOf(server);
    tell("sentences in a crowd");
    const leave = await crowd(server.port, idle, slow);
    const crowded = await latency(server.port, sentences);
    leave();
    await stop(server);
    return { startMs: spreadOf(startMs), alone, crowded, memory };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
