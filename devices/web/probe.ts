/**
 * How many threads really run side by side. Browsers may name more cores than there are for a page (WebKitGTK does), and
 * threads that share a core hold the others up at every barrier. So the threads count together for a few milliseconds,
 * first one, then two, and so on, while the others sleep, until one more brings nothing.
 *
 * Words of the shared buffer, a cache line each: the round (16 times its number, and how many threads count in it); the
 * same while they do; how many have finished; then what each thread has counted.
 */

import type { Thread } from "../../runtime/device.ts";

const LINE = 16;
const ROUND = 0;
const GOING = LINE;
const DONE = 2 * LINE;
const COUNTS = 3 * LINE;
const ROUND_STEP = 16;
const ROUND_MS = 4;
/** The better of so many: other programs run, too. */
const ROUNDS = 2;
const WARM_UP_MS = 2;
/** A thread that is late may have been asleep: what counts then is that it can run at all. */
const LIMIT_MS = 100;
/** One more thread must bring so much, or it is not worth its share of barriers. */
const GAIN = 1.15;

/** What a member of the team is asked before it gets to know its model. */
export interface Probe {
  type: "probe";
  buffer: SharedArrayBuffer;
  /** The leader is 0. */
  index: number;
}

/** The number of threads to use, the caller's own included, of those that run already; all that come within LIMIT_MS. */
export async function sideBySide(team: readonly Thread[]): Promise<number> {
  if (team.length === 0) return 1;
  const words = new Int32Array(new SharedArrayBuffer((COUNTS + (team.length + 1) * LINE) * 4));
  const ready = team.map((thread, i) => {
    return new Promise<void>((resolve) => {
      thread.onMessage(() => resolve());
      thread.post({ type: "probe", buffer: words.buffer, index: i + 1 } satisfies Probe);
    });
  });
  const late = new Promise<"late">((resolve) => setTimeout(resolve, LIMIT_MS, "late"));
  const come = await Promise.race([Promise.all(ready), late]);
  warmUp();
  const together = (threads: number) => {
    const rounds = Array.from({ length: ROUNDS }, () => slowestOf(words, threads));
    return threads * Math.max(...rounds);
  };
  const threads = come === "late" ? team.length + 1 : worthwhile(team.length + 1, together);
  Atomics.store(words, ROUND, -1);
  Atomics.notify(words, ROUND);
  return threads;
}

/** How many threads are worth having, of at most so many, by how fast so many of them are together. */
export function worthwhile(most: number, together: (threads: number) => number): number {
  let best = together(1);
  for (let threads = 2; threads <= most; threads++) {
    const more = together(threads);
    if (more < GAIN * best) return threads - 1;
    best = more;
  }
  return most;
}

/** Leader: lets the first so many threads count for a while; what the slowest of them has counted in a millisecond. */
function slowestOf(words: Int32Array, threads: number): number {
  const round = (Atomics.load(words, ROUND) & -ROUND_STEP) + ROUND_STEP + threads;
  Atomics.store(words, DONE, 0);
  Atomics.store(words, GOING, round);
  Atomics.store(words, ROUND, round);
  Atomics.notify(words, ROUND);
  const start = performance.now();
  const own = count(() => performance.now() < start + ROUND_MS);
  // More than it should, where this thread had to wait for its core.
  const ms = performance.now() - start;
  Atomics.store(words, GOING, 0);
  for (;;) {
    const done = Atomics.load(words, DONE);
    if (done === threads - 1) break;
    if (Atomics.wait(words, DONE, done, LIMIT_MS) === "timed-out") return 0;
  }
  let least = own;
  for (let i = 1; i < threads; i++) least = Math.min(least, Atomics.load(words, COUNTS + i * LINE));
  return least / ms;
}

/** Member: says that it is there, and counts when it is asked to, until the leader has seen enough. */
export function takePart({ buffer, index }: Probe, ready: () => void): void {
  const words = new Int32Array(buffer);
  warmUp();
  ready();
  for (let round = 0; round >= 0; ) {
    Atomics.wait(words, ROUND, round);
    round = Atomics.load(words, ROUND);
    if (round < 0 || index >= round % ROUND_STEP) continue;
    const counted = count(() => Atomics.load(words, GOING) === round);
    Atomics.store(words, COUNTS + index * LINE, counted);
    Atomics.add(words, DONE, 1);
    Atomics.notify(words, DONE);
  }
}

function warmUp(): void {
  const end = performance.now() + WARM_UP_MS;
  count(() => performance.now() < end);
}

/** Pieces of work, of some microseconds each, that get done while `goOn` says so. */
function count(goOn: () => boolean): number {
  let pieces = 0;
  let x = 1;
  // What comes of the work decides, so that no compiler leaves it out; it is never 0.
  while (goOn() && x !== 0) {
    for (let i = 0; i < 4000; i++) x = (Math.imul(x, 1664525) + 1013904223) | 1;
    pieces++;
  }
  return pieces;
}
