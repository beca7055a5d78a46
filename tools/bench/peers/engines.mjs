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
function reasonOf({ stdout = "", stderr = "", message, killed }) {
  if (killed) return `stopped after ${PROCESS_TIMEOUT_MS / 60_000} minutes; ask for fewer tokens`;
  const document = /^\{"error":.*$/m.exec(stdout);
  if (document) return JSON.parse(document[0]).error.message;
  const exception = /^\S*Error\b.*$/m.exec(stderr) ?? /^.*Error:.*$/m.exec(stderr);
  return (exception?.[0] ?? stderr.trim().split("\n").at(-1)) || message;
}

/** What a program prints, as JSON; Error with the reason when it fails. */
async function runJson(program, args) {
  const options = { maxBuffer: 1 << 24, timeout: PROCESS_TIMEOUT_MS };
  try {
    const { stdout } = await promisify(execFile)(program, args, options);
    return JSON.parse(stdout);
  } catch (error) {
    throw new Error(reasonOf(error));
  }
}

const sharedFlags = ({ model, threads, contextLength }) => [
  ...[model, "--threads", `${threads}`],
  ...["--ctx", `${contextLength}`, "--json"],
];

/** PiPhi's bench on a Node; `launcher` is a command in front of it, such as taskset with its arguments. */
export async function benchOurs(node, settings, launcher = []) {
  const { promptTokens, generateTokens, repeat } = settings;
  const counts = ["-p", `${promptTokens}`, "-n", `${generateTokens}`, "--repeat", `${repeat}`];
  const [program, ...args] = [...launcher, node, CLI, "bench", ...sharedFlags(settings), ...counts];
  const { prefill, decode, memory, kernel, bandwidth } = await runJson(program, args);
  return {
    kernel,
    prefill: prefill.tokensPerSecond,
    decode: decode.tokensPerSecond,
    peakBytes: memory.peakRssBytes,
    memoryMode: memory.mode,
    ...(bandwidth && { bandwidth }),
  };
}

/** The bench states everything but the load time. */
async function measureOurs(node, settings) {
  const once = ["--raw", "-p", "The", "-n", "1"];
  const { timings } = await runJson(node, [CLI, "run", ...sharedFlags(settings), ...once]);
  return { ...(await benchOurs(node, settings)), loadMs: timings.loadMs };
}

async function measurePeer(runner, settings) {
  const script = fileURLToPath(new URL(runner, import.meta.url));
  const { prefill, decode, ...rest } = await runJson(process.execPath, [script, JSON.stringify(settings)]);
  return { ...rest, prefill: spread(prefill), decode: spread(decode) };
}

/** llama.cpp with the best of its builds for this CPU, whose name it takes. */
export async function measureNative(settings) {
  const result = await measurePeer("llama.mjs", settings);
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
