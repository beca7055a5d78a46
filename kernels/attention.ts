/**
 * Causal attention of one head over its key/value cache, for a batch of tokens.
 *
 * Cache of one head (ctx positions, a multiple of 32; head_dim a multiple of 16), headBytes apart:
 *
 *   int8   K: ctx rows of head_dim signed bytes | V: ctx/2 rows of head_dim pairs (position 2i, position 2i+1)
 *          | K scales: ctx f16 | V scales: ctx f16                 headBytes = ctx * (2 * head_dim + 4)
 *   f16    K: ctx rows of head_dim f16 | V: the same               headBytes = ctx * 4 * head_dim
 *
 * In the int8 cache, keys and values are transformed by hadamard.ts before they are rounded.
 * One scale a row of a head: head_dim 80 divides into no blocks of 32. V is stored in pairs of positions because
 * i32x4.dot_i16x8_s then sums over positions with dimensions as lanes, straight from the load.
 *
 * Positions are visited in tiles of 32 aligned to position 0, with the online softmax of Milakov and Gimelshein:
 * the order of additions depends on the position alone, so that a prompt read in one batch leaves exactly the bits
 * that reading it token by token leaves.
 */

import { exp4, floatToHalf, halfToFloat, loadHalf4, maxLanes, roundToInt, sumLanes, sumLanes4 } from "./lanes";
import { hadamard16 } from "./hadamard";
import { rotate } from "./rope";

// @ts-ignore: decorator
@inline const TILE: usize = 32;
// @ts-ignore: decorator
@inline const LOWEST: f32 = -3.0e38;

/** Where things lie in the scratch of one head's job; see attention_scratch_bytes. */
// @ts-ignore: decorator
@inline const SCORES: usize = 0; // f32[32], then probabilities
// @ts-ignore: decorator
@inline const PAIRS: usize = 128; // i16[32] probabilities, quantized
// @ts-ignore: decorator
@inline const STATES: usize = 192; // for each token: maximum, sum, query scale, unused; query (f32 or i16); output f32

// @ts-ignore: decorator
@inline function stateBytes(headDim: usize): usize {
  return 16 + (headDim << 3);
}

/** Bytes of scratch that `attention` needs for a batch of `tokens`. */
export function attention_scratch_bytes(tokens: usize, headDim: usize): usize {
  return STATES + tokens * stateBytes(headDim);
}

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

/** Stores a key: n signed bytes at `dst`. Returns the scale. */
// @ts-ignore: decorator
@inline function storeKey(key: usize, n: usize, dst: usize): u32 {
  const scale = scaleOf(key, n), inverse = inverseOf(scale);
  for (let i: usize = 0; i < n; i += 16) v128.store(dst + i, bytesOf(key + (i << 2), inverse));
  return scale;
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

/** Writes one token's key and value rows of a head into the cache. */
// @ts-ignore: decorator
@inline function storeKeyValue(half: bool, key: usize, value: usize, cache: usize, context: usize, headDim: usize, position: usize): void {
  if (half) {
    const k = cache + position * (headDim << 1), v = k + context * (headDim << 1);
    for (let i: usize = 0; i < headDim; i++) {
      store<u16>(k + (i << 1), floatToHalf(load<f32>(key + (i << 2))));
      store<u16>(v + (i << 1), floatToHalf(load<f32>(value + (i << 2))));
    }
    return;
  }
  hadamard16(key, headDim);
  hadamard16(value, headDim);
  const values = cache + context * headDim;
  const scales = values + context * headDim;
  store<u16>(scales + (position << 1), storeKey(key, headDim, cache + position * headDim));
  const pairs = values + (position >> 1) * (headDim << 1);
  store<u16>(scales + ((context + position) << 1), storeValue(value, headDim, pairs, <i32>position & 1));
}

/** 0, or NaN if one of headDim f32 is infinite or NaN: neither the cache nor a quantized query can carry that. */
// @ts-ignore: decorator
@inline function zeroOrNaN(row: usize, headDim: usize): f32 {
  let sum = f32x4.splat(0);
  for (let i: usize = 0; i < headDim << 2; i += 16) sum = f32x4.add(sum, f32x4.mul(v128.load(row + i), f32x4.splat(0)));
  return sumLanes(sum);
}

/**
 * Makes a token's state: the query (rotated and scaled by 1/sqrt(head_dim); i16 for int8 caches) and zeros. The sum of
 * probabilities starts at `sum`, which is NaN for a token whose output must be NaN.
 */
// @ts-ignore: decorator
@inline function startState(half: bool, query: usize, state: usize, headDim: usize, sum: f32): void {
  const q = state + 16, out = q + (headDim << 2), bytes = headDim << 2;
  const factor = f32x4.splat(<f32>1.0 / sqrt(<f32>headDim));
  if (!half) hadamard16(query, headDim);
  let m = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) {
    const x = f32x4.mul(v128.load(query + i), factor);
    v128.store(q + i, x);
    m = f32x4.max(m, f32x4.abs(x));
    v128.store(out + i, f32x4.splat(0));
  }
  store<f32>(state, LOWEST);
  store<f32>(state, sum, 4);
  if (half) return;
  const largest = maxLanes(m);
  const inverse = f32x4.splat(largest > 1e-30 ? <f32>32767.0 / largest : 0);
  store<f32>(state, largest / 32767.0, 8);
  for (let i: usize = 0; i < bytes; i += 32) {
    const a = roundToInt(f32x4.mul(v128.load(q + i), inverse));
    const b = roundToInt(f32x4.mul(v128.load(q + i, 16), inverse));
    v128.store(q + (i >> 1), i16x8.narrow_i32x4_s(a, b));
  }
}

