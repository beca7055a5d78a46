/**
 * ggml's weight blocks, as they lie in a GGUF file, decoded to f32. Every format stores small integers q and scales;
 * each function below draws its block and states the formula. Rounding follows ggml: one f32 multiplication for the
 * scale of a group, one for each weight, one addition where there is a minimum.
 *
 * Bits are numbered from the lowest. `d`, `m`, `dmin` are f16; columns are those of the block. Source of the layouts:
 * ggml-common.h and ggml-quants.c of https://github.com/ggml-org/ggml.
 */

import { floatToHalf, HALF_TO_FLOAT, halfBits, halfToFloat, loadHalfMask } from "./lanes";

/** ggml's numbers for the block types. */
export const enum Block {
  F32 = 0,
  F16 = 1,
  Q4_0 = 2,
  Q4_1 = 3,
  Q5_0 = 6,
  Q5_1 = 7,
  Q8_0 = 8,
  Q2_K = 10,
  Q3_K = 11,
  Q4_K = 12,
  Q5_K = 13,
  Q6_K = 14,
  IQ4_NL = 20,
  IQ4_XS = 23,
  BF16 = 30,
}

/** Columns of a block; the types without blocks count as blocks of 32. */
// @ts-expect-error: decorator
@inline export function blockColumns(type: i32): i32 {
  return (type >= Block.Q2_K && type <= Block.Q6_K) || type == Block.IQ4_XS ? 256 : 32;
}

/** Bytes of a block; traps for a type that is not in the list. */
export function blockBytes(type: i32): i32 {
  switch (type) {
    case Block.F32: return 128;
    case Block.F16: case Block.BF16: return 64;
    case Block.Q4_0: case Block.IQ4_NL: return 18;
    case Block.Q4_1: return 20;
    case Block.Q5_0: return 22;
    case Block.Q5_1: return 24;
    case Block.Q8_0: return 34;
    case Block.Q2_K: return 84;
    case Block.Q3_K: return 110;
    case Block.Q4_K: return 144;
    case Block.Q5_K: return 176;
    case Block.Q6_K: return 210;
    case Block.IQ4_XS: return 136;
  }
  assert(false);
  return 0;
}

/**
 * Decodes `k` weights of a row of blocks at `src` to `k` f32 at `dst`; `k` is a multiple of 32 and of the block.
 * Returns 1 if a value is NaN or infinite, else 0. Traps for an unknown type or a `k` that cuts a block.
 */
export function dequantize_row(type: i32, src: usize, k: i32, dst: usize): i32 {
  const columns = blockColumns(type), bytes = blockBytes(type);
  assert(k > 0 && k % columns == 0);
  const end = dst + (<usize>k << 2);
  for (let out = dst; out < end; out += columns << 2) {
    decode(type, src, out);
    src += bytes;
  }
  return hasNonFinite(dst, end);
}

/** One block to blockColumns(type) f32; a type that blockBytes() knows. */
export function decode(type: i32, block: usize, dst: usize): void {
  switch (type) {
    case Block.F32: memory.copy(dst, block, 128); break;
    case Block.F16: decodeF16(block, dst); break;
    case Block.BF16: decodeBF16(block, dst); break;
    case Block.Q4_0: decodeQ4_0(block, dst); break;
    case Block.Q4_1: decodeQ4_1(block, dst); break;
    case Block.Q5_0: decodeQ5_0(block, dst); break;
    case Block.Q5_1: decodeQ5_1(block, dst); break;
    case Block.Q8_0: decodeQ8_0(block, dst); break;
    case Block.Q2_K: decodeQ2_K(block, dst); break;
    case Block.Q3_K: decodeQ3_K(block, dst); break;
    case Block.Q4_K: decodeQ4_K(block, dst); break;
    case Block.Q5_K: decodeQ5_K(block, dst); break;
    case Block.Q6_K: decodeQ6_K(block, dst); break;
    case Block.IQ4_NL: decodeIQ4_NL(block, dst); break;
    case Block.IQ4_XS: decodeIQ4_XS(block, dst); break;
  }
}

/** Whether one of the f32 in [from, to) has the exponent of infinities and NaN. */
function hasNonFinite(from: usize, to: usize): i32 {
  const exponent = i32x4.splat(0x7f800000);
  let bad = i32x4.splat(0);
  for (; from < to; from += 16) bad = v128.or(bad, i32x4.eq(v128.and(v128.load(from), exponent), exponent));
  return v128.any_true(bad) ? 1 : 0;
}

