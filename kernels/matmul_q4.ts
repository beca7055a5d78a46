/**
 * out[t][r] = sum over k of W[r][k] * a[t][k], W in q4 or q4m tiles (int4, 16 rows x 32 columns).
 *
 *          16 B: A of step s                    16 B: B of step s                         8 steps of 4 columns
 *   +----+----+----+----+  lane l, byte j  +----+----+----+----+
 *   | l0 | l1 | l2 | l3 |  low  nibble: row   l, column 4s+j  | l0 …  low: row  4+l, high: row 12+l
 *   +----+----+----+----+  high nibble: row 8+l, column 4s+j  +----
 *   then 16 f16 scales (q4: 288 B; the nibble is q + 8), then for q4m 16 f16 mins (320 B; the nibble is q)
 *
 *   q4:  w = scale * q          dot = scale * as * (sum(nibble * a) - 8 * sum(a))
 *   q4m: w = scale * q + min    dot = scale * as * sum(q * a) + min * as * sum(a)
 *
 * Lanes are rows, so one splat of four activations feeds all rows, and no sum crosses lanes. Within a block of 32
 * columns everything is integer; blocks are added in f32 in the order of k. Every form below therefore gives the
 * same bits: both builds, one token or many, any number of threads.
 *
 * Relaxed build: i16x8.relaxed_dot with the nibbles as the 7-bit operand. Eight steps of two products each stay
 * within 16 * 15 * 127 = 30480 < 2^15, so i16 accumulators suffice for a block (x86: pmaddubsw). The "sdot" form
 * accumulates in i32 with relaxed_dot_add (ARM with DotProd: one instruction).
 * Simd build: i16x8 products; 16-bit lanes of a tile hold four nibbles (even low, even high, odd low, odd high).
 */

import {
  HALF_TO_FLOAT, RELAXED, halfBits, halfToFloat, loadHalfMask, loadNibbleMask, loadOnes, loadShortNibbleMask, storeRows,
} from "./lanes";
import { load_q4, valueBytes4 } from "./quantize";

// @ts-ignore: decorator
@inline const SCALES: usize = 256;
// @ts-ignore: decorator
@inline const MINS: usize = 288;

/** Type arguments that choose a form at compile time: with or without mins, i16 or i32 accumulation. */
type NoMins = i32;
type Mins = f32;
type Pairs = i16;
type Sdot = i32;

// @ts-ignore: decorator
@inline function tileBytes<M>(): usize {
  return isFloat<M>() ? 320 : 288;
}

// @ts-ignore: decorator
@inline function dotStep<A>(accumulator: v128, a: v128, nibbles: v128): v128 {
  if (isInteger<A>() && sizeof<A>() == 2) return i16x8.add(accumulator, v128.relaxed_dot<i16>(a, nibbles));
  return v128.relaxed_dot_add<i32>(a, nibbles, accumulator);
}

/** The i32 sums of a block from its accumulator. */
// @ts-ignore: decorator
@inline function widen<A>(accumulator: v128, ones: v128): v128 {
  if (sizeof<A>() == 2) return i32x4.dot_i16x8_s(accumulator, ones);
  return accumulator;
}

/** Adds a block's four rows to their f32 sum. `as112` is the activation scale times 2^112. */
// @ts-ignore: decorator
@inline function addBlock<M>(total: v128, dots: v128, offset: v128, scales: usize, halfMask: v128, as112: v128, sum112: v128): v128 {
  if (isFloat<M>()) {
    const scaled = f32x4.mul(f32x4.convert_i32x4_s(dots), f32x4.mul(halfBits(scales, halfMask), as112));
    return f32x4.add(total, f32x4.add(scaled, f32x4.mul(halfBits(scales + (MINS - SCALES), halfMask), sum112)));
  }
  const centered = f32x4.convert_i32x4_s(i32x4.add(dots, offset));
  return f32x4.add(total, f32x4.mul(centered, f32x4.mul(halfBits(scales, halfMask), as112)));
}

// @ts-ignore: decorator
@inline function offsetOf<M>(sums: usize): v128 {
  if (isFloat<M>()) return i32x4.splat(0);
  return i32x4.splat(load<i32>(sums) * -8);
}