/** Scores of 32 positions from `first` on against int8 keys. */
// @ts-ignore: decorator
@inline function scoresInt8(state: usize, cache: usize, context: usize, headDim: usize, first: usize, scores: usize): void {
  const q = state + 16;
  const scale = f32x4.splat(load<f32>(state, 8));
  const scales = cache + ((context * headDim) << 1);
  let k0 = cache + first * headDim;
  for (let j: usize = 0; j < TILE; j += 4) {
    const k1 = k0 + headDim, k2 = k1 + headDim, k3 = k2 + headDim;
    let s0 = i32x4.splat(0), s1 = i32x4.splat(0), s2 = i32x4.splat(0), s3 = i32x4.splat(0);
    for (let i: usize = 0; i < headDim; i += 8) {
      const x = v128.load(q + (i << 1));
      s0 = i32x4.add(s0, i32x4.dot_i16x8_s(v128.load8x8_s(k0 + i), x));
      s1 = i32x4.add(s1, i32x4.dot_i16x8_s(v128.load8x8_s(k1 + i), x));
      s2 = i32x4.add(s2, i32x4.dot_i16x8_s(v128.load8x8_s(k2 + i), x));
      s3 = i32x4.add(s3, i32x4.dot_i16x8_s(v128.load8x8_s(k3 + i), x));
    }
    const sums = f32x4.convert_i32x4_s(sumLanes4(s0, s1, s2, s3));
    const s = f32x4.mul(scale, loadHalf4(scales + ((first + j) << 1)));
    v128.store(scores + (j << 2), f32x4.mul(sums, s));
    k0 = k3 + headDim;
  }
}

/** Scores of 32 positions from `first` on against f16 keys. */
// @ts-ignore: decorator
@inline function scoresHalf(state: usize, cache: usize, headDim: usize, first: usize, scores: usize): void {
  const q = state + 16;
  let k = cache + first * (headDim << 1);
  for (let j: usize = 0; j < TILE; j++) {
    let sum = f32x4.splat(0);
    for (let i: usize = 0; i < headDim; i += 4) {
      sum = f32x4.add(sum, f32x4.mul(loadHalf4(k + (i << 1)), v128.load(q + (i << 2))));
    }
    store<f32>(scores + (j << 2), sumLanes(sum));
    k += headDim << 1;
  }
}

