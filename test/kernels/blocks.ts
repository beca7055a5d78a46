/** Seeded random weight blocks for the kernels' tests. */

import type { BlockType } from "../../runtime/weights/tiles.ts";

/** Uniform numbers in [0, 1): Marsaglia's xorshift32. */
export function random(seed: number): () => number {
  let state = seed | 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
}

/** Byte offsets of the f16 scales in a block; none for the types without blocks. */
export const SCALE_OFFSETS: Record<string, readonly number[]> = {
  Q4_0: [0],
  Q4_1: [0, 2],
  Q5_0: [0],
  Q5_1: [0, 2],
  Q8_0: [0],
  Q2_K: [80, 82],
  Q3_K: [108],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
  IQ4_NL: [0],
  IQ4_XS: [0],
};

/** f16 bit patterns for scales and, for the 16-bit types, weights. */
export type HalfBits = (next: () => number) => number;

const between = (low: number, high: number): HalfBits => {
  return (next) => low + Math.floor(next() * (high - low)) + (next() < 0.5 ? 0x8000 : 0);
};

export const HALVES: Record<string, HalfBits> = {
  /** 2^-13 .. 2^-7, either sign: what files have. */
  usual: between(0x0800, 0x2000),
  /** Powers of two: their products with 6-bit scales are exact in f16. */
  powers: (next) => ((2 + Math.floor(next() * 10)) << 10) + (next() < 0.5 ? 0x8000 : 0),
  subnormal: between(0, 0x400),
  zero: (next) => (next() < 0.5 ? 0 : 0x8000),
  /** Everything from zero to 2^-2. */
  any: between(0, 0x3400),
};

/** `count` weights of a type: random bits, but scales (and dense weights) drawn by `half`. */
export function randomBlocks(type: BlockType, count: number, half: HalfBits, next: () => number): Uint8Array {
  const bytes = new Uint8Array((count / type.elements) * type.bytes);
  const view = new DataView(bytes.buffer);
  if (type.elements === 1) {
    // The upper half of an f32 with an f16's exponent and sign: 2^-16 .. 2^14.
    const upper = (bits: number): number => (bits & 0x8000) | ((bits & 0x7fff) >> 3) | 0x3800;
    for (let i = 0; i < count; i++) {
      const bits = half(next);
      if (type.bytes === 4) view.setUint32(4 * i, ((upper(bits) << 16) | (next() * 0x10000)) >>> 0, true);
      else view.setUint16(2 * i, type.name === "BF16" ? upper(bits) : bits, true);
    }
    return bytes;
  }
  for (let i = 0; i < bytes.length; i++) bytes[i] = next() * 256;
  for (let at = 0; at < bytes.length; at += type.bytes) {
    for (const offset of SCALE_OFFSETS[type.name]) view.setUint16(at + offset, half(next), true);
  }
  return bytes;
}
