/**
 * `piphi serve` over HTTP, as clients of OpenAI use it:
 *
 *   node tools/bench/serve.mjs [--model FILE] [--peers FOLDER] [--generate 32] [--history 1000] [--disconnects 300]
 *                              [--seconds 180] [--json]
 *
 * Four chats at once and a second turn on a model of Phi-2's size, beside one chat alone; clients that leave at any moment;
 * memory under mixed load, on the embedded model. Exits with 1 if a goal is missed. An hour: --seconds 3600.
 */

import { endOnSignals, preparePack, requireBuild, temporaryFolder } from "./limits/pack.mjs";
import { formatGoals, isMet } from "./many/report.mjs";
import { describeMachine, engineName, warnIfBusy } from "./peers/machine.mjs";
import { MODEL_OPTIONS, modelAsked, prepareModel, warmPageCache } from "./peers/model.mjs";
import { measureDisconnects, measureLoad, measureSecondTurn, measureTogether, startServer } from "./serve/measure.mjs";
import { failWith, parseOptions } from "./usage.mjs";

async function onFullModel(pack, { generate, history }, tell) {
  const server = await startServer([pack, "--parallel", "4", "--ctx", "2048"]);
  try {
    tell(await measureTogether(server, generate));
    tell(await measureSecondTurn(server, history));
  } finally {
    await server.stop();
  }
}

async function onEmbedded({ disconnects, seconds }, tell) {
  const server = await startServer(["--parallel", "4"]);
  try {
    tell(await measureDisconnects(server, disconnects));
    tell(await measureLoad(server, seconds));
  } finally {
    await server.stop();
  }
}

async function main() {
  const { values, numbers } = parseOptions(
    process.argv.slice(2),
    { generate: [32, 4, 1000], history: [1000, 64, 1800], disconnects: [300, 1, 100_000], seconds: [180, 10, 86_400] },
    { ...MODEL_OPTIONS, json: { type: "boolean", default: false } },
  );
  requireBuild();
  endOnSignals();
  process.env.PIPHI_HOME = temporaryFolder();
  const asked = modelAsked(values);
  const pack = preparePack(prepareModel(asked), undefined, asked.folder);
  await warmPageCache(pack);
  await warnIfBusy();
  const machine = describeMachine();
  if (!values.json) console.log(`${machine.cpu}, ${engineName()}`);
  const goals = [];
  const tell = (some) => {
    goals.push(...some);
    if (!values.json) console.log(formatGoals(some));
  };
  await onFullModel(pack, numbers, tell);
  await onEmbedded(numbers, tell);
  if (values.json) console.log(JSON.stringify({ machine, goals }));
  process.exit(goals.every(isMet) ? 0 : 1);
}

await main().catch(failWith);