/** Adds the tile's values, weighted by 32 probabilities, to a token's output, int8 values. */
// @ts-ignore: decorator
@inline function addValuesInt8(out: usize, scratch: usize, cache: usize, context: usize, headDim: usize, first: usize): void {
  const probabilities = scratch + SCORES, pairs = scratch + PAIRS;
  const scales = cache + ((context * headDim) << 1) + (context << 1) + (first << 1);
  let m = f32x4.splat(0);
  for (let j: usize = 0; j < TILE; j += 4) {
    const p = v128.load(probabilities + (j << 2));
    // A zero probability also cancels what was never written: its scale may hold anything.
    const weighted = v128.and(f32x4.mul(p, loadHalf4(scales + (j << 1))), f32x4.gt(p, f32x4.splat(0)));
    v128.store(probabilities + (j << 2), weighted);
    m = f32x4.max(m, weighted);
  }
  const largest = maxLanes(m);
  const inverse = f32x4.splat(largest > 1e-30 ? <f32>32767.0 / largest : 0);
  for (let j: usize = 0; j < TILE; j += 8) {
    const a = roundToInt(f32x4.mul(v128.load(probabilities + (j << 2)), inverse));
    const b = roundToInt(f32x4.mul(v128.load(probabilities + (j << 2), 16), inverse));
    v128.store(pairs + (j << 1), i16x8.narrow_i32x4_s(a, b));
  }
  const scale = f32x4.splat(largest / 32767.0);
  const values = cache + context * headDim + first * headDim;
  for (let i: usize = 0; i < headDim; i += 16) {
    let v = values + (i << 1);
    let s0 = i32x4.splat(0), s1 = i32x4.splat(0), s2 = i32x4.splat(0), s3 = i32x4.splat(0);
    for (let p = pairs; p < pairs + 64; p += 4) {
      const x = v128.load32_splat(p);
      s0 = i32x4.add(s0, i32x4.dot_i16x8_s(v128.load8x8_s(v), x));
      s1 = i32x4.add(s1, i32x4.dot_i16x8_s(v128.load8x8_s(v, 8), x));
      s2 = i32x4.add(s2, i32x4.dot_i16x8_s(v128.load8x8_s(v, 16), x));
      s3 = i32x4.add(s3, i32x4.dot_i16x8_s(v128.load8x8_s(v, 24), x));
      v += headDim << 1;
    }
    const o = out + (i << 2);
    v128.store(o, f32x4.add(v128.load(o), f32x4.mul(f32x4.convert_i32x4_s(s0), scale)));
    v128.store(o, f32x4.add(v128.load(o, 16), f32x4.mul(f32x4.convert_i32x4_s(s1), scale)), 16);
    v128.store(o, f32x4.add(v128.load(o, 32), f32x4.mul(f32x4.convert_i32x4_s(s2), scale)), 32);
    v128.store(o, f32x4.add(v128.load(o, 48), f32x4.mul(f32x4.convert_i32x4_s(s3), scale)), 48);
  }
}

/** Adds `count` values of the tile, weighted by their probabilities, to a token's output, f16 values. */
// @ts-ignore: decorator
@inline function addValuesHalf(out: usize, probabilities: usize, cache: usize, context: usize, headDim: usize, first: usize, count: usize): void {
  const values = cache + (context + first) * (headDim << 1);
  for (let i: usize = 0; i < headDim; i += 8) {
    let v = values + (i << 1);
    let a = v128.load(out + (i << 2)), b = v128.load(out + (i << 2), 16);
    for (let j: usize = 0; j < count; j++) {
      const p = v128.load32_splat(probabilities + (j << 2));
      a = f32x4.add(a, f32x4.mul(loadHalf4(v), p));
      b = f32x4.add(b, f32x4.mul(loadHalf4(v + 8), p));
      v += headDim << 1;
    }
    v128.store(out + (i << 2), a);
    v128.store(out + (i << 2), b, 16);
  }
}

