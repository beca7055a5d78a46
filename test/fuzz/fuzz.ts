/**
 * Reads damaged files, many of them: what a reader throws must be a PiPhiError, soon, and nothing may hang, die or fill the
 * memory. An execution depends on the seed, the reader's name and its number alone, so that each can be done again.
 */

import { Worker } from "node:worker_threads";
import { PiPhiError } from "../../runtime/errors.ts";
import { crc32 } from "../../runtime/weights/crc32.ts";
import { Random } from "../fixtures/random-blocks.ts";
import { mutate } from "./mutate.ts";

/** The files that one thing is read from: one, or several as the parts of a model. */
export type Files = readonly Uint8Array[];

export interface Reader {
  readonly name: string;
  /** How many of all executions it gets, in relation to the others. */
  readonly share: number;
  /** Sound files to be damaged; all of them must be read without an error. */
  seeds(): Promise<readonly Files[]>;
  /** Bytes at a file's beginning that are worth damaging; default: all. */
  focus?(file: Uint8Array): number;
  /** Makes checksums right again, in place, so that damage comes as far as the readers behind them. */
  mend?(file: Uint8Array): void;
  /** Reads and uses what it has read. */
  read(files: Files): unknown;
  close?(): Promise<void>;
}

export interface Report {
  name: string;
  executions: number;
  /** How often each code came; "fine" where nothing was thrown. */
  outcomes: Record<string, number>;
  slowestMs: number;
}

/** Nothing here has more than a few megabytes to read. */
const SLOW_MS = 5000;
const HANGING_MS = 60_000;
const MOST_GROWTH_BYTES = 1 << 30;
const MENDED_SHARE = 0.8;

/** Executions `from` to `to` of a reader. Throws an error that says how to do the execution again that went wrong. */
export async function fuzz(reader: Reader, seed: number, from: number, to: number): Promise<Report> {
  const seeds = await reader.seeds();
  for (const files of seeds) await reader.read(files);
  const report: Report = { name: reader.name, executions: to - from, outcomes: {}, slowestMs: 0 };
  const watchdog = watch(reader.name, seed);
  const before = process.memoryUsage.rss();
  try {
    for (let execution = from; execution < to; execution++) {
      watchdog.begin(execution);
      const start = performance.now();
      const outcome = await attempt(reader, damagedFiles(reader, seeds, seed, execution), seed, execution);
      const took = performance.now() - start;
      report.slowestMs = Math.max(report.slowestMs, took);
      report.outcomes[outcome] = (report.outcomes[outcome] ?? 0) + 1;
      if (took > SLOW_MS) throw new Error(`${again(reader.name, seed, execution)} took ${Math.round(took)} ms`);
      if (process.memoryUsage.rss() - before < MOST_GROWTH_BYTES) continue;
      throw new Error(`${again(reader.name, seed, execution)}, or one before it, has filled the memory`);
    }
  } finally {
    watchdog.end();
    await reader.close?.();
  }
  return report;
}

const again = (name: string, seed: number, execution: number) =>
  `FUZZ_READER=${name} FUZZ_SEED=${seed} FUZZ_FROM=${execution} npm run check:fuzz`;

async function attempt(reader: Reader, files: Files, seed: number, execution: number): Promise<string> {
  try {
    await reader.read(files);
    return "fine";
  } catch (error) {
    if (error instanceof PiPhiError && error.code !== "E_KERNEL" && error.code !== "E_ENGINE") return error.code;
    throw new Error(`${again(reader.name, seed, execution)}: ${String(error)}`, { cause: error });
  }
}

function damagedFiles(reader: Reader, seeds: readonly Files[], seed: number, execution: number): Files {
  const random = new Random(crc32(new TextEncoder().encode(`${reader.name} ${seed} ${execution}`)));
  const pick = () => seeds[Math.floor(random.uniform() * seeds.length)];
  const files = [...pick()];
  const donors = pick();
  const at = Math.floor(random.uniform() * files.length);
  const file = files[at];
  files[at] = mutate(file, random, reader.focus?.(file) ?? file.length, donors[at % donors.length]);
  if (reader.mend && random.uniform() < MENDED_SHARE) reader.mend(files[at]);
  return files;
}

/** Ends the process where an execution never returns: nothing else can, since it holds the thread. */
function watch(name: string, seed: number) {
  const words = new Int32Array(new SharedArrayBuffer(4));
  const script = `const { workerData } = require("node:worker_threads");
    for (let seen; ; seen = Atomics.load(workerData.words, 0)) {
      if (Atomics.wait(workerData.words, 0, seen ?? 0, ${HANGING_MS}) !== "timed-out") continue;
      require("node:fs").writeSync(2, workerData.text + Atomics.load(workerData.words, 0) + " hangs\\n");
      process.kill(process.pid, "SIGABRT");
    }`;
  const text = `FUZZ_READER=${name} FUZZ_SEED=${seed} FUZZ_FROM=`;
  const worker = new Worker(script, { eval: true, workerData: { words, text } });
  worker.unref();
  return {
    begin(execution: number) {
      Atomics.store(words, 0, execution);
      Atomics.notify(words, 0);
    },
    end: () => void worker.terminate(),
  };
}

/** A line for each reader. */
export function printReport({ name, executions, outcomes, slowestMs }: Report): void {
  const counts = Object.entries(outcomes).sort(([, a], [, b]) => b - a);
  const text = counts.map(([code, count]) => `${code} ${count}`).join(", ");
  console.log(`${name}: ${executions} executions, slowest ${slowestMs.toFixed(0)} ms: ${text}`);
}
