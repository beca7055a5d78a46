/**
 * What a long context costs, and a long prompt:
 *
 *   node tools/bench/context.mjs [--model FILE] [--peers FOLDER] [--threads N] [--depth 1000] [--kv int8,f16]
 *                                [--generate 32] [--repeat 3] [--rounds 2] [--node PATH] [--out FILE.json]
 *
 * Decode at the beginning of the context and --depth tokens into it, with each type of key/value cache, and what it loses;
 * prefill of 128 and of 512 tokens; and the share of each operation in a token there (the leading thread's time; it
 * waits where another thread has more left to do). Every figure comes from `piphi bench`, in turns, --rounds times, so
 * that what else the machine does falls on all; losses are those within a round. Give a GGUF file, whose weights are
 * read into memory (a pack would be mapped). Without --model, one is made.
 */

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { formatContext, lossesOf, sharesOf } from "./context/report.mjs";
import { endOnSignals, requireBuild } from "./limits/pack.mjs";
import { benchOurs, ourEngines } from "./peers/engines.mjs";
import { describeMachine, warnIfBusy } from "./peers/machine.mjs";
import { MODEL_OPTIONS, modelAsked, prepareModel, warmPageCache } from "./peers/model.mjs";
import { failWith, parseOptions, UsageError } from "./usage.mjs";

const PROMPTS = [128, 512];
const SHORT_PROMPT = 8;
const CACHES = ["int8", "f16"];
/** Weights in memory from the start: mapped ones would move into huge pages meanwhile. */
const IN_MEMORY = "--no-pack";

function parse(args) {
  const { values, numbers } = parseOptions(
    args,
    {
      threads: [os.availableParallelism(), 1, 64],
      depth: [1000, 1, 1_000_000],
      generate: [32, 2, 100_000],
      repeat: [3, 1, 1000],
      rounds: [2, 1, 100],
    },
    {
      ...MODEL_OPTIONS,
      kv: { type: "string", default: CACHES.join(",") },
      node: { type: "string", default: process.execPath },
      out: { type: "string" },
    },
  );
  const { threads, depth, generate: generateTokens, repeat, rounds } = numbers;
  const { node, out } = values;
  const caches = values.kv.split(",");
  const unknown = caches.find((kv) => !CACHES.includes(kv));
  if (unknown !== undefined) throw new UsageError(`--kv takes ${CACHES.join(" and ")}, not "${unknown}".`);
  const longest = Math.max(depth + SHORT_PROMPT + generateTokens, ...PROMPTS.map((tokens) => tokens + 2));
  const settings = { threads, repeat, contextLength: Math.ceil(longest / 256) * 256 };
  return { ...modelAsked(values), caches, depth, generateTokens, rounds, node, out, settings };
}

/** Decode at depth 0 and at `depth` for each cache, once. */
async function measureDecode(node, settings, { caches, depth, generateTokens }) {
  const results = [];
  for (const kv of caches) {
    for (const at of [0, depth]) {
      console.error(`decode with ${kv} cache at ${at} tokens`);
      const flags = [IN_MEMORY, "--kv", kv, "-d", `${at}`];
      const asked = { ...settings, promptTokens: SHORT_PROMPT, generateTokens, flags };
      results.push({ kv, depth: at, decode: (await benchOurs(node, asked)).decode });
    }
  }
  return results;
}

/** Prefill of each length, once. */
async function measurePrefill(node, settings) {
  const results = [];
  for (const tokens of PROMPTS) {
    console.error(`prefill of ${tokens} tokens`);
    const { prefill } = await benchOurs(node, {
      ...settings,
      promptTokens: tokens,
      generateTokens: 2,
      flags: [IN_MEMORY],
    });
    results.push({ tokens, prefill });
  }
  return results;
}

/** Where the time of a token goes, deep in the context. */
async function measureProfile(node, settings, { caches, depth, generateTokens }) {
  console.error("operations");
  const flags = [IN_MEMORY, "--kv", caches[0], "-d", `${depth}`, "--profile"];
  const asked = { ...settings, promptTokens: SHORT_PROMPT, generateTokens, flags };
  return sharesOf((await benchOurs(node, asked)).profile.decode);
}

async function main() {
  const { model: asked, folder, rounds, node, out, settings, ...what } = parse(process.argv.slice(2));
  requireBuild();
  endOnSignals();
  fs.mkdirSync(folder, { recursive: true });
  const model = prepareModel({ model: asked, folder });
  await warmPageCache(model);
  const machine = describeMachine();
  const all = { ...settings, model };
  const decode = [];
  const prefill = [];
  for (let round = 1; round <= rounds; round++) {
    console.error(`round ${round} of ${rounds}`);
    await warnIfBusy();
    decode.push(await measureDecode(node, all, what));
    prefill.push(await measurePrefill(node, all));
  }
  const shares = await measureProfile(node, all, what);
  const [{ engine }] = ourEngines([node]);
  const losses = lossesOf(decode);
  const described = { name: path.basename(model), bytes: fs.statSync(model).size };
  const report = {
    machine,
    model: described,
    engine,
    settings: { ...settings, ...what },
    decode,
    prefill,
    losses,
    shares,
  };
  process.stdout.write(formatContext(report));
  if (out) fs.writeFileSync(out, `${JSON.stringify(report, null, 2)}\n`);
}

await main().catch(failWith);