// @ts-ignore: decorator
@inline function sum112Of<M>(sums: usize, as112: f32): v128 {
  if (isFloat<M>()) return f32x4.splat(<f32>load<i32>(sums) * as112);
  return f32x4.splat(0);
}

/** One token, one row group (16 rows), relaxed build. */
// @ts-ignore: decorator
@inline function rowGroupRelaxed<M, A>(w: usize, a: usize, k: usize, out: usize, bias: usize, accumulate: bool): void {
  const mask = loadNibbleMask(), ones = loadOnes(), halfMask = loadHalfMask();
  const scales = a + k;
  let t0 = f32x4.splat(0), t1 = f32x4.splat(0), t2 = f32x4.splat(0), t3 = f32x4.splat(0);
  for (let b: usize = 0; b < k >> 3; b += 4) {
    let s0 = i16x8.splat(0), s1 = i16x8.splat(0), s2 = i16x8.splat(0), s3 = i16x8.splat(0);
    for (let end = a + 32; a < end; a += 4) {
      const x = v128.load32_splat(a);
      const p = v128.load(w);
      const q = v128.load(w, 16);
      s0 = dotStep<A>(s0, x, v128.and(p, mask));
      s1 = dotStep<A>(s1, x, v128.and(q, mask));
      s2 = dotStep<A>(s2, x, v128.and(i16x8.shr_u(p, 4), mask));
      s3 = dotStep<A>(s3, x, v128.and(i16x8.shr_u(q, 4), mask));
      w += 32;
    }
    const as112 = load<f32>(scales + b) * HALF_TO_FLOAT;
    const sums = scales + (k >> 3) + b;
    const scale = f32x4.splat(as112);
    const sum112 = sum112Of<M>(sums, as112);
    const offset = offsetOf<M>(sums);
    t0 = addBlock<M>(t0, widen<A>(s0, ones), offset, w, halfMask, scale, sum112);
    t1 = addBlock<M>(t1, widen<A>(s1, ones), offset, w + 8, halfMask, scale, sum112);
    t2 = addBlock<M>(t2, widen<A>(s2, ones), offset, w + 16, halfMask, scale, sum112);
    t3 = addBlock<M>(t3, widen<A>(s3, ones), offset, w + 24, halfMask, scale, sum112);
    w += tileBytes<M>() - SCALES;
  }
  storeRows(out, bias, t0, accumulate);
  storeRows(out + 16, bias + 16, t1, accumulate);
  storeRows(out + 32, bias + 32, t2, accumulate);
  storeRows(out + 48, bias + 48, t3, accumulate);
}

/**
 * One token, the 8 rows of A (half = 0: rows 0-3, 8-11) or of B (half = 1: rows 4-7, 12-15), simd build.
 * Masks leave nibbles at their place in the 16-bit lane: the sums of the second and third come out 16 and 256 times
 * too large, exactly.
 */
// @ts-ignore: decorator
@inline function halfGroupSimd<M>(w: usize, a: usize, k: usize, half: usize, out: usize, bias: usize, accumulate: bool): void {
  const evenLow = loadShortNibbleMask(0), evenHigh = loadShortNibbleMask(1), oddLow = loadShortNibbleMask(2);
  const halfMask = loadHalfMask();
  const scales = a + (k << 1);
  let t0 = f32x4.splat(0), t1 = f32x4.splat(0);
  w += half << 4;
  for (let b: usize = 0; b < k >> 3; b += 4) {
    let s0 = i32x4.splat(0), s1 = i32x4.splat(0), s2 = i32x4.splat(0), s3 = i32x4.splat(0);
    for (let end = a + 64; a < end; a += 8) {
      const even = v128.load32_splat(a);
      const odd = v128.load32_splat(a, 4);
      const p = v128.load(w);
      s0 = i32x4.add(s0, i32x4.dot_i16x8_s(v128.and(p, evenLow), even));
      s1 = i32x4.add(s1, i32x4.dot_i16x8_s(v128.and(p, evenHigh), even));
      s2 = i32x4.add(s2, i32x4.dot_i16x8_s(v128.and(p, oddLow), odd));
      s3 = i32x4.add(s3, i32x4.dot_i16x8_s(i16x8.shr_u(p, 12), odd));
      w += 32;
    }
    const as112 = load<f32>(scales + b) * HALF_TO_FLOAT;
    const sums = scales + (k >> 3) + b;
    const scale = f32x4.splat(as112);
    const sum112 = sum112Of<M>(sums, as112);
    const offset = offsetOf<M>(sums);
    const low = i32x4.add(s0, i32x4.shr_s(s2, 8));
    const high = i32x4.add(i32x4.shr_s(s1, 4), s3);
    const ws = w - (half << 3);
    t0 = addBlock<M>(t0, low, offset, ws, halfMask, scale, sum112);
    t1 = addBlock<M>(t1, high, offset, ws + 16, halfMask, scale, sum112);
    w += tileBytes<M>() - SCALES;
  }
  out += half << 4;
  bias += half << 4;
  storeRows(out, bias, t0, accumulate);
  storeRows(out + 32, bias + 32, t1, accumulate);
}

