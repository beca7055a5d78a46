/** Which units of weights stay in memory where not all can. */

import type { Span } from "../weights/shape.ts";

/** Sizes are compared in steps of this many bytes. */
const GRAIN_BYTES = 1 << 18;

/**
 * Indices of the units that together come closest to `capacityBytes` without exceeding it. Every byte that stays is one
 * less to read for each token, whichever it is: subset sum, by the sums that the first i units can reach.
 */
export function choosePinned(units: readonly Span[], capacityBytes: number): ReadonlySet<number> {
  const capacity = Math.floor(capacityBytes / GRAIN_BYTES);
  if (capacity <= 0) return new Set();
  const sizes = units.map(({ bytes }) => Math.ceil(bytes / GRAIN_BYTES));
  /** reached[sum]: 1 + the unit that first made this sum possible; 0 = not possible. */
  const reached = new Int32Array(capacity + 1);
  const reachable = new Uint8Array(capacity + 1);
  reachable[0] = 1;
  sizes.forEach((size, i) => {
    for (let sum = capacity; sum >= size; sum--) {
      if (reachable[sum] || !reachable[sum - size]) continue;
      reachable[sum] = 1;
      reached[sum] = i + 1;
    }
  });
  let sum = reachable.lastIndexOf(1);
  const chosen = new Set<number>();
  while (sum > 0) {
    const unit = reached[sum] - 1;
    chosen.add(unit);
    sum -= sizes[unit];
  }
  return chosen;
}
