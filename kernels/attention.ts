/**
 * Causal attention of one head over its key/value cache (cache.ts), for a batch of tokens.
 *
 * Positions are visited in tiles of 32 aligned to position 0, with the online softmax of Milakov and Gimelshein:
 * the order of additions depends on the position alone, so that a prompt read in one batch leaves exactly the bits
 * that reading it token by token leaves.
 */

import { exp4, HALF_TO_FLOAT, halfBits, loadHalf4, loadHalfMask, maxLanes, roundToInt, sumLanes } from "./lanes";
import { attention_cache_bytes, keyAt, storeKeyValue, valueAt } from "./cache";
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
  let k = cache + first * headDim;
  let s0 = i32x4.splat(0), s1 = i32x4.splat(0), s2 = i32x4.splat(0), s3 = i32x4.splat(0);
  let s4 = i32x4.splat(0), s5 = i32x4.splat(0), s6 = i32x4.splat(0), s7 = i32x4.splat(0);
  const q = state + 16;
  for (let p = q; p < q + (headDim << 1); p += 4) {
    const x = v128.load32_splat(p);
    s0 = i32x4.add(s0, i32x4.dot_i16x8_s(v128.load8x8_s(k), x));
    s1 = i32x4.add(s1, i32x4.dot_i16x8_s(v128.load8x8_s(k, 8), x));
    s2 = i32x4.add(s2, i32x4.dot_i16x8_s(v128.load8x8_s(k, 16), x));
    s3 = i32x4.add(s3, i32x4.dot_i16x8_s(v128.load8x8_s(k, 24), x));
    s4 = i32x4.add(s4, i32x4.dot_i16x8_s(v128.load8x8_s(k, 32), x));
    s5 = i32x4.add(s5, i32x4.dot_i16x8_s(v128.load8x8_s(k, 40), x));
    s6 = i32x4.add(s6, i32x4.dot_i16x8_s(v128.load8x8_s(k, 48), x));
    s7 = i32x4.add(s7, i32x4.dot_i16x8_s(v128.load8x8_s(k, 56), x));
    k += 64;
  }
  const scale = f32x4.splat(load<f32>(state, 8) * HALF_TO_FLOAT);
  const halfMask = loadHalfMask();
  const at = cache + ((context * headDim) << 1) + (first << 1);
  storeScores(scores, s0, s1, at, scale, halfMask);
  storeScores(scores + 32, s2, s3, at + 16, scale, halfMask);
  storeScores(scores + 64, s4, s5, at + 32, scale, halfMask);
  storeScores(scores + 96, s6, s7, at + 48, scale, halfMask);
}

/**
 * Eight scores from their sums; `scales` f16 of the keys, `scale` of the query, times 2^112. V8 fuses two stores only
 * where no load lies between them.
 */
// @ts-ignore: decorator
@inline function storeScores(dst: usize, a: v128, b: v128, scales: usize, scale: v128, halfMask: v128): void {
  const x = f32x4.mul(f32x4.convert_i32x4_s(a), f32x4.mul(halfBits(scales, halfMask), scale));
  const y = f32x4.mul(f32x4.convert_i32x4_s(b), f32x4.mul(halfBits(scales + 8, halfMask), scale));
  v128.store(dst, x);
  v128.store(dst, y, 16);
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
  let i: usize = 0;
  for (; i + 32 <= headDim; i += 32) {
    let v = values + (i << 1);
    let s0 = i32x4.splat(0), s1 = i32x4.splat(0), s2 = i32x4.splat(0), s3 = i32x4.splat(0);
    let s4 = i32x4.splat(0), s5 = i32x4.splat(0), s6 = i32x4.splat(0), s7 = i32x4.splat(0);
    for (let p = pairs; p < pairs + 64; p += 4) {
      const x = v128.load32_splat(p);
      s0 = i32x4.add(s0, i32x4.dot_i16x8_s(v128.load8x8_s(v), x));
      s1 = i32x4.add(s1, i32x4.dot_i16x8_s(v128.load8x8_s(v, 8), x));
      s2 = i32x4.add(s2, i32x4.dot_i16x8_s(v128.load8x8_s(v, 16), x));
      s3 = i32x4.add(s3, i32x4.dot_i16x8_s(v128.load8x8_s(v, 24), x));
      s4 = i32x4.add(s4, i32x4.dot_i16x8_s(v128.load8x8_s(v, 32), x));
      s5 = i32x4.add(s5, i32x4.dot_i16x8_s(v128.load8x8_s(v, 40), x));
      s6 = i32x4.add(s6, i32x4.dot_i16x8_s(v128.load8x8_s(v, 48), x));
      s7 = i32x4.add(s7, i32x4.dot_i16x8_s(v128.load8x8_s(v, 56), x));
      v += headDim << 1;
    }
    addScaled(out + (i << 2), s0, s1, scale);
    addScaled(out + (i << 2) + 32, s2, s3, scale);
    addScaled(out + (i << 2) + 64, s4, s5, scale);
    addScaled(out + (i << 2) + 96, s6, s7, scale);
  }
  if (i == headDim) return;
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
  addScaled(out + (i << 2), s0, s1, scale);
  addScaled(out + (i << 2) + 32, s2, s3, scale);
}

/** Adds eight scaled sums to what is at `dst`; see storeScores for why not one after the other. */
// @ts-ignore: decorator
@inline function addScaled(dst: usize, a: v128, b: v128, scale: v128): void {
  const x = f32x4.add(v128.load(dst), f32x4.mul(f32x4.convert_i32x4_s(a), scale));
  const y = f32x4.add(v128.load(dst, 16), f32x4.mul(f32x4.convert_i32x4_s(b), scale));
  v128.store(dst, x);
  v128.store(dst, y, 16);
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
    rotate(row, rotary, table, t);
    rotate(row + width, rotary, table, t);
    storeKeyValue(half, row + width, row + (width << 1), load<usize>(caches + (t << 2)) + cacheOffset, context, headDim, position);
    const sum = zeroOrNaN(row, headDim) + zeroOrNaN(row + width, headDim) + zeroOrNaN(row + (width << 1), headDim);
    startState(half, row, scratch + STATES + t * stride, headDim, sum);
  }
  const scores = scratch + SCORES;
  for (let first: usize = 0; first <= <usize>last; first += TILE) {
    for (let t: usize = 0, before: usize = 0; t < tokens; t++) {
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
 * `positions` i32[tokens]: each token's place in its cache; `caches` usize[tokens]: where the cache of each token's
 * sequence begins; `layer`: the layer's byte offset in it; `table`: each token's rotation, see rope.ts; `out` f32 rows, `outStride` bytes apart; `scratch` attention_scratch_bytes(tokens, headDim).
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
    rotate(row, rotary, table, t);
    rotate(row + width, rotary, table, t);
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