/** The f16 at `p` as f32, infinities and NaN included. */
// @ts-expect-error: decorator
@inline export function half(p: usize): f32 {
  const bits = load<u16>(p);
  const x = halfToFloat(bits);
  return (bits & 0x7c00) == 0x7c00 ? reinterpret<f32>(reinterpret<u32>(x) | 0x7f800000) : x;
}

/** f32 to f16 bits, round to nearest even; what is too large becomes infinite. */
// @ts-expect-error: decorator
@inline export function toHalf(x: f32): u32 {
  // 65520 lies halfway between the largest finite f16 and the first that is none.
  if (abs(x) < 65520.0) return floatToHalf(x);
  return isNaN(x) ? 0x7e00 : x < 0 ? 0xfc00 : 0x7c00;
}

// @ts-expect-error: decorator
@inline export function lowNibbles(v: v128): v128 {
  return v128.and(v, i8x16.splat(15));
}

// @ts-expect-error: decorator
@inline export function highNibbles(v: v128): v128 {
  return v128.and(i16x8.shr_u(v, 4), i8x16.splat(15));
}

/** Bits shift .. shift + n - 1 of each byte, for mask = 2^n - 1; they must not cross a byte's end. */
// @ts-expect-error: decorator
@inline function bitField(v: v128, shift: i32, mask: i8): v128 {
  return v128.and(i16x8.shr_u(v, shift), i8x16.splat(mask));
}

/** Bit i of the 16 bits at `p` as byte i: `value` where it is set, else 0. */
// @ts-expect-error: decorator
@inline export function spreadBits(p: usize, value: i8): v128 {
  const bit = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
  const bytes = v128.load16_splat(p);
  const spread = i8x16.shuffle(bytes, bytes, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1);
  return v128.and(i8x16.eq(v128.and(spread, bit), bit), i8x16.splat(value));
}

/** IQ4's sixteen levels. */
// @ts-expect-error: decorator
@inline export function codebook(nibbles: v128): v128 {
  return i8x16.swizzle(i8x16(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113), nibbles);
}

// @ts-expect-error: decorator
@inline function storeFour(shorts: v128, d: v128, m: v128, dst: usize): void {
  v128.store(dst, f32x4.add(f32x4.mul(d, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(shorts))), m));
  v128.store(dst + 16, f32x4.add(f32x4.mul(d, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(shorts))), m));
}

/** 16 f32 at `dst`: d * q + m for the 16 signed bytes q. */
// @ts-expect-error: decorator
@inline function storeAffine(q: v128, d: f32, m: f32, dst: usize): void {
  storeFour(i16x8.extend_low_i8x16_s(q), f32x4.splat(d), f32x4.splat(m), dst);
  storeFour(i16x8.extend_high_i8x16_s(q), f32x4.splat(d), f32x4.splat(m), dst + 32);
}

/** 16 f32 at `dst`: d * q. Adding -0 changes no number. */
// @ts-expect-error: decorator
@inline function storeScaled(q: v128, d: f32, dst: usize): void {
  storeAffine(q, d, -0.0, dst);
}

/** 32 f16. */
function decodeF16(p: usize, dst: usize): void {
  const infinity = i32x4.splat(0x7f800000);
  for (let i: usize = 0; i < 32; i += 4) {
    const bits = halfBits(p + (i << 1), loadHalfMask());
    const special = i32x4.ge_s(v128.and(bits, i32x4.splat(0x7fffffff)), i32x4.splat(0x0f800000));
    v128.store(dst + (i << 2), v128.or(f32x4.mul(bits, f32x4.splat(HALF_TO_FLOAT)), v128.and(special, infinity)));
  }
}

/** 32 times the upper half of an f32. */
function decodeBF16(p: usize, dst: usize): void {
  for (let i: usize = 0; i < 32; i += 4) v128.store(dst + (i << 2), i32x4.shl(v128.load16x4_u(p + (i << 1)), 16));
}

/**
 *   | d 2 | nibbles 16: byte j = column j (low), column 16+j (high) |      w = d * (nibble - 8)
 */
function decodeQ4_0(p: usize, dst: usize): void {
  const d = half(p), v = v128.load(p, 2);
  storeScaled(i8x16.sub(lowNibbles(v), i8x16.splat(8)), d, dst);
  storeScaled(i8x16.sub(highNibbles(v), i8x16.splat(8)), d, dst + 64);
}

/**
 *   | d 2 | m 2 | nibbles 16 as in Q4_0 |      w = d * nibble + m
 */
function decodeQ4_1(p: usize, dst: usize): void {
  const d = half(p), m = half(p + 2), v = v128.load(p, 4);
  storeAffine(lowNibbles(v), d, m, dst);
  storeAffine(highNibbles(v), d, m, dst + 64);
}

