/** Times calls that take from a microsecond to a tenth of a second. */

/** Calls of `run` that take about `leastMs` together; found after two calls to warm up. */
export function callsFor(run, leastMs, now = () => performance.now()) {
  run();
  run();
  for (let calls = 1; ; calls *= 2) {
    const ms = timeCalls(run, calls, now) * calls;
    if (ms >= leastMs / 4) return Math.max(1, Math.ceil((calls * leastMs) / ms));
  }
}

/** Milliseconds of one call, as the mean of `calls`. */
export function timeCalls(run, calls, now = () => performance.now()) {
  const start = now();
  for (let i = 0; i < calls; i++) run();
  return (now() - start) / calls;
}

/** How a case's unit follows from milliseconds a call and work a call; times rise where speeds fall. */
const UNITS = {
  "GB/s": (ms, bytes) => bytes / ms / 1e6,
  "GMAC/s": (ms, products) => products / ms / 1e6,
  "ns each": (ms, elements) => (ms * 1e6) / elements,
  "us a layer": (ms, layers) => (ms * 1e3) / layers,
};

export function inUnit(unit, ms, work) {
  return UNITS[unit](ms, work);
}
