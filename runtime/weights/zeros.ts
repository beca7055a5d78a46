/** Stretches of zeros among weights: what an interrupted download leaves in a file that already has its full size. */

import type { ByteSource } from "../device.ts";
import type { PiPhiError } from "../errors.ts";
import { damaged, quote } from "./faults.ts";

/** Downloads leave megabytes; weights that are zero by nature take no such stretch, and are no zero bytes in most formats. */
const STRETCH_BYTES = 256 << 10;

/**
 * Where a stretch of zeros begins in `bytes` of a tensor that has `tensorBytes` in all; -1 where there is none. A tensor that
 * is smaller than a stretch must not be zero as a whole. Looks at the first bytes of each stretch only, unless they are zeros.
 */
export function findZeros(bytes: Uint8Array, tensorBytes: number): number {
  const stretch = Math.min(STRETCH_BYTES, tensorBytes);
  // Two stretches that meet may hold one in between: half of one is enough to look at.
  const step = Math.max(1, stretch >> 1);
  for (let at = 0; stretch > 0 && at + stretch <= bytes.length; at += step) {
    const end = at + stretch;
    let next = at;
    while (next < end && bytes[next] === 0) next++;
    if (next === end) return at;
  }
  return -1;
}

/** E_FILE_CORRUPT: `offset` counts from the tensor's beginning. */
export function zeroFilled(source: ByteSource, tensor: string, offset: number): PiPhiError {
  const what = `the tensor ${quote(tensor)} is filled with zeros from its byte ${offset} on, as interrupted downloads are`;
  return damaged(source.name, what, { tensor, offset }, "Download it again.");
}