/**
 *   | d 2 | high bits 4: bit i = column i | nibbles 16 as in Q4_0 |      w = d * (nibble + 16 * bit - 16)
 */
function decodeQ5_0(p: usize, dst: usize): void {
  const d = half(p);
  storeScaled(lowQ5_0(p), d, dst);
  storeScaled(highQ5_0(p), d, dst + 64);
}

/** Columns 0-15 of a Q5_0 block as signed bytes. */
// @ts-expect-error: decorator
@inline export function lowQ5_0(p: usize): v128 {
  return i8x16.sub(v128.or(lowNibbles(v128.load(p, 6)), spreadBits(p + 2, 16)), i8x16.splat(16));
}

/** Columns 16-31 of a Q5_0 block as signed bytes. */
// @ts-expect-error: decorator
@inline export function highQ5_0(p: usize): v128 {
  return i8x16.sub(v128.or(highNibbles(v128.load(p, 6)), spreadBits(p + 4, 16)), i8x16.splat(16));
}

/**
 *   | d 2 | m 2 | high bits 4 | nibbles 16 |  as in Q5_0      w = d * (nibble + 16 * bit) + m
 */
function decodeQ5_1(p: usize, dst: usize): void {
  const d = half(p), m = half(p + 2), v = v128.load(p, 8);
  storeAffine(v128.or(lowNibbles(v), spreadBits(p + 4, 16)), d, m, dst);
  storeAffine(v128.or(highNibbles(v), spreadBits(p + 6, 16)), d, m, dst + 64);
}

/**
 *   | d 2 | signed bytes 32 |      w = d * byte
 */
function decodeQ8_0(p: usize, dst: usize): void {
  const d = half(p);
  storeScaled(v128.load(p, 2), d, dst);
  storeScaled(v128.load(p, 18), d, dst + 64);
}

/**
 *   | scales 16: low nibble = scale, high nibble = minimum of 16 columns | pairs of bits 64 | d 2 | dmin 2 |
 *   pairs: byte 32g+l holds the columns 128g + 32j + l, j = 0..3, at bit 2j
 *   w = (d * scale) * pair - (dmin * minimum)
 */
function decodeQ2_K(p: usize, dst: usize): void {
  const d = half(p + 80), dmin = half(p + 82);
  for (let i = 0; i < 16; i++) {
    const g = i >> 3, j = (i >> 1) & 3, h = i & 1;
    const scale = load<u8>(p + i);
    const pairs = v128.load(p + 16 + (g << 5) + (h << 4));
    storeAffine(bitField(pairs, j << 1, 3), d * <f32>(scale & 15), -(dmin * <f32>(scale >> 4)), dst + (i << 6));
  }
}

/**
 *   | high bits 32: byte l, bit s = column 32s + l | pairs of bits 64 as in Q2_K | scales 12 | d 2 |
 *   scale i (of 16 columns), 6 bits: the lower 4 in byte i%8 at bit 4*(i/8), the upper 2 in byte 8 + i%4 at bit 2*(i/4)
 *   w = (d * (scale - 32)) * (pair + 4 * bit - 4)
 */
function decodeQ3_K(p: usize, dst: usize): void {
  const d = half(p + 108);
  for (let i = 0; i < 16; i++) {
    const g = i >> 3, j = (i >> 1) & 3, h = i & 1;
    const low = (<i32>load<u8>(p + 96 + (i & 7)) >> (g << 2)) & 15;
    const high = (<i32>load<u8>(p + 104 + (i & 3)) >> ((i >> 2) << 1)) & 3;
    const pairs = bitField(v128.load(p + 32 + (g << 5) + (h << 4)), j << 1, 3);
    const bits = bitField(v128.load(p + (h << 4)), i >> 1, 1);
    const q = i8x16.sub(v128.or(pairs, i16x8.shl(bits, 2)), i8x16.splat(4));
    storeScaled(q, d * <f32>((low | (high << 4)) - 32), dst + (i << 6));
  }
}

/**
 * Eight 6-bit scales and minimums of 32 columns in 12 bytes at `p` (Q4_K, Q5_K):
 *   byte 0-3: scale 0-3, above it the upper 2 bits of scale 4-7
 *   byte 4-7: minimum 0-3, above it the upper 2 bits of minimum 4-7
 *   byte 8-11: the lower 4 bits of scale 4-7, above them those of minimum 4-7
 */
// @ts-expect-error: decorator
@inline export function scaleK(p: usize, s: i32): f32 {
  if (s < 4) return <f32>(load<u8>(p + s) & 63);
  return <f32>((load<u8>(p + s + 4) & 15) | ((load<u8>(p + s - 4) >> 6) << 4));
}

