/** Which units of weights stay in memory where not all can. */

import type { Span } from "../weights/shape.ts";

/** Sizes are compared in steps of this many bytes. */
const GRAIN_BYTES = 1 << 18;

/**
 * Indices of the units to keep within `capacityBytes`. Every byte that stays is one less to read for each token, whichever
 * it is; so layers (pairs of the first `2 * layers` units) as a whole as long as they fit, then what fills the rest best.
 */
export function choosePinned(units: readonly Span[], layers: number, capacityBytes: number): ReadonlySet<number> {
  const chosen = new Set<number>();
  let room = capacityBytes;
  for (let layer = 0; layer < layers; layer++) {
    const bytes = units[2 * layer].bytes + units[2 * layer + 1].bytes;
    if (bytes > room) continue;
    room -= bytes;
    chosen.add(2 * layer).add(2 * layer + 1);
  }
  const left = Array.from(units.keys()).filter((unit) => !chosen.has(unit));
  const sizes = left.map((unit) => units[unit].bytes);
  for (const i of closestSum(sizes, room)) chosen.add(left[i]);
  return chosen;
}

/** Indices of the sizes whose sum comes closest to `capacityBytes` without exceeding it, by the sums that can be reached. */
function closestSum(sizesBytes: readonly number[], capacityBytes: number): number[] {
  const capacity = Math.floor(capacityBytes / GRAIN_BYTES);
  if (capacity <= 0) return [];
  const sizes = sizesBytes.map((bytes) => Math.ceil(bytes / GRAIN_BYTES));
  /** reached[sum]: 1 + the size that first made this sum possible; 0 = not possible. */
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
  const chosen: number[] = [];
  while (sum > 0) {
    const size = reached[sum] - 1;
    chosen.push(size);
    sum -= sizes[size];
  }
  return chosen;
}
