/**
 * Has a kernel become slower? Compiles the kernels of two commits and runs the micro-benchmarks of kernels.mjs on
 * both, in one process and on one memory, sample by sample in turn (A B, B A, A B …), so that what else the machine
 * does meets both:
 *
 *   node tools/bench/compare.mjs REV [REV2] [--only TEXT] [--pairs 15] [--threshold 5] [--ms 6] [--weights 256] [--json]
 *
 * REV2 is "." by default: the sources in this folder, committed or not. Exits with 1 if a kernel is slower by more
 * than --threshold percent and by more than the spread of the pairs.
 */

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { compileKernels } from "./compare/builds.mjs";
import { exitCodeOf, formatComparison, judge } from "./compare/judge.mjs";
import { kernelCases, obstacleTo } from "./kernels/cases.mjs";
import { createBench } from "./kernels/engine.mjs";
import { AT } from "./kernels/layout.mjs";
import { callsFor, inUnit, timeCalls } from "./kernels/timing.mjs";
import { describeMachine, engineName } from "./peers/machine.mjs";
import { spread } from "./peers/report.mjs";
import { failWith, UsageError, wholeNumber } from "./usage.mjs";

const BUILDS = ["relaxed", "simd"];

function parse(args) {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      only: { type: "string", default: "" },
      pairs: { type: "string", default: "15" },
      threshold: { type: "string", default: "5" },
      ms: { type: "string", default: "6" },
      weights: { type: "string", default: "256" },
      json: { type: "boolean", default: false },
    },
  });
  if (positionals.length < 1 || positionals.length > 2) {
    throw new UsageError("Name one or two commits: npm run bench:compare -- REV [REV2]");
  }
  const weightBytes = wholeNumber("weights", values.weights, 32, 3072) * 2 ** 20;
  const cases = kernelCases(weightBytes).filter(({ name }) => name.includes(values.only));
  if (cases.length === 0) throw new UsageError(`No kernel is called ${values.only}. Omit --only to compare all.`);
  return {
    revisions: [positionals[0], positionals[1] ?? "."],
    cases,
    weightBytes,
    pairs: wholeNumber("pairs", values.pairs, 3, 1000),
    threshold: wholeNumber("threshold", values.threshold, 1, 100) / 100,
    sampleMs: wholeNumber("ms", values.ms, 1, 1000),
    json: values.json,
  };
}

/** The compiled builds of both revisions; nothing stays on the disk. */
function compileBoth(revisions) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "piphi-compare-"));
  try {
    return revisions.map((revision, i) => {
      console.error(`Compiling the kernels of ${revision === "." ? "this folder" : revision}`);
      return compileKernels(revision, BUILDS, path.join(folder, `${i}`));
    });
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** A case on a build, with what the build laid out itself put aside, so that another can use the memory. */
function prepareOn(kase, build, memory) {
  build.activate();
  const { run, work, extents } = kase.prepare({ ...build, memory });
  const copies = extents.map(({ at, bytes }) => ({ at, data: new Uint8Array(memory.buffer, at, bytes).slice() }));
  const take = () => {
    build.activate();
    for (const { at, data } of copies) new Uint8Array(memory.buffer).set(data, at);
    run(); // brings code and data into the caches
  };
  return { run, work, take };
}

/** Times a case on two builds in turn. */
function measurePairs(kase, builds, memory, pairs, sampleMs) {
  kase.fill(memory);
  const prepared = builds.map((build) => prepareOn(kase, build, memory));
  prepared[0].take();
  const calls = callsFor(prepared[0].run, sampleMs);
  const timings = Array.from({ length: pairs }, (_, i) => {
    const pair = [];
    for (const which of i % 2 === 0 ? [0, 1] : [1, 0]) {
      prepared[which].take();
      pair[which] = timeCalls(prepared[which].run, calls);
    }
    return pair;
  });
  const inUnits = (which) => inUnit(kase.unit, spread(timings.map((pair) => pair[which])).median, prepared[which].work);
  return { ratios: timings.map(([a, b]) => b / a), first: inUnits(0), second: inUnits(1) };
}

/** Why a case cannot be compared, or undefined. */
function obstacle(kase, name, revisions, builds) {
  for (const [i, build] of builds.entries()) {
    const reason = build ? obstacleTo(kase, name, build.exports) : `no ${name} build that ${engineName()} accepts`;
    if (reason !== undefined) return `${revisions[i]}: ${reason}`;
  }
  return undefined;
}

async function main() {
  const { revisions, cases, weightBytes, pairs, threshold, sampleMs, json } = parse(process.argv.slice(2));
  const compiled = compileBoth(revisions);
  const bench = await createBench(AT.weights + weightBytes);
  const results = [];
  const skipped = [];
  for (const name of BUILDS) {
    const builds = [];
    for (const wasm of compiled) builds.push(wasm[name] && (await bench.instantiate(wasm[name])));
    for (const kase of cases) {
      if (kase.relaxedOnly && name !== "relaxed") continue;
      const reason = obstacle(kase, name, revisions, builds);
      if (reason !== undefined) {
        skipped.push({ build: name, name: kase.name, reason });
        continue;
      }
      const { ratios, first, second } = measurePairs(kase, builds, bench.memory, pairs, sampleMs);
      results.push({ build: name, name: kase.name, unit: kase.unit, first, second, ...judge(ratios, threshold) });
    }
  }
  const report = { machine: describeMachine(), engine: engineName(), revisions, pairs, threshold, results, skipped };
  if (json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  else process.stdout.write(formatComparison(revisions, results, skipped, threshold));
  process.exitCode = exitCodeOf(results);
}

await main().catch(failWith);
