/**
 * How the threads of a team meet. All threads run the same program; between two operations they meet at a barrier,
 * and within an operation each takes the next chunk of work from a shared counter, so that a busy core costs a
 * little instead of stalling everyone.
 *
 * Control block, a cache line for each word that is written often:
 *     0 arrived      threads at the barrier
 *    64 generation   number of barriers passed
 *   128 next         the next chunk nobody has taken
 *   192 stop         set by anyone who wants the team to stop; 196: what the team agreed on at the last barrier
 *   256 sleepers     threads that gave up spinning
 *   320 failed       set when a thread of the team is lost
 *   384 job          number of jobs given out; 388: threads waiting for the next; 392: who takes part (runtime/compute/team.ts)
 */

// @ts-ignore: decorator
@inline const GENERATION: usize = 64;
// @ts-ignore: decorator
@inline const NEXT: usize = 128;
// @ts-ignore: decorator
@inline const STOP: usize = 192;
// @ts-ignore: decorator
@inline const AGREED: usize = 196;
// @ts-ignore: decorator
@inline const SLEEPERS: usize = 256;
// @ts-ignore: decorator
@inline const FAILED: usize = 320;
// @ts-ignore: decorator
@inline const JOB: usize = 384;
// @ts-ignore: decorator
@inline const IDLE: usize = 388;
/** A sleeper looks up this often (ns) whether the team is still whole. */
// @ts-ignore: decorator
@inline const PATIENCE: i64 = 200_000_000;

/** The first of `count` chunks of work that the caller now owns. */
export function team_take(control: usize, count: i32): i32 {
  return atomic.add<i32>(control + NEXT, count);
}

/**
 * Waits until all `threads` have arrived and resets the chunk counter. Spins `spins` times, then sleeps.
 * Returns the stop word as the team agrees on it (the last to arrive reads it for all), or -1 if a thread is lost.
 */
export function team_barrier(control: usize, threads: i32, spins: i32): i32 {
  const generation = atomic.load<i32>(control + GENERATION);
  if (atomic.add<i32>(control, 1) == threads - 1) {
    atomic.store<i32>(control, 0);
    atomic.store<i32>(control + NEXT, 0);
    atomic.store<i32>(control + AGREED, atomic.load<i32>(control + STOP));
    atomic.store<i32>(control + GENERATION, generation + 1);
    if (atomic.load<i32>(control + SLEEPERS)) atomic.notify(control + GENERATION, -1);
  } else {
    while (atomic.load<i32>(control + GENERATION) == generation) {
      if (spins-- > 0) continue;
      if (atomic.load<i32>(control + FAILED)) return -1;
      atomic.add<i32>(control + SLEEPERS, 1);
      atomic.wait<i32>(control + GENERATION, generation, PATIENCE);
      atomic.sub<i32>(control + SLEEPERS, 1);
    }
  }
  return atomic.load<i32>(control + AGREED);
}

/** Waits until more than `done` jobs were given out; spins, then sleeps. Returns their number. */
export function team_await(control: usize, done: i32, spins: i32): i32 {
  while (atomic.load<i32>(control + JOB) == done) {
    if (spins-- > 0) continue;
    atomic.add<i32>(control + IDLE, 1);
    atomic.wait<i32>(control + JOB, done, -1);
    atomic.sub<i32>(control + IDLE, 1);
  }
  return atomic.load<i32>(control + JOB);
}

/** Gives out the next job to the team. */
export function team_start(control: usize): void {
  atomic.add<i32>(control + JOB, 1);
  if (atomic.load<i32>(control + IDLE)) atomic.notify(control + JOB, -1);
}