/** Four tokens, 8 rows (half of a row group). The f32 sums of 4 tokens x 2 vectors live in `scratch` (128 bytes). */
// @ts-ignore: decorator
@inline function halfGroup4<M, A>(w: usize, a0: usize, aStride: usize, k: usize, half: usize, scratch: usize): void {
  const mask = RELAXED ? loadNibbleMask() : loadShortNibbleMask(0);
  const ones = loadOnes(), halfMask = loadHalfMask();
  const a1 = a0 + aStride, a2 = a1 + aStride, a3 = a2 + aStride;
  const values = valueBytes4(k);
  const zero = f32x4.splat(0);
  for (let i: usize = 0; i < 128; i += 16) v128.store(scratch + i, zero);
  w += half << 4;
  for (let b: usize = 0; b < k >> 3; b += 4) {
    let l0 = i16x8.splat(0), l1 = i16x8.splat(0), l2 = i16x8.splat(0), l3 = i16x8.splat(0);
    let h0 = i16x8.splat(0), h1 = i16x8.splat(0), h2 = i16x8.splat(0), h3 = i16x8.splat(0);
    let i = RELAXED ? b << 3 : b << 4;
    for (let end = RELAXED ? i + 32 : i + 64; i < end; i += RELAXED ? 4 : 8) {
      const p = v128.load(w);
      if (RELAXED) {
        const low = v128.and(p, mask), high = v128.and(i16x8.shr_u(p, 4), mask);
        let x = v128.load32_splat(a0 + i);
        l0 = dotStep<A>(l0, x, low);
        h0 = dotStep<A>(h0, x, high);
        x = v128.load32_splat(a1 + i);
        l1 = dotStep<A>(l1, x, low);
        h1 = dotStep<A>(h1, x, high);
        x = v128.load32_splat(a2 + i);
        l2 = dotStep<A>(l2, x, low);
        h2 = dotStep<A>(h2, x, high);
        x = v128.load32_splat(a3 + i);
        l3 = dotStep<A>(l3, x, low);
        h3 = dotStep<A>(h3, x, high);
      } else {
        let low = v128.and(p, mask), high = v128.and(i16x8.shr_u(p, 4), mask);
        let x = v128.load32_splat(a0 + i), y = v128.load32_splat(a1 + i);
        l0 = i32x4.add(l0, i32x4.dot_i16x8_s(low, x));
        h0 = i32x4.add(h0, i32x4.dot_i16x8_s(high, x));
        l1 = i32x4.add(l1, i32x4.dot_i16x8_s(low, y));
        h1 = i32x4.add(h1, i32x4.dot_i16x8_s(high, y));
        x = v128.load32_splat(a2 + i);
        y = v128.load32_splat(a3 + i);
        l2 = i32x4.add(l2, i32x4.dot_i16x8_s(low, x));
        h2 = i32x4.add(h2, i32x4.dot_i16x8_s(high, x));
        l3 = i32x4.add(l3, i32x4.dot_i16x8_s(low, y));
        h3 = i32x4.add(h3, i32x4.dot_i16x8_s(high, y));
        low = v128.and(i16x8.shr_u(p, 8), mask);
        high = i16x8.shr_u(p, 12);
        x = v128.load32_splat(a0 + i, 4);
        y = v128.load32_splat(a1 + i, 4);
        l0 = i32x4.add(l0, i32x4.dot_i16x8_s(low, x));
        h0 = i32x4.add(h0, i32x4.dot_i16x8_s(high, x));
        l1 = i32x4.add(l1, i32x4.dot_i16x8_s(low, y));
        h1 = i32x4.add(h1, i32x4.dot_i16x8_s(high, y));
        x = v128.load32_splat(a2 + i, 4);
        y = v128.load32_splat(a3 + i, 4);
        l2 = i32x4.add(l2, i32x4.dot_i16x8_s(low, x));
        h2 = i32x4.add(h2, i32x4.dot_i16x8_s(high, x));
        l3 = i32x4.add(l3, i32x4.dot_i16x8_s(low, y));
        h3 = i32x4.add(h3, i32x4.dot_i16x8_s(high, y));
      }
      w += 32;
    }
    const ws = w - (half << 3);
    const s = values + b;
    addToken<M, A>(scratch, l0, h0, a0 + s, k, ws, ones, halfMask);
    addToken<M, A>(scratch + 32, l1, h1, a1 + s, k, ws, ones, halfMask);
    addToken<M, A>(scratch + 64, l2, h2, a2 + s, k, ws, ones, halfMask);
    addToken<M, A>(scratch + 96, l3, h3, a3 + s, k, ws, ones, halfMask);
    w += tileBytes<M>() - SCALES;
  }
}

