/** One thread of a team for team.test.ts: runs a scenario with the real kernels and says how it ended. */

import { parentPort, workerData } from "node:worker_threads";
import { createWasiHost } from "../../devices/wasi/host.ts";
import { instantiateKernels } from "../../runtime/compute/instance.ts";
import { Stopped, Team } from "../../runtime/compute/team.ts";
import type { Device } from "../../runtime/device.ts";
import { PiPhiError } from "../../runtime/errors.ts";

export interface Scenario {
  module: WebAssembly.Module;
  memory: WebAssembly.Memory;
  control: number;
  /** i32[rounds][items]: how often each item was run. */
  counts: number;
  /** i32: the job's description, written by the leader. */
  job: number;
  threads: number;
  index: number;
  rounds: number;
  items: number;
  /** Whether the leader gives out each round as a job of its own. */
  jobs: boolean;
  /** Whether other threads take part in each job. */
  changing: boolean;
}

/** How a thread's part ended, after how many whole rounds. */
export interface Ending {
  ending: "done" | "stopped" | "disorder" | string;
  rounds: number;
}

function play(scenario: Scenario): Ending {
  const { module, memory, control, threads, index, rounds, items, jobs, changing } = scenario;
  const kernels = instantiateKernels({ wasi: createWasiHost } as unknown as Device, module, memory);
  const team = new Team(kernels, memory.buffer, control, threads, index);
  const words = new Int32Array(memory.buffer);
  const count = (round: number, item: number) => scenario.counts / 4 + round * items + item;
  const takingPart = (round: number) =>
    changing && round < rounds - 1 ? 1 + ((round * round + 3 * round) % threads) : threads;
  let disorder = false;
  for (let round = 0; round < rounds; round++) {
    if (jobs && index === 0) {
      words[scenario.job / 4] = round;
      team.active = takingPart(round);
      team.start();
    } else if (jobs) {
      team.next();
      const given = words[scenario.job / 4];
      disorder ||= changing ? given < round : given !== round;
      disorder ||= team.active !== takingPart(given) || index >= team.active;
      round = given;
    }
    // Two operations side by side; an item may see only a whole round before its own.
    const half = items >> 1;
    const run = (item: number): void => {
      Atomics.add(words, count(round, item), 1);
      if (round > 0 && words[count(round - 1, (item * 7) % items)] !== 1) disorder = true;
    };
    try {
      const second = { name: "second", items: items - half, run: (item: number) => run(half + item) };
      team.run({ name: "first", items: half, run }, second);
    } catch (error) {
      if (error instanceof Stopped) return { ending: "stopped", rounds: round };
      return { ending: error instanceof PiPhiError ? `${error.code} ${error.message}` : String(error), rounds: round };
    }
  }
  return { ending: disorder ? "disorder" : "done", rounds };
}

parentPort!.postMessage(play(workerData as Scenario));