/** Turns the tile's scores into probabilities relative to the running maximum and rescales what was summed before. */
// @ts-ignore: decorator
@inline function softmaxTile(state: usize, scores: usize, headDim: usize, count: usize): void {
  const lane = i32x4(0, 1, 2, 3);
  let m = f32x4.splat(LOWEST);
  for (let j: usize = 0; j < TILE; j += 4) {
    const seen = i32x4.lt_s(lane, i32x4.splat(<i32>count - <i32>j));
    const s = v128.bitselect(v128.load(scores + (j << 2)), f32x4.splat(LOWEST), seen);
    v128.store(scores + (j << 2), s);
    m = f32x4.max(m, s);
  }
  const before = load<f32>(state);
  const maximum = max(before, maxLanes(m));
  let sum = f32x4.splat(0);
  for (let j: usize = 0; j < TILE; j += 4) {
    const seen = i32x4.lt_s(lane, i32x4.splat(<i32>count - <i32>j));
    const p = v128.and(exp4(f32x4.sub(v128.load(scores + (j << 2)), f32x4.splat(maximum))), seen);
    v128.store(scores + (j << 2), p);
    sum = f32x4.add(sum, p);
  }
  const decay = maximum == before ? <f32>1.0 : f32x4.extract_lane(exp4(f32x4.splat(before - maximum)), 0);
  store<f32>(state, maximum);
  store<f32>(state, load<f32>(state, 4) * decay + sumLanes(sum), 4);
  if (decay == 1.0) return;
  const out = state + 16 + (headDim << 2);
  for (let i: usize = 0; i < headDim << 2; i += 16) {
    v128.store(out + i, f32x4.mul(v128.load(out + i), f32x4.splat(decay)));
  }
}

// @ts-ignore: decorator
@inline function attend(half: bool, qkv: usize, qkvStride: usize, tokens: usize, positions: usize, caches: usize, layer: usize, head: usize, heads: usize, headDim: usize, rotary: usize, table: usize, context: usize, out: usize, outStride: usize, scratch: usize): void {
  const width = (heads * headDim) << 2;
  const offset = head * (headDim << 2);
  const cacheOffset = layer + head * attention_cache_bytes(half, context, headDim);
  const stride = stateBytes(headDim);
  let last = 0;
  for (let t: usize = 0; t < tokens; t++) {
    const row = qkv + t * qkvStride + offset;
    const position = load<i32>(positions + (t << 2));
    last = max(last, position);
    rotate(row, rotary, table, position);
    rotate(row + width, rotary, table, position);
    storeKeyValue(half, row + width, row + (width << 1), load<usize>(caches + (t << 2)) + cacheOffset, context, headDim, position);
    const sum = zeroOrNaN(row, headDim) + zeroOrNaN(row + width, headDim) + zeroOrNaN(row + (width << 1), headDim);
    startState(half, row, scratch + STATES + t * stride, headDim, sum);
  }
  const scores = scratch + SCORES;
  for (let first: usize = 0; first <= <usize>last; first += TILE) {
    for (let t: usize = 0; t < tokens; t++) {
      const position = <usize>load<i32>(positions + (t << 2));
      if (position < first) continue;
      const state = scratch + STATES + t * stride;
      const cache = load<usize>(caches + (t << 2)) + cacheOffset;
      const count = min(TILE, position + 1 - first);
      if (half) scoresHalf(state, cache, headDim, first, scores);
      else scoresInt8(state, cache, context, headDim, first, scores);
      softmaxTile(state, scores, headDim, count);
      const sums = state + 16 + (headDim << 2);
      if (half) addValuesHalf(sums, scores, cache, context, headDim, first, count);
      else addValuesInt8(sums, scratch, cache, context, headDim, first);
    }
  }
  for (let t: usize = 0; t < tokens; t++) {
    const state = scratch + STATES + t * stride;
    const inverse = f32x4.splat(<f32>1.0 / load<f32>(state, 4));
    const o = out + t * outStride + offset;
    for (let i: usize = 0; i < headDim << 2; i += 16) {
      v128.store(o + i, f32x4.mul(v128.load(state + 16 + (headDim << 2) + i), inverse));
    }
    if (!half) hadamard16(o, headDim);
  }
}

/**
 * Rotates a head's queries and keys, stores its keys and values, and attends to everything up to each token's position.
 * `qkv` f32 rows, `qkvStride` bytes apart, of queries, keys and values of all heads (which are overwritten);
 * `positions` i32[tokens]; `caches` usize[tokens]: where the cache of each token's sequence begins; `layer`: the layer's
 * byte offset in it;
 * `table` see rope.ts; `out` f32 rows, `outStride` bytes apart; `scratch` attention_scratch_bytes(tokens, headDim).
 * Tokens of one sequence must come in rising position, and their earlier positions must be in the cache.
 */
