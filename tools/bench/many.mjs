/**
 * Many conversations in one engine, beside what one alone takes:
 *
 *   node tools/bench/many.mjs [--model FILE] [--peers FOLDER] [--threads N] [--prompt 1000] [--system 500]
 *                             [--generate 32] [--json]
 *
 * Answers at once, an answer while a long prompt is read, a second turn, a restart with the prompt on disk, conversations
 * that begin alike. All are ratios within this run, each with what it should be; exits with 1 if one is missed. Without
 * --model, one of Phi-2's size is made in the peers' folder.
 */

import os from "node:os";
import { endOnSignals, preparePack, requireBuild, temporaryFolder } from "./limits/pack.mjs";
import { idsOf, measureBeside, measureShared, measureTogether, measureTurn } from "./many/measure.mjs";
import {
  formatGoals,
  goalOfRestart,
  goalOfShared,
  goalOfTurn,
  goalsBeside,
  goalsTogether,
  isMet,
} from "./many/report.mjs";
import { describeMachine, engineName, warnIfBusy } from "./peers/machine.mjs";
import { MODEL_OPTIONS, modelAsked, prepareModel, warmPageCache } from "./peers/model.mjs";
import { failWith, parseOptions } from "./usage.mjs";

const AT_ONCE = 4;
const CONVERSATIONS = 8;

function parse(args) {
  const { values, numbers } = parseOptions(
    args,
    {
      threads: [os.availableParallelism(), 1, 64],
      prompt: [1000, 64, 1900],
      system: [500, 64, 1900],
      generate: [32, 2, 1000],
    },
    { ...MODEL_OPTIONS, json: { type: "boolean", default: false } },
  );
  return { ...modelAsked(values), ...numbers, json: values.json };
}

/** Loads the pack for as long as `use` takes. */
async function withModel(load, pack, options, use) {
  const start = performance.now();
  const phi = await load(pack, options);
  try {
    return await use(phi, performance.now() - start);
  } finally {
    await phi.close();
  }
}

/** Measures one thing after the other; `tell` gets the goals of each. */
async function measure(load, pack, { threads, prompt, system, generate }, tell) {
  const context = (tokens) => Math.ceil((tokens + 64) / 32) * 32;
  const base = { threads, share: true };
  await withModel(load, pack, { ...base, contextLength: context(prompt + 200), parallel: AT_ONCE }, async (phi) => {
    tell(goalsTogether(await measureTogether(phi, AT_ONCE, generate)));
    tell(goalsBeside(await measureBeside(phi, prompt, prompt)));
    tell(goalOfTurn(await measureTurn(phi, prompt)));
  });
  const single = { ...base, contextLength: context(prompt), parallel: 1 };
  const bare = await withModel(load, pack, single, async (phi, ms) => ({ ms, vocabSize: phi.info.config.vocabSize }));
  const warm = { ...single, warm: [idsOf(500, prompt, bare.vocabSize)], diskCache: "2G" };
  const prefillMs = await withModel(load, pack, warm, async (_, ms) => ms - bare.ms);
  const warmMs = await withModel(load, pack, warm, async (_, ms) => ms - bare.ms);
  tell(goalOfRestart({ warmMs, prefillMs }));
  const many = { ...base, contextLength: context(system + 32), parallel: CONVERSATIONS };
  await withModel(load, pack, many, async (phi) => {
    tell(goalOfShared(await measureShared(phi, CONVERSATIONS, system)));
  });
}

async function main() {
  const asked = parse(process.argv.slice(2));
  requireBuild();
  endOnSignals();
  process.env.PIPHI_HOME = temporaryFolder();
  const pack = preparePack(prepareModel(asked), undefined, asked.folder);
  await warmPageCache(pack);
  await warnIfBusy();
  const { load } = await import("../../dist/devices/node/index.js");
  const machine = describeMachine();
  if (!asked.json) console.log(`${machine.cpu}, ${asked.threads} threads, ${engineName()}`);
  const goals = [];
  await measure(load, pack, asked, (some) => {
    goals.push(...some);
    if (!asked.json) console.log(formatGoals(some));
  });
  if (asked.json) console.log(JSON.stringify({ machine, goals }));
  process.exit(goals.every(isMet) ? 0 : 1);
}

await main().catch(failWith);
