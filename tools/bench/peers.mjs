/**
 * PiPhi beside llama.cpp, native and in WebAssembly, on one model file: speed, load time, peak memory.
 *
 *   node tools/bench/peers.mjs [--model FILE] [--peers FOLDER] [--threads 1,2] [--prompt 128] [--generate 32]
 *                              [--repeat 3] [--node PATH …] [--skip native,wllama] [--out FILE.json]
 *
 * Without --model, a file of Phi-2's shape with random weights is made (make-phi2.mjs, 1.6 GB) in the peers' folder,
 * which holds their packages as well and may be deleted at any time. --node adds a measurement of PiPhi on another
 * Node. Engines run one after the other, each in a process of its own, from a warm page cache, with a context of the
 * same length; each warms up, then measures --repeat rounds. wllama is an order of magnitude slower than the others
 * and gets a quarter of the tokens. stdout carries the tables, stderr the progress.
 */

import { execFile, execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { findChromium } from "./peers/chromium.mjs";
import { PEERS, preparePeers } from "./peers/install.mjs";
import { busyCores, describeMachine } from "./peers/machine.mjs";
import { formatReport, ratiosOf, spread } from "./peers/report.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CLI = path.join(ROOT, "dist/tools/cli.js");
const CONTEXT_LENGTH = 1024;
const SLOWER_BY = 4;
const MOST_BUSY_CORES = 0.2;
const PROCESS_TIMEOUT_MS = 60 * 60 * 1000;

/** A mistake in what was asked for; ends with the remedy. */
class UsageError extends Error {}

function parse(args) {
  const cores = os.availableParallelism();
  const { values } = parseArgs({
    args,
    options: {
      model: { type: "string" },
      peers: { type: "string", default: cacheFolder() },
      threads: { type: "string", default: cores > 1 ? `1,${cores}` : "1" },
      prompt: { type: "string", default: "128" },
      generate: { type: "string", default: "32" },
      repeat: { type: "string", default: "3" },
      node: { type: "string", multiple: true, default: [] },
      skip: { type: "string", default: "" },
      out: { type: "string" },
    },
  });
  const skipped = values.skip.split(",").filter(Boolean);
  const unknown = skipped.find((name) => !PEERS.includes(name));
  if (unknown) throw new UsageError(`--skip ${unknown} is no peer. Choose from ${PEERS.join(", ")}.`);
  const settings = {
    promptTokens: wholeNumber("prompt", values.prompt, 2, 100_000),
    generateTokens: wholeNumber("generate", values.generate, 2, 100_000),
    repeat: wholeNumber("repeat", values.repeat, 1, 1000),
  };
  return {
    model: values.model && path.resolve(values.model),
    folder: path.resolve(values.peers),
    threadCounts: values.threads.split(",").map((text) => wholeNumber("threads", text, 1, 64)),
    // Room for the same tokens in every engine, in steps that llama.cpp does not round up.
    settings: {
      ...settings,
      contextLength: Math.max(CONTEXT_LENGTH, Math.ceil((settings.promptTokens + settings.generateTokens) / 256) * 256),
    },
    nodes: [process.execPath, ...values.node],
    skipped,
    out: values.out,
  };
}

function wholeNumber(name, text, least, most) {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most && text !== "") return value;
  throw new UsageError(`--${name} takes whole numbers from ${least} to ${most}.`);
}

function cacheFolder() {
  return path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), ".cache"), "piphi-peers");
}

// ---- engines -------------------------------------------------------------------------------------------------------

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

/** PiPhi's command on a Node; its bench states everything but the load time. */
async function measureOurs(node, { model, threads, promptTokens, generateTokens, repeat, contextLength }) {
  const shared = [model, "--threads", `${threads}`, "--ctx", `${contextLength}`, "--json"];
  const { timings } = await runJson(node, [CLI, "run", ...shared, "--raw", "-p", "The", "-n", "1"]);
  const counts = ["-p", `${promptTokens}`, "-n", `${generateTokens}`, "--repeat", `${repeat}`];
  const { prefill, decode, memory, kernel } = await runJson(node, [CLI, "bench", ...shared, ...counts]);
  return {
    kernel,
    prefill: prefill.tokensPerSecond,
    decode: decode.tokensPerSecond,
    loadMs: timings.loadMs,
    peakBytes: memory.peakRssBytes,
    memoryMode: memory.mode,
  };
}

async function measurePeer(runner, settings) {
  const script = fileURLToPath(new URL(`peers/${runner}`, import.meta.url));
  const { prefill, decode, ...rest } = await runJson(process.execPath, [script, JSON.stringify(settings)]);
  return { ...rest, prefill: spread(prefill), decode: spread(decode) };
}

