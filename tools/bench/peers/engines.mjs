/** One measurement of one engine, in a process of its own. */

import { execFile, execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { findChromium } from "./chromium.mjs";
import { avx2Folder } from "./install.mjs";
import { spread } from "./report.mjs";

export const CLI = fileURLToPath(new URL("../../../dist/tools/cli.js", import.meta.url));
/** wllama is an order of magnitude slower than the others. */
const SLOWER_BY = 4;
const PROCESS_TIMEOUT_MS = 60 * 60 * 1000;

/** Why a program failed, in a line: the command's own error document, or what Node printed of an exception. */
function reasonOf({ stdout = "", stderr = "", message, killed, signal }, timeoutMs) {
  if (killed) return `stopped after ${formatDuration(timeoutMs)}; ask for fewer tokens`;
  if (signal) return `killed by ${signal}`;
  const document = /^\{"error":.*$/m.exec(stdout);
  if (document) return JSON.parse(document[0]).error.message;
  const exception = /^\S*Error\b.*$/m.exec(stderr) ?? /^.*Error:.*$/m.exec(stderr);
  return (exception?.[0] ?? stderr.trim().split("\n").at(-1)) || message;
}

const formatDuration = (ms) => (ms < 120_000 ? `${ms / 1000} seconds` : `${ms / 60_000} minutes`);

/**
 * What a command prints, as JSON; Error with the reason when it fails, and `signal` or `killed` (by the time-out).
 * `launcher` is a command in front of it, such as taskset with its arguments.
 */
export async function runJson(command, { launcher = [], timeoutMs = PROCESS_TIMEOUT_MS } = {}) {
  const [program, ...args] = [...launcher, ...command];
  const options = { maxBuffer: 1 << 24, timeout: timeoutMs, killSignal: "SIGKILL" };
  try {
    const { stdout } = await promisify(execFile)(program, args, options);
    return JSON.parse(stdout);
  } catch (error) {
    const { killed = false, signal } = error;
    throw Object.assign(new Error(reasonOf(error, timeoutMs)), { killed, signal });
  }
}

const sharedFlags = ({ model, threads, contextLength, flags = [] }) => [
  ...[model, "--threads", `${threads}`],
  ...["--ctx", `${contextLength}`, "--json"],
  ...flags,
];

/** PiPhi's bench on a Node, with more `flags` where the settings have some; `launcher` as in runJson. */
export async function benchOurs(node, settings, launcher = []) {
  const { promptTokens, generateTokens, repeat } = settings;
  const counts = ["-p", `${promptTokens}`, "-n", `${generateTokens}`, "--repeat", `${repeat}`];
  const command = [node, CLI, "bench", ...sharedFlags(settings), ...counts];
  const { prefill, decode, memory, kernel, bandwidth, profile } = await runJson(command, { launcher });
  return {
    kernel,
    prefill: prefill.tokensPerSecond,
    decode: decode.tokensPerSecond,
    peakBytes: memory.peakRssBytes,
    memoryMode: memory.mode,
    ...(bandwidth && { bandwidth }),
    ...(profile && { profile }),
  };
}

/** The bench states everything but the load time. */
async function measureOurs(node, settings) {
  const once = ["--raw", "-p", "The", "-n", "1"];
  const { timings } = await runJson([node, CLI, "run", ...sharedFlags(settings), ...once]);
  return { ...(await benchOurs(node, settings)), loadMs: timings.loadMs };
}

async function measurePeer(runner, settings, how) {
  const script = fileURLToPath(new URL(runner, import.meta.url));
  const { prefill, decode, ...rest } = await runJson([process.execPath, script, JSON.stringify(settings)], how);
  return { ...rest, prefill: spread(prefill), decode: spread(decode) };
}

/** llama.cpp with the best of its builds for this CPU, whose name it takes; `how` as in runJson. */
export async function measureNative(settings, how) {
  const result = await measurePeer("llama.mjs", settings, how);
  return { ...result, ...(result.cpuBuild && { engine: `llama.cpp native, ${result.cpuBuild}` }) };
}

async function measureAvx2(settings) {
  const result = await measurePeer("llama.mjs", { ...settings, folder: avx2Folder(settings.folder) });
  if (result.cpuBuild === "haswell") return result;
  throw new Error(`it took the build ${result.cpuBuild} instead of haswell; delete ${avx2Folder(settings.folder)}`);
}

export function peerEngines(ready) {
  const engines = {
    native: { engine: "llama.cpp native", peer: true, measure: measureNative },
    "native-avx2": { engine: "llama.cpp native, AVX2", peer: true, measure: measureAvx2 },
    wllama: {
      engine: "wllama in Chromium",
      peer: true,
      slowerBy: SLOWER_BY,
      measure: (settings) => measurePeer("wllama.mjs", { ...settings, chromium: findChromium() }),
    },
  };
  return ready.map((peer) => engines[peer]);
}

export function ourEngines(nodes) {
  return nodes.map((node) => {
    const version = execFileSync(node, ["--version"], { encoding: "utf8" }).trim().slice(1);
    return { engine: `PiPhi, Node ${version}`, peer: false, node, measure: (settings) => measureOurs(node, settings) };
  });
}
