/**
 * Whether a model says the same streamed as it does in memory, token by token:
 *
 *   node tools/bench/streamed.mjs [--model FILE] [--ram SIZE …] [--tokens 256] [--prompt 64] [--threads N] [--ctx N]
 *                                 [--node PATH]
 *
 * Answers greedily from memory, then streamed: with little more memory than the least that works, and with half of what
 * is streamed then kept in memory; or with each --ram, such as 1G. The first of them runs again with guesses that are
 * verified. Without --model, a small one with random weights is made, packed, and removed; a GGUF file is packed for the
 * time of the check. stdout has a line for each run; exit code 0 if all say the same.
 */

import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { runOurs } from "./limits/measure.mjs";
import { endOnSignals, makeModel, preparePack, requireBuild, temporaryFolder } from "./limits/pack.mjs";
import { budgets, describeRun, firstDifference } from "./limits/same.mjs";
import { failWith, UsageError, wholeNumber } from "./usage.mjs";

const SMALL = ["--layers", "6", "--hidden", "1024", "--heads", "16", "--ff", "4096", "--context", "1024"];
const DRAFTS = 7;

function parse(args) {
  const { values } = parseArgs({
    args,
    options: {
      model: { type: "string" },
      ram: { type: "string", multiple: true, default: [] },
      tokens: { type: "string", default: "256" },
      prompt: { type: "string", default: "64" },
      threads: { type: "string", default: `${os.availableParallelism()}` },
      ctx: { type: "string", default: "512" },
      node: { type: "string", default: process.execPath },
    },
  });
  return {
    model: values.model && path.resolve(values.model),
    rams: values.ram,
    node: values.node,
    settings: {
      generateTokens: wholeNumber("tokens", values.tokens, 2, 100_000),
      promptTokens: wholeNumber("prompt", values.prompt, 2, 100_000),
      threads: wholeNumber("threads", values.threads, 1, 64),
      contextLength: wholeNumber("ctx", values.ctx, 4, 1_000_000),
    },
  };
}

/** One streamed run beside the answer from memory; whether it says the same. */
async function check(node, settings, expected) {
  console.error(`with ${settings.ram}${settings.drafts ? " and guesses" : ""}`);
  const run = await runOurs(node, settings);
  if (run.mode !== "streamed")
    throw new UsageError(`With --ram ${settings.ram} nothing is streamed (${run.mode}). Give less.`);
  const difference = firstDifference(expected, run.tokens);
  console.log(`${difference === undefined ? "ok    " : "FAILED"}  ${describeRun(settings, run, difference)}`);
  return difference === undefined;
}

async function main() {
  const { model, rams, node, settings } = parse(process.argv.slice(2));
  requireBuild();
  endOnSignals();
  const folder = temporaryFolder();
  const pack = preparePack(model ?? makeModel(folder, SMALL), undefined, folder);
  const all = { ...settings, model: pack };
  const sizes = rams.length > 0 ? rams : await budgets(pack, settings);
  console.error("from memory");
  const { mode, tokens } = await runOurs(node, all);
  if (mode === "streamed")
    throw new Error("The model does not fit into this machine's memory: nothing to compare with.");
  console.log(`        ${mode}: ${tokens.length} tokens, ${new Set(tokens).size} different ones`);
  let same = true;
  for (const ram of sizes) same = (await check(node, { ...all, ram }, tokens)) && same;
  same = (await check(node, { ...all, ram: sizes[0], drafts: DRAFTS }, tokens)) && same;
  console.log(same ? "All say the same." : "They differ.");
  process.exitCode = same ? 0 : 1;
}

await main().catch(failWith);
