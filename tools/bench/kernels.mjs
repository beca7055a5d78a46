/**
 * Micro-benchmarks of every kernel, on one thread, with the V8 flags of the product and the builds in dist/:
 *
 *   node tools/bench/kernels.mjs [--only TEXT] [--build relaxed,simd] [--repeat 9] [--ms 8] [--weights 256] [--json]
 *
 * --only keeps the kernels whose name contains a text; --repeat samples of --ms milliseconds each are taken after a
 * warm-up; --weights are the MiB of the matrix that is meant not to fit into any cache. PIPHI_REVECTORIZE=0 measures
 * without V8's revectorization. Shapes are Phi-2's; attention is that of all 32 heads of a layer.
 */

import fs from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { kernelCases, obstacleTo } from "./kernels/cases.mjs";
import { createBench } from "./kernels/engine.mjs";
import { AT } from "./kernels/layout.mjs";
import { formatKernels } from "./kernels/report.mjs";
import { callsFor, inUnit, timeCalls } from "./kernels/timing.mjs";
import { describeMachine, engineName } from "./peers/machine.mjs";
import { spread } from "./peers/report.mjs";
import { failWith, UsageError, wholeNumber } from "./usage.mjs";

const ROOT = new URL("../../", import.meta.url);
const BUILDS = ["relaxed", "simd"];

function parse(args) {
  const { values } = parseArgs({
    args,
    options: {
      only: { type: "string", default: "" },
      build: { type: "string", default: BUILDS.join(",") },
      repeat: { type: "string", default: "9" },
      ms: { type: "string", default: "8" },
      weights: { type: "string", default: "256" },
      json: { type: "boolean", default: false },
    },
  });
  const builds = values.build.split(",");
  const unknown = builds.find((build) => !BUILDS.includes(build));
  if (unknown !== undefined)
    throw new UsageError(`--build ${unknown} does not exist. Choose from ${BUILDS.join(", ")}.`);
  const weightBytes = wholeNumber("weights", values.weights, 32, 3072) * 2 ** 20;
  const cases = kernelCases(weightBytes).filter(({ name }) => name.includes(values.only));
  if (cases.length === 0) throw new UsageError(`No kernel is called ${values.only}. Omit --only to see their names.`);
  return {
    builds,
    cases,
    weightBytes,
    repeat: wholeNumber("repeat", values.repeat, 1, 1000),
    sampleMs: wholeNumber("ms", values.ms, 1, 1000),
    json: values.json,
  };
}

function measure(kase, build, repeat, sampleMs) {
  kase.fill(build.memory);
  const { run, work } = kase.prepare(build);
  const calls = callsFor(run, sampleMs);
  const samples = Array.from({ length: repeat }, () => inUnit(kase.unit, timeCalls(run, calls), work));
  return spread(samples);
}

async function main() {
  const { builds, cases, weightBytes, repeat, sampleMs, json } = parse(process.argv.slice(2));
  const bench = await createBench(AT.weights + weightBytes);
  const results = [];
  const skipped = [];
  for (const name of builds) {
    const file = fileURLToPath(new URL(`dist/kernels/${name}.wasm`, ROOT));
    if (!fs.existsSync(file)) throw new UsageError("PiPhi is not built. Run: npm run build");
    const build = await bench.instantiate(fs.readFileSync(file));
    for (const kase of cases) {
      const { unit, kernel } = kase;
      const reason = build ? obstacleTo(kase, name, build.exports) : `${engineName()} does not accept this build`;
      if (reason !== undefined) {
        if (!kase.relaxedOnly) skipped.push({ build: name, name: kase.name, reason });
        continue;
      }
      build.activate();
      const values = measure(kase, { ...build, memory: bench.memory }, repeat, sampleMs);
      results.push({ build: name, name: kase.name, kernel, unit, values });
    }
  }
  const report = { machine: describeMachine(), engine: engineName(), repeat, sampleMs, weightBytes, results, skipped };
  if (json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else
    process.stdout.write(`${report.machine.cpu}, ${report.engine}, one thread\n\n${formatKernels(results, skipped)}`);
}

await main().catch(failWith);
