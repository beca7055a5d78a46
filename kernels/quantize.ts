/**
 * Activations as the matmul kernels read them: symmetric integers, one f32 scale for each 32 of them.
 *
 *   row for q4 tiles   values | k/32 f32 scales | k/32 i32 sums
 *     relaxed build: values are k signed bytes (-127..127)
 *     simd build:    the same numbers as i16; of each four, in the order 0 2 1 3, so that the two 32-bit halves meet
 *                    the even and the odd nibbles of a tile
 *   row for q8 tiles   k i16 (-32767..32767) | k/32 f32 scales
 *
 * Sixteen bits cost nothing where the weights are bytes (they are widened to i16 anyway) and take activation
 * rounding out of the error budget of int8 weights.
 */

import { RELAXED, maxLanes, roundToInt, roundToInt1 } from "./lanes";

// @ts-ignore: decorator
@inline const BYTE_MAX: f32 = 127.0;
// @ts-ignore: decorator
@inline const SHORT_MAX: f32 = 32767.0;
/** Blocks below this are zero: their reciprocal would overflow. */
// @ts-ignore: decorator
@inline const SMALLEST: f32 = 1e-30;

/** Bytes of the values of a row for q4 tiles; the scales follow. */
// @ts-ignore: decorator
@inline export function valueBytes4(k: usize): usize {
  return RELAXED ? k : k << 1;
}

/** Bytes of an activation row of k numbers for q4 and q4m tiles. */
export function activation_bytes_q4(k: usize): usize {
  return valueBytes4(k) + (k >> 2);
}

/** Bytes of an activation row of k numbers for q8 tiles. */
export function activation_bytes_q8(k: usize): usize {
  return (k << 1) + (k >> 3);
}

/** Largest magnitude of 32 f32; NaN if one is NaN. */
// @ts-ignore: decorator
@inline function absoluteMaximum(src: usize): f32 {
  let m = f32x4.abs(v128.load(src));
  for (let i: usize = 16; i < 128; i += 16) m = f32x4.max(m, f32x4.abs(v128.load(src + i)));
  return maxLanes(m);
}

// @ts-ignore: decorator
@inline function narrow8(p: usize, inverse: v128): v128 {
  return i16x8.narrow_i32x4_s(
    roundToInt(f32x4.mul(v128.load(p), inverse)),
    roundToInt(f32x4.mul(v128.load(p, 16), inverse)),
  );
}

/**
 * Quantizes blocks [from, to) of 32 numbers of an f32 row into an activation row for q4 tiles.
 * `src` f32[k], `dst` a row of activation_bytes_q4(k).
 */
export function quantize_q4(src: usize, dst: usize, k: usize, from: usize, to: usize): void {
  const scales = dst + valueBytes4(k);
  const sums = scales + (k >> 3);
  for (let b = from; b < to; b++) {
    const p = src + (b << 7);
    const m = absoluteMaximum(p);
    const inverse = f32x4.splat(m > SMALLEST ? BYTE_MAX / m : 0);
    let sum = i32x4.splat(0);
    for (let i: usize = 0; i < 32; i += 16) {
      const x = narrow8(p + (i << 2), inverse);
      const y = narrow8(p + (i << 2) + 32, inverse);
      sum = i32x4.add(sum, i32x4.dot_i16x8_s(i16x8.add(x, y), i16x8.splat(1)));
      if (RELAXED) {
        v128.store(dst + (b << 5) + i, i8x16.narrow_i16x8_s(x, y));
      } else {
        const q = dst + (b << 6) + (i << 1);
        v128.store(q, i8x16.shuffle(x, x, 0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
        v128.store(q + 16, i8x16.shuffle(y, y, 0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15));
      }
    }
    store<f32>(scales + (b << 2), m / BYTE_MAX);
    store<i32>(
      sums + (b << 2),
      i32x4.extract_lane(sum, 0) + i32x4.extract_lane(sum, 1) + i32x4.extract_lane(sum, 2) + i32x4.extract_lane(sum, 3),
    );
  }
}

/** The scalar form of `quantize_q4`, and its specification. */
export function quantize_q4_reference(src: usize, dst: usize, k: usize, from: usize, to: usize): void {
  const scales = dst + valueBytes4(k);
  const sums = scales + (k >> 3);
  for (let b = from; b < to; b++) {
    const m = absoluteMaximum1(src + (b << 7));
    const inverse: f32 = m > SMALLEST ? BYTE_MAX / m : 0;
    let sum = 0;
    for (let i: usize = 0; i < 32; i++) {
      const q = roundToInt1(load<f32>(src + (((b << 5) + i) << 2)) * inverse);
      sum += q;
      store_q4(dst, (b << 5) + i, q);
    }
    store<f32>(scales + (b << 2), m / BYTE_MAX);
    store<i32>(sums + (b << 2), sum);
  }
}

// @ts-ignore: decorator
@inline function absoluteMaximum1(src: usize): f32 {
  let m: f32 = 0;
  for (let i: usize = 0; i < 32; i++) m = max(m, abs(load<f32>(src + (i << 2))));
  return m;
}

// @ts-ignore: decorator
@inline function store_q4(row: usize, i: usize, q: i32): void {
  if (RELAXED) store<i8>(row + i, q);
  else store<i16>(row + (((i & ~3) + (((i & 1) << 1) | ((i >> 1) & 1))) << 1), q);
}

/** Number i of an activation row for q4 tiles. */
// @ts-ignore: decorator
@inline export function load_q4(row: usize, i: usize): i32 {
  if (RELAXED) return load<i8>(row + i);
  return load<i16>(row + (((i & ~3) + (((i & 1) << 1) | ((i >> 1) & 1))) << 1));
}

/**
 * Quantizes blocks [from, to) of 32 numbers of an f32 row into an activation row for q8 tiles.
 * `src` f32[k], `dst` a row of activation_bytes_q8(k).
 */
export function quantize_q8(src: usize, dst: usize, k: usize, from: usize, to: usize): void {
  const scales = dst + (k << 1);
  for (let b = from; b < to; b++) {
    const p = src + (b << 7);
    const m = absoluteMaximum(p);
    const inverse = f32x4.splat(m > SMALLEST ? SHORT_MAX / m : 0);
    for (let i: usize = 0; i < 128; i += 32) v128.store(dst + (b << 6) + (i >> 1), narrow8(p + i, inverse));
    store<f32>(scales + (b << 2), m / SHORT_MAX);
  }
}

/** The scalar form of `quantize_q8`, and its specification. */
export function quantize_q8_reference(src: usize, dst: usize, k: usize, from: usize, to: usize): void {
  const scales = dst + (k << 1);
  for (let b = from; b < to; b++) {
    const m = absoluteMaximum1(src + (b << 7));
    const inverse: f32 = m > SMALLEST ? SHORT_MAX / m : 0;
    for (let i: usize = 0; i < 32; i++) {
      const q = roundToInt1(load<f32>(src + (((b << 5) + i) << 2)) * inverse);
      store<i16>(dst + (((b << 5) + i) << 1), max(-32767, min(32767, q)));
    }
    store<f32>(scales + (b << 2), m / SHORT_MAX);
  }
}