// @ts-ignore: decorator
@inline function addToken<M, A>(totals: usize, low: v128, high: v128, scales: usize, k: usize, ws: usize, ones: v128, halfMask: v128): void {
  const as112 = load<f32>(scales) * HALF_TO_FLOAT;
  const scale = f32x4.splat(as112);
  const sum112 = sum112Of<M>(scales + (k >> 3), as112);
  const offset = offsetOf<M>(scales + (k >> 3));
  if (RELAXED) {
    low = widen<A>(low, ones);
    high = widen<A>(high, ones);
  }
  v128.store(totals, addBlock<M>(v128.load(totals), low, offset, ws, halfMask, scale, sum112));
  v128.store(totals + 16, addBlock<M>(v128.load(totals, 16), high, offset, ws + 16, halfMask, scale, sum112));
}

/** Row groups [from, to) for one token. */
// @ts-ignore: decorator
@inline function gemv<M, A>(w: usize, a: usize, k: usize, from: usize, to: usize, out: usize, bias: usize, accumulate: bool): void {
  const groupBytes = (k >> 5) * tileBytes<M>();
  for (let r = from; r < to; r++) {
    const tiles = w + r * groupBytes, o = out + (r << 6), c = bias + (r << 6);
    if (RELAXED) {
      rowGroupRelaxed<M, A>(tiles, a, k, o, c, accumulate);
    } else {
      halfGroupSimd<M>(tiles, a, k, 0, o, c, accumulate);
      halfGroupSimd<M>(tiles, a, k, 1, o, c, accumulate);
    }
  }
}

/** Row groups [from, to) for tokens in fours; each row group is read from memory once. */
// @ts-ignore: decorator
@inline function gemm<M, A>(w: usize, a: usize, tokens: usize, k: usize, from: usize, to: usize, out: usize, outStride: usize, bias: usize, accumulate: bool, scratch: usize): void {
  const groupBytes = (k >> 5) * tileBytes<M>();
  const aStride = valueBytes4(k) + (k >> 2);
  for (let r = from; r < to; r++) {
    const tiles = w + r * groupBytes, c = bias + (r << 6);
    for (let t: usize = 0; t < tokens; t += 4) {
      for (let half: usize = 0; half < 2; half++) {
        halfGroup4<M, A>(tiles, a + t * aStride, aStride, k, half, scratch);
        let o = out + t * outStride + (r << 6) + (half << 4);
        for (let i: usize = 0; i < 128; i += 32) {
          storeRows(o, c + (half << 4), v128.load(scratch + i), accumulate);
          storeRows(o + 32, c + (half << 4) + 32, v128.load(scratch + i, 16), accumulate);
          o += outStride;
        }
      }
    }
  }
}

