/** One thread's view of the team: its share of each operation, and the barrier between operations. */

import { PiPhiError } from "../errors.ts";
import type { Kernels } from "./kernels.ts";

/** Words of the control block that JavaScript touches, as i32 indices (kernels/team.ts draws the block). */
const STOP = 192 / 4;
const FAILED = 320 / 4;
/** The number of the last job, modulo 2^24, times 256, and how many threads take part in it. */
const TAKING_PART = 392 / 4;
const JOB_STEP = 256;
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

/** How a job ended: all of it done; stopped on request; or weights could not be read. */
export type JobEnd = "done" | "stopped" | "fault";

/** Thrown on every thread of the team when the leader asked it to stop; never leaves the engine. */
export class Stopped extends Error {}

export class Team {
  /** Where this thread's milliseconds go, by operation, while there is a map to add them to. */
  profile: Map<string, number> | undefined;
  /** Threads that take part in the job: the first so many of the team. The leader chooses before it starts one. */
  active: number;
  /** Leader: how others ask the team to stop. */
  signals: Signals | undefined;
  /** Jobs given out so far. */
  private jobs = 0;
  private readonly words: Int32Array;

  constructor(
    private readonly kernels: Kernels,
    buffer: ArrayBufferLike,
    private readonly control: number,
    readonly threads: number,
    /** 0 is the leader. */
    readonly index: number,
  ) {
    this.active = threads;
    this.words = new Int32Array(buffer, control, CONTROL_BYTES / 4);
  }

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
    if (this.profile) this.count(name, performance.now() - start);
    return result;
  }

  /** Adds milliseconds to the profile, while there is one. */
  count(name: string, ms: number): void {
    this.profile?.set(name, (this.profile.get(name) ?? 0) + ms);
  }

  /** Waits until all threads that take part are here; throws `Stopped` where they agreed to stop. */
  meet(): void {
    const spins = this.active > 1 ? BARRIER_SPINS : 0;
    if (this.signals !== undefined && this.signals.stopping !== 0) Atomics.store(this.words, STOP, 1);
    const agreed = this.kernels.team_barrier(this.control, this.active, spins);
    if (agreed === 0) return;
    if (agreed < 0) throw lost();
    throw new Stopped();
  }

  /** Leader: gives out the job that was just described in shared memory. */
  start(): void {
    this.jobs = (this.jobs + 1) | 0;
    Atomics.store(this.words, STOP, 0);
    Atomics.store(this.words, TAKING_PART, Math.imul(this.jobs, JOB_STEP) | this.active);
    this.kernels.team_start(this.control);
  }

  /**
   * Others: waits for the next job that this thread takes part in. One that does not sleeps, and may wake up late: the
   * leader waits only for those that do, so that a job whose number is not the word's is over already.
   */
  next(): void {
    for (let spins = JOB_SPINS; ; spins = 0) {
      this.jobs = this.kernels.team_await(this.control, this.jobs, spins);
      const word = Atomics.load(this.words, TAKING_PART);
      this.active = word & (JOB_STEP - 1);
      if (word - this.active === Math.imul(this.jobs, JOB_STEP) && this.index < this.active) return;
    }
  }
}

/** What the team is asked to stop for, where it is no request: all of them. */
export const STOP_ALL = 2 ** 30;

/** Words of a memory of their own: what the engine is asked to stop for, the messages sent to it, whose the pass is. */
const ASKED = 0;
const MESSAGES = 1;
const ALONE = 2;
const SIGNALS_BYTES = 12;

/**
 * How other threads reach an engine that is in the middle of a pass. Not in the model's memory: whoever has seen that keeps
 * all of it until its own garbage is collected.
 */
export class Signals {
  private readonly words: Int32Array;

  /** @param buffer the engine's, for its other side */
  constructor(readonly buffer: ArrayBufferLike) {
    this.words = new Int32Array(buffer);
  }

  static create(shared: boolean): Signals {
    return new Signals(shared ? new SharedArrayBuffer(SIGNALS_BYTES) : new ArrayBuffer(SIGNALS_BYTES));
  }

  /** Asks the team to stop at its next barrier, for the sake of a request. */
  requestStop(request: number): void {
    Atomics.store(this.words, ASKED, request);
  }

  /** For which request the team is asked to stop, or 0: for work that it has no part in. */
  get stopping(): number {
    return Atomics.load(this.words, ASKED);
  }

  /** Engine: which request the team was to stop for, or 0; it goes on now. */
  takeStop(): number {
    return Atomics.exchange(this.words, ASKED, 0);
  }

  /** The only request that the engine works for now, or 0: stopping the team for its sake costs nobody else anything. */
  get alone(): number {
    return Atomics.load(this.words, ALONE);
  }

  set alone(request: number) {
    Atomics.store(this.words, ALONE, request);
  }

  /** Counts a message that was sent to the engine, which looks for it between passes. */
  announce(): void {
    Atomics.add(this.words, MESSAGES, 1);
  }

  get announced(): number {
    return Atomics.load(this.words, MESSAGES);
  }
}

function lost(): PiPhiError {
  return new PiPhiError("E_ENGINE", "A worker thread ended unexpectedly. Load the model again.");
}

/** Throws E_ENGINE if a thread is gone: others may still be in the middle of its last job. */
export function refuseLost(buffer: ArrayBufferLike, control: number): void {
  if (Atomics.load(new Int32Array(buffer, control, CONTROL_BYTES / 4), FAILED) !== 0) throw lost();
}

/** Tells the team that one of its threads is gone; waiting threads give up. */
export function reportLoss(buffer: ArrayBufferLike, control: number): void {
  Atomics.store(new Int32Array(buffer, control, CONTROL_BYTES / 4), FAILED, 1);
}

/** Asks the team to stop at its next barrier. */
export function askToStop(buffer: ArrayBufferLike, control: number): void {
  Atomics.store(new Int32Array(buffer, control, CONTROL_BYTES / 4), STOP, 1);
}
