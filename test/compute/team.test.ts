/** The team's barrier, work counter and jobs on real threads. */

import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import esbuild from "esbuild";
import { beforeAll, describe, expect, it } from "vitest";
import { askToStop, CONTROL_BYTES, reportLoss } from "../../runtime/compute/team.ts";
import { bytesOfBuild } from "../checkasm.ts";
import type { Ending, Scenario } from "./team-worker.ts";

const CONTROL = 0x10000;
const JOB = CONTROL + CONTROL_BYTES;
const COUNTS = 0x11000;
const PAGES = 16;

let code = "";
beforeAll(async () => {
  const entry = fileURLToPath(new URL("team-worker.ts", import.meta.url));
  const options = { bundle: true, write: false, platform: "node", format: "cjs", logLevel: "silent" } as const;
  code = (await esbuild.build({ ...options, entryPoints: [entry] })).outputFiles[0].text;
});

interface Run {
  memory: WebAssembly.Memory;
  endings: Promise<Ending[]>;
}

/** Starts threads 0..`started`-1 of a team of `threads`. */
function start(
  scenario: { threads: number; rounds: number; items: number; jobs?: boolean; changing?: boolean },
  started?: number,
): Run {
  const memory = new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  const module = new WebAssembly.Module(bytesOfBuild("simd") as BufferSource);
  const common = {
    module,
    memory,
    control: CONTROL,
    counts: COUNTS,
    job: JOB,
    jobs: false,
    changing: false,
    ...scenario,
  };
  const threads = Array.from({ length: started ?? scenario.threads }, (_, index) => {
    const workerData: Scenario = { ...common, index };
    const worker = new Worker(code, { eval: true, workerData, execArgv: [] });
    return new Promise<Ending>((resolve, reject) => {
      worker.once("message", resolve);
      worker.once("error", reject);
    });
  });
  return { memory, endings: Promise.all(threads) };
}

const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
const countsOf = (memory: WebAssembly.Memory, count: number) => new Int32Array(memory.buffer, COUNTS, count);

describe.each([1, 2, 3, 4])("a team of %i", (threads) => {
  it("runs every item of thousands of rounds once, and no round before the last is whole", async () => {
    const [rounds, items] = [3000, 9];
    const { memory, endings } = start({ threads, rounds, items });
    expect(await endings).toEqual(Array(threads).fill({ ending: "done", rounds }));
    expect(countsOf(memory, rounds * items).every((count) => count === 1)).toBe(true);
  });

  it("follows its leader from job to job", async () => {
    const [rounds, items] = [1000, 5];
    const { memory, endings } = start({ threads, rounds, items, jobs: true });
    expect(await endings).toEqual(Array(threads).fill({ ending: "done", rounds }));
    expect(countsOf(memory, rounds * items).every((count) => count === 1)).toBe(true);
  });

  it("does jobs in which only some take part, others in each", async () => {
    const [rounds, items] = [3000, 5];
    const { memory, endings } = start({ threads, rounds, items, jobs: true, changing: true });
    expect(await endings).toEqual(Array(threads).fill({ ending: "done", rounds }));
    expect(countsOf(memory, rounds * items).every((count) => count === 1)).toBe(true);
  });

  it("stops at one and the same barrier", async () => {
    const { memory, endings } = start({ threads, rounds: 50_000, items: 4 });
    const counts = countsOf(memory, 4 * 50_000);
    while (Atomics.load(counts, 4 * 100) === 0) await pause(1);
    askToStop(memory.buffer, CONTROL);
    const all = await endings;
    expect(new Set(all.map(({ ending }) => ending))).toEqual(new Set(["stopped"]));
    const [{ rounds }] = all;
    expect(all.map((each) => each.rounds)).toEqual(Array(threads).fill(rounds));
    expect(counts.subarray(0, 4 * (rounds + 1)).every((count) => count === 1)).toBe(true);
    expect(counts[4 * (rounds + 1)]).toBe(0);
  });
});

it("gives up, rather than wait for ever, when a thread is lost", async () => {
  const { memory, endings } = start({ threads: 3, rounds: 10, items: 2 }, 2);
  let over = false;
  void endings.then(() => (over = true));
  await pause(300);
  expect(over).toBe(false);
  reportLoss(memory.buffer, CONTROL);
  const lost = { ending: "E_ENGINE A worker thread ended unexpectedly. Load the model again.", rounds: 0 };
  expect(await endings).toEqual([lost, lost]);
});