function peerEngines(ready) {
  const engines = {
    native: {
      engine: "llama.cpp native",
      peer: true,
      measure: (settings) => measurePeer("llama.mjs", settings),
    },
    wllama: {
      engine: "wllama in Chromium",
      peer: true,
      slowerBy: SLOWER_BY,
      measure: (settings) => measurePeer("wllama.mjs", { ...settings, chromium: findChromium() }),
    },
  };
  return ready.map((peer) => engines[peer]);
}

function ourEngines(nodes) {
  return nodes.map((node) => {
    const version = execFileSync(node, ["--version"], { encoding: "utf8" }).trim().slice(1);
    return { engine: `PiPhi, Node ${version}`, peer: false, measure: (settings) => measureOurs(node, settings) };
  });
}

/** A slower engine's share of the tokens, so that it ends on the same day. */
function shareOf({ promptTokens, generateTokens, ...settings }, slowerBy) {
  return {
    ...settings,
    promptTokens: Math.max(2, Math.ceil(promptTokens / slowerBy)),
    generateTokens: Math.max(2, Math.ceil(generateTokens / slowerBy)),
  };
}

/** Runs one engine; its result, or undefined after noting in `absent` why there is none. */
async function measure({ engine, peer, slowerBy = 1, measure }, settings, absent) {
  const own = shareOf(settings, slowerBy);
  const { threads, promptTokens, generateTokens } = own;
  const title = `${engine}, ${threads} ${threads === 1 ? "thread" : "threads"}`;
  const busy = await busyCores();
  if (busy > MOST_BUSY_CORES)
    console.error(`warning: ${busy.toFixed(1)} cores are busy with other work; the next figures will be too low.`);
  console.error(title);
  try {
    const result = await measure(own);
    return { engine, peer, threads, promptTokens, generateTokens, busyCores: busy, ...result };
  } catch (error) {
    absent[title] = error.message;
    return undefined;
  }
}

// ---- the run -------------------------------------------------------------------------------------------------------

/** The model's path; made first if none is named. */
function prepareModel({ model, folder }) {
  const file = model ?? path.join(folder, "phi2-q4_0.gguf");
  if (model === undefined && !fs.existsSync(file)) {
    console.error(`Making ${file}`);
    const script = fileURLToPath(new URL("make-phi2.mjs", import.meta.url));
    execFileSync(process.execPath, [script, file], { stdio: ["ignore", process.stderr, process.stderr] });
  }
  if (!fs.existsSync(file)) throw new UsageError(`There is no ${file}. Omit --model to have one made.`);
  return file;
}

/** Reads a file once, so that no engine is the one that waits for the disk. */
async function warmPageCache(file) {
  for await (const _ of fs.createReadStream(file, { highWaterMark: 1 << 22 }));
}

function ownVersion() {
  const { version } = JSON.parse(fs.readFileSync(path.join(ROOT, "package.json"), "utf8"));
  try {
    const git = ["-C", ROOT, "describe", "--always", "--dirty"];
    return `${version} (${execFileSync("git", git, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim()})`;
  } catch {
    return version; // no checkout
  }
}

async function main() {
  const { folder, threadCounts, settings, nodes, skipped, out, ...options } = parse(process.argv.slice(2));
  if (!fs.existsSync(CLI)) throw new UsageError("PiPhi is not built. Run: npm run build");
  const machine = describeMachine();
  if (machine.loadAverage > 0.5) {
    const load = machine.loadAverage.toFixed(1);
    console.error(`warning: the load average is ${load}. Stop what else runs, or quote ratios only with care.`);
  }
  const ours = ourEngines(nodes);
  fs.mkdirSync(folder, { recursive: true });
  const model = prepareModel({ ...options, folder });
  const { ready, absent } = preparePeers(folder, skipped);
  await warmPageCache(model);

  const engines = [...ours, ...peerEngines(ready)];
  const results = [];
  for (const threads of threadCounts) {
    for (const engine of engines) {
      const result = await measure(engine, { ...settings, folder, model, threads }, absent);
      if (result) results.push(result);
    }
  }
  const described = { name: path.basename(model), bytes: fs.statSync(model).size };
  const report = {
    machine,
    piphi: ownVersion(),
    model: described,
    settings,
    results,
    ratios: ratiosOf(results),
    absent,
  };
  process.stdout.write(formatReport(report));
  if (out) fs.writeFileSync(out, `${JSON.stringify(report, null, 2)}\n`);
  if (!results.some(({ peer }) => !peer)) process.exitCode = 1;
}

try {
  await main();
} catch (error) {
  const wrongUsage = error instanceof UsageError || error.code?.startsWith?.("ERR_PARSE_ARGS");
  console.error(`error: ${error.message}`);
  process.exitCode = wrongUsage ? 2 : 1;
}