// @ts-expect-error: decorator
@inline export function minimumK(p: usize, s: i32): f32 {
  if (s < 4) return <f32>(load<u8>(p + s + 4) & 63);
  return <f32>((load<u8>(p + s + 4) >> 4) | ((load<u8>(p + s) >> 6) << 4));
}

/**
 *   | d 2 | dmin 2 | scales and minimums 12 | nibbles 128: byte 32t+l = columns 64t+l (low), 64t+32+l (high) |
 *   w = (d * scale) * nibble - (dmin * minimum)
 */
function decodeQ4_K(p: usize, dst: usize): void {
  const d = half(p), dmin = half(p + 2);
  for (let i = 0; i < 16; i++) {
    const s = i >> 1, h = i & 1;
    const nibbles = bitField(v128.load(p + 16 + ((s >> 1) << 5) + (h << 4)), (s & 1) << 2, 15);
    storeAffine(nibbles, d * scaleK(p + 4, s), -(dmin * minimumK(p + 4, s)), dst + (i << 6));
  }
}

/**
 *   | d 2 | dmin 2 | scales and minimums 12 | high bits 32: byte l, bit s = column 32s + l | nibbles 128 as in Q4_K |
 *   w = (d * scale) * (nibble + 16 * bit) - (dmin * minimum)
 */
function decodeQ5_K(p: usize, dst: usize): void {
  const d = half(p), dmin = half(p + 2);
  for (let i = 0; i < 16; i++) {
    const s = i >> 1, h = i & 1;
    const nibbles = bitField(v128.load(p + 48 + ((s >> 1) << 5) + (h << 4)), (s & 1) << 2, 15);
    const bits = bitField(v128.load(p + 16 + (h << 4)), s, 1);
    const q = v128.or(nibbles, i16x8.shl(bits, 4));
    storeAffine(q, d * scaleK(p + 4, s), -(dmin * minimumK(p + 4, s)), dst + (i << 6));
  }
}

/**
 *   | nibbles 128: byte 64g+l = columns 128g+l (low), 128g+64+l (high) | pairs of bits 64 as in Q2_K |
 *   | signed scales 16, of 16 columns each | d 2 |
 *   w = (d * scale) * (nibble + 16 * pair - 32)
 */
function decodeQ6_K(p: usize, dst: usize): void {
  const d = half(p + 208);
  for (let i = 0; i < 16; i++) {
    const g = i >> 3, j = (i >> 1) & 3, h = i & 1;
    const nibbles = bitField(v128.load(p + (g << 6) + ((j & 1) << 5) + (h << 4)), (j >> 1) << 2, 15);
    const pairs = bitField(v128.load(p + 128 + (g << 5) + (h << 4)), j << 1, 3);
    const q = i8x16.sub(v128.or(nibbles, i16x8.shl(pairs, 4)), i8x16.splat(32));
    storeScaled(q, d * <f32>load<i8>(p + 192 + i), dst + (i << 6));
  }
}

/**
 *   | d 2 | nibbles 16 as in Q4_0 |      w = d * codebook[nibble]
 */
function decodeIQ4_NL(p: usize, dst: usize): void {
  const d = half(p), v = v128.load(p, 2);
  storeScaled(codebook(lowNibbles(v)), d, dst);
  storeScaled(codebook(highNibbles(v)), d, dst + 64);
}

/** Scale s (0..7) of an IQ4_XS block, of 32 columns. */
// @ts-expect-error: decorator
@inline export function scaleIQ4_XS(p: usize, s: i32): f32 {
  const low = (<i32>load<u8>(p + 4 + (s >> 1)) >> ((s & 1) << 2)) & 15;
  const high = (<i32>load<u16>(p + 2) >> (s << 1)) & 3;
  return half(p) * <f32>((low | (high << 4)) - 32);
}

/**
 *   | d 2 | upper 2 bits of scale s at bit 2s 2 | lower 4 bits of scale s in byte s/2 at bit 4*(s%2) 4 | nibbles 128 |
 *   nibbles: for each of the 8 scales 16 bytes as in Q4_0      w = (d * (scale - 32)) * codebook[nibble]
 */
function decodeIQ4_XS(p: usize, dst: usize): void {
  for (let s = 0; s < 8; s++) {
    const d = scaleIQ4_XS(p, s), v = v128.load(p + 8 + (s << 4));
    storeScaled(codebook(lowNibbles(v)), d, dst + (s << 7));
    storeScaled(codebook(highNibbles(v)), d, dst + (s << 7) + 64);
  }
}