// @ts-ignore: decorator
@inline function matmul<M, A>(w: usize, a: usize, tokens: usize, k: usize, from: usize, to: usize, out: usize, outStride: usize, bias: usize, accumulate: bool, scratch: usize): void {
  const fours = tokens & ~3;
  if (fours) gemm<M, A>(w, a, fours, k, from, to, out, outStride, bias, accumulate, scratch);
  const aStride = valueBytes4(k) + (k >> 2);
  for (let t = fours; t < tokens; t++) {
    gemv<M, A>(w, a + t * aStride, k, from, to, out + t * outStride, bias, accumulate);
  }
}

/**
 * Row groups [from, to) of a matrix in q4 tiles times `tokens` activation rows.
 * `w` the matrix's first tile, `a` rows of activation_bytes_q4(k), `out` f32 rows `outStride` bytes apart with room for
 * 16 * to numbers, `bias` f32[16 * to], `accumulate`: add to `out` instead of setting it, `scratch` 128 bytes.
 */
export function matmul_q4(w: usize, a: usize, tokens: usize, k: usize, from: usize, to: usize, out: usize, outStride: usize, bias: usize, accumulate: bool, scratch: usize): void {
  matmul<NoMins, Pairs>(w, a, tokens, k, from, to, out, outStride, bias, accumulate, scratch);
}

/** `matmul_q4` for q4m tiles. */
export function matmul_q4m(w: usize, a: usize, tokens: usize, k: usize, from: usize, to: usize, out: usize, outStride: usize, bias: usize, accumulate: bool, scratch: usize): void {
  matmul<Mins, Pairs>(w, a, tokens, k, from, to, out, outStride, bias, accumulate, scratch);
}

/** `matmul_q4` with i32 accumulation (one SDOT a step on ARM); the simd build has one form only. */
export function matmul_q4_sdot(w: usize, a: usize, tokens: usize, k: usize, from: usize, to: usize, out: usize, outStride: usize, bias: usize, accumulate: bool, scratch: usize): void {
  matmul<NoMins, Sdot>(w, a, tokens, k, from, to, out, outStride, bias, accumulate, scratch);
}

/** `matmul_q4_sdot` for q4m tiles. */
export function matmul_q4m_sdot(w: usize, a: usize, tokens: usize, k: usize, from: usize, to: usize, out: usize, outStride: usize, bias: usize, accumulate: bool, scratch: usize): void {
  matmul<Mins, Sdot>(w, a, tokens, k, from, to, out, outStride, bias, accumulate, scratch);
}

/** The nibble of row r (0..15) and column c (0..31) of a tile. */
// @ts-ignore: decorator
@inline function nibble(tile: usize, r: usize, c: usize): i32 {
  const byte = load<u8>(tile + ((c >> 2) << 5) + (((r >> 2) & 1) << 4) + ((r & 3) << 2) + (c & 3));
  return r < 8 ? byte & 15 : byte >> 4;
}

/** The scalar form of `matmul_q4` (mins = 0) and `matmul_q4m` (mins = 1), and their specification. */
export function matmul_q4_reference(mins: bool, w: usize, a: usize, tokens: usize, k: usize, from: usize, to: usize, out: usize, outStride: usize, bias: usize, accumulate: bool): void {
  const bytes: usize = mins ? 320 : 288;
  const aStride = valueBytes4(k) + (k >> 2);
  for (let t: usize = 0; t < tokens; t++) {
    const row = a + t * aStride;
    const scales = row + valueBytes4(k), sums = scales + (k >> 3);
    for (let r = from << 4; r < to << 4; r++) {
      let total: f32 = 0;
      for (let b: usize = 0; b < k >> 5; b++) {
        const tile = w + ((r >> 4) * (k >> 5) + b) * bytes;
        const as = load<f32>(scales + (b << 2));
        const sum = load<i32>(sums + (b << 2));
        const scale = halfToFloat(load<u16>(tile + SCALES + ((r & 15) << 1)));
        let dot = mins ? 0 : sum * -8;
        for (let c: usize = 0; c < 32; c++) dot += nibble(tile, r & 15, c) * load_q4(row, (b << 5) + c);
        let term = <f32>dot * (scale * as);
        if (mins) term += halfToFloat(load<u16>(tile + MINS + ((r & 15) << 1))) * (<f32>sum * as);
        total += term;
      }
      const p = out + t * outStride + (r << 2);
      total += load<f32>(bias + (r << 2));
      store<f32>(p, accumulate ? total + load<f32>(p) : total);
    }
  }
}
