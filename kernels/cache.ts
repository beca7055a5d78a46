/**
 * The key/value cache of one head, and how a token's rows get into it.
 *
 * Bytes of a head (ctx positions, a multiple of 32; head_dim a multiple of 16), headBytes apart:
 *
 *   int8   K: ctx/32 tiles of head_dim/2 rows of 32 pairs (dimension 2i, 2i+1 of a position)
 *          | V: ctx/2 rows of head_dim pairs (position 2i, position 2i+1)
 *          | K scales: ctx f16 | V scales: ctx f16                 headBytes = ctx * (2 * head_dim + 4)
 *   f16    K: ctx rows of head_dim f16 | V: the same               headBytes = ctx * 4 * head_dim
 *
 * In the int8 cache, keys and values are transformed by hadamard.ts before they are rounded.
 * One scale a row of a head: head_dim 80 divides into no blocks of 32. K is stored in pairs of dimensions and V in pairs
 * of positions because i32x4.dot_i16x8_s then sums over dimensions with positions as lanes, and over positions with
 * dimensions as lanes, straight from the load; no sum crosses lanes, and registers neighbour in memory.
 * A tile of 32 positions of K, V and scales is a stretch of bytes each, so tiles can be moved as they are.
 */

import { floatToHalf, halfToFloat, maxLanes, roundToInt } from "./lanes";
import { hadamard16 } from "./hadamard";

/** Bytes of one head's cache. */
export function attention_cache_bytes(half: bool, context: usize, headDim: usize): usize {
  return half ? context * (headDim << 2) : context * ((headDim << 1) + 4);
}

/** The scale (f16 bits) of a row of n f32 that is to become signed bytes. */
// @ts-ignore: decorator
@inline function scaleOf(row: usize, n: usize): u32 {
  let m = f32x4.splat(0);
  for (let i: usize = 0; i < n << 2; i += 16) m = f32x4.max(m, f32x4.abs(v128.load(row + i)));
  return floatToHalf(maxLanes(m) / 127.0);
}

/** 16 f32 as signed bytes, -127 to 127. */
// @ts-ignore: decorator
@inline function bytesOf(p: usize, inverse: v128): v128 {
  const a = roundToInt(f32x4.mul(v128.load(p), inverse)), b = roundToInt(f32x4.mul(v128.load(p, 16), inverse));
  const c = roundToInt(f32x4.mul(v128.load(p, 32), inverse)), d = roundToInt(f32x4.mul(v128.load(p, 48), inverse));
  const bytes = i8x16.narrow_i16x8_s(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
  return i8x16.max_s(bytes, i8x16.splat(-127));
}

// @ts-ignore: decorator
@inline function inverseOf(scaleBits: u32): v128 {
  const scale = halfToFloat(scaleBits);
  return f32x4.splat(scale > 0 ? <f32>1.0 / scale : 0);
}

/** Stores a key: n signed bytes, in pairs that are 64 bytes apart from `dst` on. Returns the scale. */
// @ts-ignore: decorator
@inline function storeKey(key: usize, n: usize, dst: usize): u32 {
  const scale = scaleOf(key, n), inverse = inverseOf(scale);
  for (let i: usize = 0; i < n; i += 16) {
    const bytes = bytesOf(key + (i << 2), inverse);
    const p = dst + (i << 5);
    v128.store_lane<u16>(p, bytes, 0);
    v128.store_lane<u16>(p, bytes, 1, 64);
    v128.store_lane<u16>(p, bytes, 2, 128);
    v128.store_lane<u16>(p, bytes, 3, 192);
    v128.store_lane<u16>(p, bytes, 4, 256);
    v128.store_lane<u16>(p, bytes, 5, 320);
    v128.store_lane<u16>(p, bytes, 6, 384);
    v128.store_lane<u16>(p, bytes, 7, 448);
  }
  return scale;
}

/** Where the first pair of a position's key lies among the keys. */
// @ts-ignore: decorator
@inline function keyOffset(position: usize, headDim: usize): usize {
  return (position & ~31) * headDim + ((position & 31) << 1);
}

/** Stores a value: n signed bytes, the even (odd = 0) or odd ones of the pairs at `dst`. Returns the scale. */
// @ts-ignore: decorator
@inline function storeValue(value: usize, n: usize, dst: usize, odd: i32): u32 {
  const scale = scaleOf(value, n), inverse = inverseOf(scale);
  const shift = odd << 3, keep = i16x8.shl(i16x8.splat(0xff), 8 - shift);
  for (let i: usize = 0; i < n; i += 16) {
    const bytes = bytesOf(value + (i << 2), inverse);
    const low = i16x8.shl(i16x8.extend_low_i8x16_u(bytes), shift), high = i16x8.shl(i16x8.extend_high_i8x16_u(bytes), shift);
    const p = dst + (i << 1);
    v128.store(p, v128.or(v128.and(v128.load(p), keep), low));
    v128.store(p, v128.or(v128.and(v128.load(p, 16), keep), high), 16);
  }
  return scale;
}

/** Writes one token's key row of a head into the cache; int8: the row is transformed in place. */
// @ts-ignore: decorator
@inline export function storeKeyRow(half: bool, key: usize, cache: usize, context: usize, headDim: usize, position: usize): void {
  if (half) {
    const k = cache + position * (headDim << 1);
    for (let i: usize = 0; i < headDim; i++) store<u16>(k + (i << 1), floatToHalf(load<f32>(key + (i << 2))));
    return;
  }
  hadamard16(key, headDim);
  const scale = storeKey(key, headDim, cache + keyOffset(position, headDim));
  store<u16>(cache + ((context * headDim) << 1) + (position << 1), scale);
}

/** Writes one token's key and value rows of a head into the cache. */
// @ts-ignore: decorator
@inline export function storeKeyValue(half: bool, key: usize, value: usize, cache: usize, context: usize, headDim: usize, position: usize): void {
  storeKeyRow(half, key, cache, context, headDim, position);
  if (half) {
    const v = cache + (context + position) * (headDim << 1);
    for (let i: usize = 0; i < headDim; i++) store<u16>(v + (i << 1), floatToHalf(load<f32>(value + (i << 2))));
    return;
  }
  hadamard16(value, headDim);
  const values = cache + context * headDim;
  const scales = values + context * headDim;
  const pairs = values + (position >> 1) * (headDim << 1);
  store<u16>(scales + ((context + position) << 1), storeValue(value, headDim, pairs, <i32>position & 1));
}

export function keyAt(half: bool, cache: usize, context: usize, headDim: usize, position: usize, i: usize): f64 {
  if (half) return <f64>halfToFloat(load<u16>(cache + ((position * headDim + i) << 1)));
  const scale = halfToFloat(load<u16>(cache + ((context * headDim) << 1) + (position << 1)));
  return <f64>load<i8>(cache + keyOffset(position, headDim) + ((i >> 1) << 6) + (i & 1)) * <f64>scale;
}

export function valueAt(half: bool, cache: usize, context: usize, headDim: usize, position: usize, i: usize): f64 {
  if (half) return <f64>halfToFloat(load<u16>(cache + (((context + position) * headDim + i) << 1)));
  const scale = halfToFloat(load<u16>(cache + ((context * headDim) << 1) + ((context + position) << 1)));
  const byte = cache + context * headDim + (position >> 1) * (headDim << 1) + (i << 1) + (position & 1);
  return <f64>load<i8>(byte) * <f64>scale;
}
