/**
 * What answers held to a shape cost:
 *
 *   node tools/bench/shapes.mjs [--model FILE] [--threads N] [--names 500] [--json]
 *
 * Compiling the schema of all intents of a home, the mask's share of a token, and how many passes a home command takes. The
 * embedded model is always measured; --model is one of Phi-2's size, whose decode step the mask is compared with. Exits with
 * 1 if a goal is missed.
 */

import os from "node:os";
import { parseArgs } from "node:util";
import { requireBuild } from "./limits/pack.mjs";
import { formatGoals, isMet } from "./many/report.mjs";
import { describeMachine, engineName } from "./peers/machine.mjs";
import { intentsSchema, measureCommand, measureCompile, measureMask, openShapes } from "./shapes/measure.mjs";
import { failWith, wholeNumber } from "./usage.mjs";

function parse(args) {
  const { values } = parseArgs({
    args,
    options: {
      model: { type: "string" },
      threads: { type: "string", default: `${os.availableParallelism()}` },
      names: { type: "string", default: "500" },
      json: { type: "boolean", default: false },
    },
  });
  return {
    model: values.model,
    threads: wholeNumber("threads", values.threads, 1, 64),
    names: wholeNumber("names", values.names, 1, 5000),
    json: values.json,
  };
}

async function main({ model, threads, names, json }) {
  requireBuild();
  const { load, EMBEDDED_MODEL } = await import("../../dist/devices/node/index.js");
  const schema = intentsSchema(names);
  const goals = [];
  const shapes = await openShapes(EMBEDDED_MODEL);
  const compile = measureCompile(shapes, schema);
  goals.push({ name: `compiling all intents with ${names} names, ms`, value: compile.firstMs, most: 100 });
  goals.push({ name: "asking for them once more, ms", value: compile.againMs, most: 5 });
  const mask = measureMask(shapes, schema);
  goals.push({ name: "a token's mask, embedded model, first answer, us", value: mask.firstUs });
  goals.push({ name: "a token's mask, embedded model, us", value: mask.laterUs, most: 60 });
  const embedded = await load(undefined, { threads });
  const command = await measureCommand(embedded, schema);
  await embedded.close();
  goals.push({ name: "passes a token of a home command", value: command.passes / command.tokens, most: 0.6 });
  if (model) {
    const phi = await load(model, { threads, contextLength: 512 });
    const big = await openShapes(model);
    const stepMs = await measureStep(phi);
    await phi.close();
    const text = measureMask(big, { type: "string" });
    const commands = measureMask(big, schema);
    const share = (us) => (100 * us) / 1000 / stepMs;
    goals.push({ name: "the mask of a text: % of a decode step", value: share(text.laterUs), most: 5 });
    goals.push({ name: "the mask of a command: % of a decode step", value: share(commands.laterUs), most: 5 });
  }
  const machine = describeMachine();
  if (json) console.log(JSON.stringify({ machine, goals }));
  else console.log(`${machine.cpu}, ${threads} threads, ${engineName()}\n${formatGoals(goals)}`);
  if (!goals.every(isMet)) process.exitCode = 1;
}

/** Milliseconds of a decode step. */
async function measureStep(phi) {
  const { timings } = await phi.generate("Once upon a time", { maxTokens: 33, ignoreEos: true, drafts: 0 });
  return timings.decodeMs / 32;
}

try {
  await main(parse(process.argv.slice(2)));
} catch (error) {
  failWith(error);
}
