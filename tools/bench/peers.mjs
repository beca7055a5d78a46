/**
 * PiPhi beside llama.cpp, native and in WebAssembly, on one model file: speed, load time, peak memory.
 *
 *   node tools/bench/peers.mjs [--model FILE] [--peers FOLDER] [--threads 1,2] [--prompt 128] [--generate 32]
 *                              [--repeat 3] [--node PATH …] [--skip native,native-avx2,wllama] [--out FILE.json]
 *
 * Without --model, a file of Phi-2's shape with random weights is made (make-phi2.mjs, 1.6 GB) in the peers' folder,
 * which holds their packages as well and may be deleted at any time. --node adds a measurement of PiPhi on another
 * Node; of several, the report names the fastest. Engines run one after the other, each in a process of its own, from a warm page cache, with a context of the
 * same length; each warms up, then measures --repeat rounds. wllama is an order of magnitude slower than the others
 * and gets a quarter of the tokens. On x64 CPUs with AVX-512 or AVX-VNNI, llama.cpp is measured twice: with its build
 * for this CPU, and restricted to the one for AVX2. stdout carries the tables, stderr the progress.
 */

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { CLI, ourEngines, peerEngines } from "./peers/engines.mjs";
import { PEERS, preparePeers } from "./peers/install.mjs";
import { describeMachine, warnIfBusy } from "./peers/machine.mjs";
import { cacheFolder, prepareModel, warmPageCache } from "./peers/model.mjs";
import { formatReport, ratiosOf } from "./peers/report.mjs";
import { failWith, UsageError, wholeNumber } from "./usage.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CONTEXT_LENGTH = 1024;

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
  const busy = await warnIfBusy();
  console.error(title);
  try {
    const result = await measure(own);
    return { engine, peer, threads, promptTokens, generateTokens, busyCores: busy, ...result };
  } catch (error) {
    absent[title] = error.message;
    return undefined;
  }
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

await main().catch(failWith);