export function attention_int8(qkv: usize, qkvStride: usize, tokens: usize, positions: usize, caches: usize, layer: usize, head: usize, heads: usize, headDim: usize, rotary: usize, table: usize, context: usize, out: usize, outStride: usize, scratch: usize): void {
  attend(false, qkv, qkvStride, tokens, positions, caches, layer, head, heads, headDim, rotary, table, context, out, outStride, scratch);
}

/** `attention_int8` with keys and values kept as f16. */
export function attention_f16(qkv: usize, qkvStride: usize, tokens: usize, positions: usize, caches: usize, layer: usize, head: usize, heads: usize, headDim: usize, rotary: usize, table: usize, context: usize, out: usize, outStride: usize, scratch: usize): void {
  attend(true, qkv, qkvStride, tokens, positions, caches, layer, head, heads, headDim, rotary, table, context, out, outStride, scratch);
}

/**
 * The scalar form, and the specification: plain softmax over keys and values as the cache holds them.
 * Expects what `attention_*` expects, and `scratch` f32[context].
 */
export function attention_reference(half: bool, qkv: usize, qkvStride: usize, tokens: usize, positions: usize, caches: usize, layer: usize, head: usize, heads: usize, headDim: usize, rotary: usize, table: usize, context: usize, out: usize, outStride: usize, scratch: usize): void {
  const width = (heads * headDim) << 2, offset = head * (headDim << 2);
  for (let t: usize = 0; t < tokens; t++) {
    const row = qkv + t * qkvStride + offset;
    const position = <usize>load<i32>(positions + (t << 2));
    const cache = load<usize>(caches + (t << 2)) + layer + head * attention_cache_bytes(half, context, headDim);
    rotate(row, rotary, table, position);
    rotate(row + width, rotary, table, position);
    storeKeyValue(half, row + width, row + (width << 1), cache, context, headDim, position);
    if (!half) hadamard16(row, headDim);
    let sum: f64 = 0, maximum: f64 = -1e300;
    for (let j: usize = 0; j <= position; j++) {
      let score: f64 = 0;
      for (let i: usize = 0; i < headDim; i++) score += <f64>load<f32>(row + (i << 2)) * keyAt(half, cache, context, headDim, j, i);
      const rounded = <f32>(score / Math.sqrt(<f64>headDim));
      store<f32>(scratch + (j << 2), rounded);
      maximum = max(maximum, <f64>rounded);
    }
    for (let j: usize = 0; j <= position; j++) {
      const p = Math.exp(<f64>load<f32>(scratch + (j << 2)) - maximum);
      store<f32>(scratch + (j << 2), <f32>p);
      sum += p;
    }
    for (let i: usize = 0; i < headDim; i++) {
      let value: f64 = 0;
      for (let j: usize = 0; j <= position; j++) {
        value += <f64>load<f32>(scratch + (j << 2)) * valueAt(half, cache, context, headDim, j, i);
      }
      store<f32>(out + t * outStride + offset + (i << 2), <f32>(value / sum));
    }
    if (!half) hadamard16(out + t * outStride + offset, headDim);
  }
}

function keyAt(half: bool, cache: usize, context: usize, headDim: usize, position: usize, i: usize): f64 {
  if (half) return <f64>halfToFloat(load<u16>(cache + ((position * headDim + i) << 1)));
  const scale = halfToFloat(load<u16>(cache + ((context * headDim) << 1) + (position << 1)));
  return <f64>load<i8>(cache + position * headDim + i) * <f64>scale;
}

function valueAt(half: bool, cache: usize, context: usize, headDim: usize, position: usize, i: usize): f64 {
  if (half) return <f64>halfToFloat(load<u16>(cache + (((context + position) * headDim + i) << 1)));
  const scale = halfToFloat(load<u16>(cache + ((context * headDim) << 1) + ((context + position) << 1)));
  const byte = cache + context * headDim + (position >> 1) * (headDim << 1) + (i << 1) + (position & 1);
  return <f64>load<i8>(byte) * <f64>scale;
}
