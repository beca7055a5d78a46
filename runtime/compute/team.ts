/** One thread's view of the team: its share of each operation, and the barrier between operations. */

import { PiPhiError } from "../errors.ts";
import type { Kernels } from "./kernels.ts";

/** Words of the control block that JavaScript touches, as i32 indices (kernels/team.ts draws the block). */
const STOP = 192 / 4;
const FAILED = 320 / 4;
export const CONTROL_BYTES = 448;

/** About 50 us of spinning: longer than any operation's imbalance, shorter than a scheduler's time slice. */
const BARRIER_SPINS = 20_000;
/** Between tokens the sampler runs for tens of microseconds; after about a millisecond the team sleeps. */
const JOB_SPINS = 400_000;

/** Work that the team does together: `items` pieces, any of which any thread may run, at the same time as others. */
export interface Operation {
  /** What it counts as in a profile. */
  name: string;
  items: number;
  run(item: number): void;
}

/** Thrown on every thread of the team when the leader asked it to stop; never leaves the engine. */
export class Stopped extends Error {}

export class Team {
  /** Where this thread's milliseconds go, by operation, while there is a map to add them to. */
  profile: Map<string, number> | undefined;
  private done = 0;

  constructor(
    private readonly kernels: Kernels,
    private readonly control: number,
    readonly threads: number,
    /** 0 is the leader. */
    readonly index: number,
  ) {}

  /**
   * Does the operations' items together with the team, each item once, and waits until all are done. Operations of one
   * call must not depend on each other. Throws `Stopped` where the team agreed to stop.
   */
  run(...operations: Operation[]): void {
    let total = 0;
    for (const operation of operations) total += operation.items;
    for (;;) {
      let item = this.kernels.team_take(this.control, 1);
      if (item >= total) break;
      for (const operation of operations) {
        if (item < operation.items) {
          this.timed(operation.name, () => operation.run(item));
          break;
        }
        item -= operation.items;
      }
    }
    this.timed("waiting", () => this.meet());
  }

  /** Does `work` and, while there is a profile, counts its milliseconds as `name`. */
  timed<T>(name: string, work: () => T): T {
    const start = this.profile ? performance.now() : 0;
    const result = work();
    this.profile?.set(name, (this.profile.get(name) ?? 0) + performance.now() - start);
    return result;
  }

  /** Waits until all threads of the team are here; throws `Stopped` where they agreed to stop. */
  meet(): void {
    const spins = this.threads > 1 ? BARRIER_SPINS : 0;
    const agreed = this.kernels.team_barrier(this.control, this.threads, spins);
    if (agreed === 0) return;
    if (agreed < 0) throw lost();
    throw new Stopped();
  }

  /** Leader: gives out the job that was just described in shared memory. */
  start(): void {
    this.kernels.team_start(this.control);
  }

  /** Others: waits for the next job. */
  next(): void {
    this.done = this.kernels.team_await(this.control, this.done, JOB_SPINS);
  }
}

/** Asks the team to stop at its next barrier (or takes that back). Callable from any thread that sees the memory. */
export function requestStop(buffer: ArrayBufferLike, control: number, stop: boolean): void {
  Atomics.store(new Int32Array(buffer, control, CONTROL_BYTES / 4), STOP, stop ? 1 : 0);
}

/** Whether the team is asked to stop: for work that it has no part in. */
export function stopRequested(buffer: ArrayBufferLike, control: number): boolean {
  return Atomics.load(new Int32Array(buffer, control, CONTROL_BYTES / 4), STOP) !== 0;
}

function lost(): PiPhiError {
  return new PiPhiError("E_ENGINE", "A worker thread was lost. Load the model again.");
}

/** Throws E_ENGINE if a thread is gone: others may still be in the middle of its last job. */
export function refuseLost(buffer: ArrayBufferLike, control: number): void {
  if (Atomics.load(new Int32Array(buffer, control, CONTROL_BYTES / 4), FAILED) !== 0) throw lost();
}

/** Tells the team that one of its threads is gone; waiting threads give up. */
export function reportLoss(buffer: ArrayBufferLike, control: number): void {
  Atomics.store(new Int32Array(buffer, control, CONTROL_BYTES / 4), FAILED, 1);
}
