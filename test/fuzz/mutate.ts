/** Damage, as disks, downloads and attackers do it: seeded, so that every damaged file can be made again. */

import type { Random } from "../fixtures/random-blocks.ts";

/** Numbers at which counts, lengths, offsets and types go wrong. */
const BYTES = [0, 1, 2, 7, 8, 9, 10, 12, 13, 0x1f, 0x20, 0x7f, 0x80, 0xff];
const WORDS = [0, 1, 3, 4, 31, 0xff, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xfffffff0, 0xffffffff];
const LONGS = [
  0n,
  1n,
  2n ** 31n,
  2n ** 32n - 1n,
  2n ** 32n,
  2n ** 40n,
  2n ** 53n,
  2n ** 53n + 1n,
  2n ** 63n,
  2n ** 64n - 1n,
];
const MOST_CHANGES = 6;
const MOST_SPAN = 64;

type Change = (bytes: Uint8Array, random: Random, focus: number, donor: Uint8Array) => Uint8Array;

const below = (random: Random, count: number): number => Math.floor(random.uniform() * Math.max(1, count));
const oneOf = <T>(random: Random, list: readonly T[]): T => list[below(random, list.length)];
const joined = (...parts: Uint8Array[]): Uint8Array => new Uint8Array(Buffer.concat(parts));

/** Changes that leave the length as it is; `write` has room for `bytes` bytes. */
function overwrite(bytes: number, write: (view: DataView, at: number, random: Random) => void): Change {
  return (file, random, focus) => {
    if (file.length < bytes) return file;
    const copy = file.slice();
    write(new DataView(copy.buffer), below(random, Math.min(focus, file.length - bytes + 1)), random);
    return copy;
  };
}

const CHANGES: readonly Change[] = [
  overwrite(1, (view, at, random) => view.setUint8(at, view.getUint8(at) ^ (1 << below(random, 8)))),
  overwrite(1, (view, at, random) => view.setUint8(at, oneOf(random, BYTES))),
  overwrite(4, (view, at, random) => view.setUint32(at, oneOf(random, WORDS), true)),
  overwrite(8, (view, at, random) => view.setBigUint64(at, oneOf(random, LONGS), true)),
  overwrite(8, (view, at, random) =>
    view.setBigUint64(at, view.getBigUint64(at, true) + BigInt(below(random, 5) - 2), true),
  ),
  /** A span that is gone, one that comes twice, one of another file, and the end that is missing. */
  (file, random, focus) => {
    const at = below(random, focus);
    return joined(file.subarray(0, at), file.subarray(at + 1 + below(random, MOST_SPAN)));
  },
  (file, random, focus) => {
    const at = below(random, focus);
    return joined(file.subarray(0, at + below(random, MOST_SPAN)), file.subarray(at));
  },
  (file, random, focus, donor) => {
    const [at, from] = [below(random, focus), below(random, donor.length)];
    const span = donor.subarray(from, from + 1 + below(random, MOST_SPAN));
    return joined(file.subarray(0, at), span, file.subarray(at + span.length));
  },
  (file, random) => file.subarray(0, below(random, file.length)),
];

/** A damaged copy of `file`, mostly within its first `focus` bytes. `donor`: another file, of which spans are taken. */
export function mutate(file: Uint8Array, random: Random, focus: number, donor: Uint8Array): Uint8Array {
  let changed = file;
  for (let left = 1 + below(random, MOST_CHANGES); left > 0; left--) {
    changed = oneOf(random, CHANGES)(changed, random, Math.min(focus, changed.length), donor);
  }
  return changed.slice();
}
