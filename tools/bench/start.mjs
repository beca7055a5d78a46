/**
 * From starting a process to the first token of its answer, the model mapped and in the page cache:
 *
 *   node tools/bench/start.mjs [--model FILE] [--pack FILE] [--peers FOLDER] [--threads N] [--ctx N] [--repeat 11]
 *                              [--node PATH …] [--json]
 *
 * Starts `piphi run` with one word of prompt and one token of answer, again and again, and takes the time to its first
 * output; the first start of each Node is not counted. Without --model, one is made in the peers' folder.
 */

import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { endOnSignals, preparePack, requireBuild, temporaryFolder } from "./limits/pack.mjs";
import { ourEngines } from "./peers/engines.mjs";
import { describeMachine, warnIfBusy } from "./peers/machine.mjs";
import { cacheFolder, prepareModel, warmPageCache } from "./peers/model.mjs";
import { measureStart } from "./start/measure.mjs";
import { formatStarts } from "./start/report.mjs";
import { failWith, wholeNumber } from "./usage.mjs";

function parse(args) {
  const { values } = parseArgs({
    args,
    options: {
      model: { type: "string" },
      pack: { type: "string" },
      peers: { type: "string", default: cacheFolder() },
      threads: { type: "string", default: `${os.availableParallelism()}` },
      ctx: { type: "string", default: "512" },
      repeat: { type: "string", default: "11" },
      node: { type: "string", multiple: true, default: [process.execPath] },
      json: { type: "boolean", default: false },
    },
  });
  return {
    ...values,
    folder: path.resolve(values.peers),
    threads: wholeNumber("threads", values.threads, 1, 64),
    contextLength: wholeNumber("ctx", values.ctx, 1, 1_000_000),
    repeat: wholeNumber("repeat", values.repeat, 1, 1000),
  };
}

async function main() {
  const { folder, threads, contextLength, repeat, node, json, ...options } = parse(process.argv.slice(2));
  requireBuild();
  endOnSignals();
  const model = prepareModel({ model: options.model && path.resolve(options.model), folder });
  const pack = preparePack(model, options.pack, folder);
  await warmPageCache(pack);
  const env = { ...process.env, PIPHI_HOME: temporaryFolder() };
  const flags = ["--threads", `${threads}`, "--ctx", `${contextLength}`];
  const results = [];
  for (const { engine, node: program } of ourEngines(node)) {
    const busy = await warnIfBusy();
    const onRound = (round) => console.error(`${engine}: start ${round} of ${repeat}`);
    const ms = await measureStart(program, pack, { repeat, flags, env, onRound });
    results.push({ engine, threads, contextLength, busyCores: busy, ms });
  }
  const machine = describeMachine();
  process.stdout.write(json ? `${JSON.stringify({ machine, results }, null, 2)}\n` : formatStarts(results));
}

await main().catch(failWith);
