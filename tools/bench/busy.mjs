/**
 * How decode fares when it does not have the machine for itself:
 *
 *   node tools/bench/busy.mjs [--model FILE] [--peers FOLDER] [--threads 2] [--sweep] [--node PATH]
 *                             [--prompt 16] [--generate 24] [--repeat 3] [--json]
 *
 * Decodes on --threads, first alone, then while another process spins on one core, and prints what share of its speed
 * is left: for PiPhi, and for llama.cpp where bench:peers has installed it in the peers' folder. With --sweep, prefill
 * and decode of PiPhi instead, with 1, 2, 4 and 8 threads on one core and on two. Needs Linux and taskset.
 */

import fs from "node:fs";
import path from "node:path";
import { pinnedTo, usableCores, whileBusy } from "./busy/cores.mjs";
import { formatBusy, formatSweep, shareKept } from "./busy/report.mjs";
import { benchOurs, CLI, measureNative, ourEngines } from "./peers/engines.mjs";
import { describeMachine } from "./peers/machine.mjs";
import { MODEL_OPTIONS, modelAsked, prepareModel, warmPageCache } from "./peers/model.mjs";
import { failWith, parseOptions, UsageError } from "./usage.mjs";

const SWEEP_THREADS = [1, 2, 4, 8];
const SWEEP_CORES = [1, 2];

function parse(args) {
  const { values, numbers } = parseOptions(
    args,
    { threads: [2, 1, 64], prompt: [16, 2, 1024], generate: [24, 2, 512], repeat: [3, 1, 1000] },
    {
      ...MODEL_OPTIONS,
      sweep: { type: "boolean", default: false },
      node: { type: "string", default: process.execPath },
      json: { type: "boolean", default: false },
    },
  );
  const { prompt: promptTokens, generate: generateTokens, threads, repeat } = numbers;
  const { sweep, json, node } = values;
  const settings = { threads, promptTokens, generateTokens, repeat, contextLength: 1536 };
  return { ...modelAsked(values), sweep, json, node, settings };
}

async function measureBusy(engines, settings, core) {
  const results = [];
  for (const { engine: name, measure } of engines) {
    console.error(`${name}, alone`);
    const { decode: quiet, engine = name } = await measure(settings);
    console.error(`${name}, core ${core} busy`);
    const { decode: busy } = await whileBusy(core, () => measure(settings));
    results.push({ engine, threads: settings.threads, quiet, busy });
  }
  return results;
}

async function measureSweep({ engine, node }, settings, usable) {
  const results = [];
  for (const cores of SWEEP_CORES.filter((count) => count <= usable.length)) {
    for (const threads of SWEEP_THREADS) {
      console.error(`${engine}, threads: ${threads}, cores: ${cores}`);
      const launcher = pinnedTo(usable.slice(0, cores));
      const { prefill, decode } = await benchOurs(node, { ...settings, threads }, launcher);
      results.push({ engine, cores, threads, prefill, decode });
    }
  }
  return results;
}

async function main() {
  const { folder, sweep, json, node, settings, ...options } = parse(process.argv.slice(2));
  if (!fs.existsSync(CLI)) throw new UsageError("PiPhi is not built. Run: npm run build");
  const cores = usableCores();
  fs.mkdirSync(folder, { recursive: true });
  const model = prepareModel({ ...options, folder });
  await warmPageCache(model);
  const [ours] = ourEngines([node]);
  const all = { ...settings, folder, model };
  const machine = describeMachine();
  if (sweep) {
    const results = await measureSweep(ours, all, cores);
    process.stdout.write(json ? `${JSON.stringify({ machine, results }, null, 2)}\n` : formatSweep(results));
    return;
  }
  const engines = [{ ...ours, measure: (asked) => benchOurs(node, asked) }];
  if (fs.existsSync(path.join(folder, "node_modules/node-llama-cpp"))) {
    engines.push({ engine: "llama.cpp native", measure: measureNative });
  }
  const results = await measureBusy(engines, all, cores.at(-1));
  const shares = results.map((result) => ({ ...result, share: shareKept(result) }));
  process.stdout.write(json ? `${JSON.stringify({ machine, results: shares }, null, 2)}\n` : formatBusy(results));
}

await main().catch(failWith);
