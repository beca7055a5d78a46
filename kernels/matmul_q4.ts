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
  storeRows4,
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
  if (!RELAXED) return i32x4.add(accumulator, i32x4.dot_i16x8_s(nibbles, a));
  if (sizeof<A>() == 2) return i16x8.add(accumulator, v128.relaxed_dot<i16>(a, nibbles));
  return v128.relaxed_dot_add<i32>(a, nibbles, accumulator);
}

/** The i32 sums of a block from its accumulator. */
// @ts-ignore: decorator
@inline function widen<A>(accumulator: v128, ones: v128): v128 {
  if (RELAXED && sizeof<A>() == 2) return i32x4.dot_i16x8_s(accumulator, ones);
  return accumulator;
}

/**
 * Adds a block's four rows to their f32 sum. `scales` four weight scales without 2^112, which `as112`, the activation
 * scale, brings along; `at` the address of the weight scales, behind which the mins lie; `sum` of the activations.
 */
// @ts-ignore: decorator
@inline function addBlock<M>(total: v128, dots: v128, offset: v128, scales: v128, at: usize, halfMask: v128, as112: v128, sum: v128): v128 {
  if (isFloat<M>()) {
    const scaled = f32x4.mul(f32x4.convert_i32x4_s(dots), f32x4.mul(scales, as112));
    const mins = f32x4.mul(halfBits(at + (MINS - SCALES), halfMask), as112);
    return f32x4.add(total, f32x4.add(scaled, f32x4.mul(mins, sum)));
  }
  const centered = f32x4.convert_i32x4_s(i32x4.add(dots, offset));
  return f32x4.add(total, f32x4.mul(centered, f32x4.mul(scales, as112)));
}

// @ts-ignore: decorator
@inline function offsetOf<M>(sums: usize): v128 {
  if (isFloat<M>()) return i32x4.splat(0);
  return i32x4.splat(load<i32>(sums) * -8);
}

// @ts-ignore: decorator
@inline function sumOf<M>(sums: usize): v128 {
  if (isFloat<M>()) return f32x4.splat(<f32>load<i32>(sums));
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
      const sums = scales + (k >> 3) + b;
    const scale = f32x4.splat(load<f32>(scales + b) * HALF_TO_FLOAT);
    const sum = sumOf<M>(sums);
    const offset = offsetOf<M>(sums);
    t0 = addBlock<M>(t0, widen<A>(s0, ones), offset, halfBits(w, halfMask), w, halfMask, scale, sum);
    t1 = addBlock<M>(t1, widen<A>(s1, ones), offset, halfBits(w + 8, halfMask), w + 8, halfMask, scale, sum);
    t2 = addBlock<M>(t2, widen<A>(s2, ones), offset, halfBits(w + 16, halfMask), w + 16, halfMask, scale, sum);
    t3 = addBlock<M>(t3, widen<A>(s3, ones), offset, halfBits(w + 24, halfMask), w + 24, halfMask, scale, sum);
    w += tileBytes<M>() - SCALES;
  }
  storeRows(out, bias, t0, t1, t2, t3, accumulate);
}

/**
 * One token, one row group, simd build. Masks leave nibbles at their place in the 16-bit lane: the sums of the even high
 * and the odd low ones come out 16 and 256 times too large, exactly.
 */
// @ts-ignore: decorator
@inline function rowGroupSimd<M>(w: usize, a: usize, k: usize, out: usize, bias: usize, accumulate: bool): void {
  const evenLow = loadShortNibbleMask(0), evenHigh = loadShortNibbleMask(1), oddLow = loadShortNibbleMask(2);
  const halfMask = loadHalfMask();
  const scales = a + (k << 1);
  let t0 = f32x4.splat(0), t1 = f32x4.splat(0), t2 = f32x4.splat(0), t3 = f32x4.splat(0);
  for (let b: usize = 0; b < k >> 3; b += 4) {
    let el0 = i32x4.splat(0), el1 = i32x4.splat(0), eh0 = i32x4.splat(0), eh1 = i32x4.splat(0);
    let ol0 = i32x4.splat(0), ol1 = i32x4.splat(0), oh0 = i32x4.splat(0), oh1 = i32x4.splat(0);
    for (let end = a + 64; a < end; a += 8) {
      const even = v128.load32_splat(a);
      const odd = v128.load32_splat(a, 4);
      const p = v128.load(w), q = v128.load(w, 16);
      el0 = i32x4.add(el0, i32x4.dot_i16x8_s(v128.and(p, evenLow), even));
      el1 = i32x4.add(el1, i32x4.dot_i16x8_s(v128.and(q, evenLow), even));
      eh0 = i32x4.add(eh0, i32x4.dot_i16x8_s(v128.and(p, evenHigh), even));
      eh1 = i32x4.add(eh1, i32x4.dot_i16x8_s(v128.and(q, evenHigh), even));
      ol0 = i32x4.add(ol0, i32x4.dot_i16x8_s(v128.and(p, oddLow), odd));
      ol1 = i32x4.add(ol1, i32x4.dot_i16x8_s(v128.and(q, oddLow), odd));
      oh0 = i32x4.add(oh0, i32x4.dot_i16x8_s(i16x8.shr_u(p, 12), odd));
      oh1 = i32x4.add(oh1, i32x4.dot_i16x8_s(i16x8.shr_u(q, 12), odd));
      w += 32;
    }
      const sums = scales + (k >> 3) + b;
    const scale = f32x4.splat(load<f32>(scales + b) * HALF_TO_FLOAT);
    const sum = sumOf<M>(sums);
    const offset = offsetOf<M>(sums);
    t0 = addBlock<M>(t0, i32x4.add(el0, i32x4.shr_s(ol0, 8)), offset, halfBits(w, halfMask), w, halfMask, scale, sum);
    t1 = addBlock<M>(t1, i32x4.add(el1, i32x4.shr_s(ol1, 8)), offset, halfBits(w + 8, halfMask), w + 8, halfMask, scale, sum);
    t2 = addBlock<M>(t2, i32x4.add(i32x4.shr_s(eh0, 4), oh0), offset, halfBits(w + 16, halfMask), w + 16, halfMask, scale, sum);
    t3 = addBlock<M>(t3, i32x4.add(i32x4.shr_s(eh1, 4), oh1), offset, halfBits(w + 24, halfMask), w + 24, halfMask, scale, sum);
    w += tileBytes<M>() - SCALES;
  }
  storeRows(out, bias, t0, t1, t2, t3, accumulate);
}

/**
 * Two tokens, one row group. All registers come in pairs that are neighbours in memory (A and B, rows 0-3 and 4-7),
 * which is what V8 needs to fuse them into 256 bits.
 */
// @ts-ignore: decorator
@inline function rowGroup2<M, A>(w: usize, a0: usize, aStride: usize, k: usize, out0: usize, out1: usize, bias: usize, accumulate: bool): void {
  const mask = RELAXED ? loadNibbleMask() : loadShortNibbleMask(0);
  const ones = loadOnes(), halfMask = loadHalfMask();
  const scales0 = a0 + valueBytes4(k), scales1 = scales0 + aStride;
  let t0 = f32x4.splat(0), t1 = f32x4.splat(0), t2 = f32x4.splat(0), t3 = f32x4.splat(0);
  let u0 = f32x4.splat(0), u1 = f32x4.splat(0), u2 = f32x4.splat(0), u3 = f32x4.splat(0);
  for (let b: usize = 0; b < k >> 3; b += 4) {
    let r0 = i16x8.splat(0), r1 = i16x8.splat(0), r2 = i16x8.splat(0), r3 = i16x8.splat(0);
    let s0 = i16x8.splat(0), s1 = i16x8.splat(0), s2 = i16x8.splat(0), s3 = i16x8.splat(0);
    for (let end = a0 + (RELAXED ? 32 : 64); a0 < end; a0 += RELAXED ? 4 : 8) {
      const p = v128.load(w), q = v128.load(w, 16);
      const x = v128.load32_splat(a0), y = v128.load32_splat(a0 + aStride);
      let n = v128.and(p, mask), m = v128.and(q, mask);
      r0 = dotStep<A>(r0, x, n);
      r1 = dotStep<A>(r1, x, m);
      s0 = dotStep<A>(s0, y, n);
      s1 = dotStep<A>(s1, y, m);
      n = v128.and(i16x8.shr_u(p, 4), mask);
      m = v128.and(i16x8.shr_u(q, 4), mask);
      r2 = dotStep<A>(r2, x, n);
      r3 = dotStep<A>(r3, x, m);
      s2 = dotStep<A>(s2, y, n);
      s3 = dotStep<A>(s3, y, m);
      if (!RELAXED) {
        const u = v128.load32_splat(a0, 4), v = v128.load32_splat(a0 + aStride, 4);
        n = v128.and(i16x8.shr_u(p, 8), mask);
        m = v128.and(i16x8.shr_u(q, 8), mask);
        r0 = dotStep<A>(r0, u, n);
        r1 = dotStep<A>(r1, u, m);
        s0 = dotStep<A>(s0, v, n);
        s1 = dotStep<A>(s1, v, m);
        n = i16x8.shr_u(p, 12);
        m = i16x8.shr_u(q, 12);
        r2 = dotStep<A>(r2, u, n);
        r3 = dotStep<A>(r3, u, m);
        s2 = dotStep<A>(s2, v, n);
        s3 = dotStep<A>(s3, v, m);
      }
      w += 32;
    }
    const h0 = halfBits(w, halfMask), h1 = halfBits(w + 8, halfMask), h2 = halfBits(w + 16, halfMask), h3 = halfBits(w + 24, halfMask);
    let scale = f32x4.splat(load<f32>(scales0 + b) * HALF_TO_FLOAT);
    let sum = sumOf<M>(scales0 + (k >> 3) + b);
    let offset = offsetOf<M>(scales0 + (k >> 3) + b);
    t0 = addBlock<M>(t0, widen<A>(r0, ones), offset, h0, w, halfMask, scale, sum);
    t1 = addBlock<M>(t1, widen<A>(r1, ones), offset, h1, w + 8, halfMask, scale, sum);
    t2 = addBlock<M>(t2, widen<A>(r2, ones), offset, h2, w + 16, halfMask, scale, sum);
    t3 = addBlock<M>(t3, widen<A>(r3, ones), offset, h3, w + 24, halfMask, scale, sum);
    scale = f32x4.splat(load<f32>(scales1 + b) * HALF_TO_FLOAT);
    sum = sumOf<M>(scales1 + (k >> 3) + b);
    offset = offsetOf<M>(scales1 + (k >> 3) + b);
    u0 = addBlock<M>(u0, widen<A>(s0, ones), offset, h0, w, halfMask, scale, sum);
    u1 = addBlock<M>(u1, widen<A>(s1, ones), offset, h1, w + 8, halfMask, scale, sum);
    u2 = addBlock<M>(u2, widen<A>(s2, ones), offset, h2, w + 16, halfMask, scale, sum);
    u3 = addBlock<M>(u3, widen<A>(s3, ones), offset, h3, w + 24, halfMask, scale, sum);
    w += tileBytes<M>() - SCALES;
  }
  storeRows(out0, bias, t0, t1, t2, t3, accumulate);
  storeRows(out1, bias, u0, u1, u2, u3, accumulate);
}

/**
 * Four tokens, one row group, relaxed build. 16 sums of a block are as many as x64 has registers; V8 spills few of them
 * in 128 bits and none in 256. The f32 sums of 4 tokens x 4 vectors live in `scratch` (256 bytes).
 */
// @ts-ignore: decorator
@inline function rowGroup4<M, A>(w: usize, a0: usize, aStride: usize, k: usize, scratch: usize): void {
  const mask = loadNibbleMask(), ones = loadOnes(), halfMask = loadHalfMask();
  const a1 = a0 + aStride, a2 = a1 + aStride, a3 = a2 + aStride;
  const values = valueBytes4(k);
  const zero = f32x4.splat(0);
  for (let i: usize = 0; i < 256; i += 16) v128.store(scratch + i, zero);
  for (let b: usize = 0; b < k >> 3; b += 4) {
    let r0 = i16x8.splat(0), r1 = i16x8.splat(0), r2 = i16x8.splat(0), r3 = i16x8.splat(0);
    let s0 = i16x8.splat(0), s1 = i16x8.splat(0), s2 = i16x8.splat(0), s3 = i16x8.splat(0);
    let t0 = i16x8.splat(0), t1 = i16x8.splat(0), t2 = i16x8.splat(0), t3 = i16x8.splat(0);
    let u0 = i16x8.splat(0), u1 = i16x8.splat(0), u2 = i16x8.splat(0), u3 = i16x8.splat(0);
    let i = b << 3;
    for (let end = i + 32; i < end; i += 4) {
      const p = v128.load(w), q = v128.load(w, 16);
      const n0 = v128.and(p, mask), n1 = v128.and(q, mask);
      const n2 = v128.and(i16x8.shr_u(p, 4), mask), n3 = v128.and(i16x8.shr_u(q, 4), mask);
      let x = v128.load32_splat(a0 + i);
      r0 = dotStep<A>(r0, x, n0);
      r1 = dotStep<A>(r1, x, n1);
      r2 = dotStep<A>(r2, x, n2);
      r3 = dotStep<A>(r3, x, n3);
      x = v128.load32_splat(a1 + i);
      s0 = dotStep<A>(s0, x, n0);
      s1 = dotStep<A>(s1, x, n1);
      s2 = dotStep<A>(s2, x, n2);
      s3 = dotStep<A>(s3, x, n3);
      x = v128.load32_splat(a2 + i);
      t0 = dotStep<A>(t0, x, n0);
      t1 = dotStep<A>(t1, x, n1);
      t2 = dotStep<A>(t2, x, n2);
      t3 = dotStep<A>(t3, x, n3);
      x = v128.load32_splat(a3 + i);
      u0 = dotStep<A>(u0, x, n0);
      u1 = dotStep<A>(u1, x, n1);
      u2 = dotStep<A>(u2, x, n2);
      u3 = dotStep<A>(u3, x, n3);
      w += 32;
    }
    const h0 = halfBits(w, halfMask), h1 = halfBits(w + 8, halfMask);
    const h2 = halfBits(w + 16, halfMask), h3 = halfBits(w + 24, halfMask);
    const s = values + b;
    addToken<M, A>(scratch, r0, r1, r2, r3, h0, h1, h2, h3, a0 + s, k, w, ones, halfMask);
    addToken<M, A>(scratch + 64, s0, s1, s2, s3, h0, h1, h2, h3, a1 + s, k, w, ones, halfMask);
    addToken<M, A>(scratch + 128, t0, t1, t2, t3, h0, h1, h2, h3, a2 + s, k, w, ones, halfMask);
    addToken<M, A>(scratch + 192, u0, u1, u2, u3, h0, h1, h2, h3, a3 + s, k, w, ones, halfMask);
    w += tileBytes<M>() - SCALES;
  }
}

// @ts-ignore: decorator
@inline function addToken<M, A>(totals: usize, r0: v128, r1: v128, r2: v128, r3: v128, h0: v128, h1: v128, h2: v128, h3: v128, scales: usize, k: usize, at: usize, ones: v128, halfMask: v128): void {
  const scale = f32x4.splat(load<f32>(scales) * HALF_TO_FLOAT);
  const sum = sumOf<M>(scales + (k >> 3));
  const offset = offsetOf<M>(scales + (k >> 3));
  const t0 = addBlock<M>(v128.load(totals), widen<A>(r0, ones), offset, h0, at, halfMask, scale, sum);
  const t1 = addBlock<M>(v128.load(totals, 16), widen<A>(r1, ones), offset, h1, at + 8, halfMask, scale, sum);
  const t2 = addBlock<M>(v128.load(totals, 32), widen<A>(r2, ones), offset, h2, at + 16, halfMask, scale, sum);
  const t3 = addBlock<M>(v128.load(totals, 48), widen<A>(r3, ones), offset, h3, at + 24, halfMask, scale, sum);
  v128.store(totals, t0);
  v128.store(totals, t1, 16);
  v128.store(totals, t2, 32);
  v128.store(totals, t3, 48);
}

// @ts-ignore: decorator
@inline function rowGroup1<M, A>(w: usize, a: usize, k: usize, out: usize, bias: usize, accumulate: bool): void {
  if (RELAXED) rowGroupRelaxed<M, A>(w, a, k, out, bias, accumulate);
  else rowGroupSimd<M>(w, a, k, out, bias, accumulate);
}

/** Row groups [from, to) for all tokens; each row group is read from memory once. */
// @ts-ignore: decorator
@inline function matmul<M, A>(w: usize, a: usize, tokens: usize, k: usize, from: usize, to: usize, out: usize, outStride: usize, bias: usize, accumulate: bool, scratch: usize): void {
  const groupBytes = (k >> 5) * tileBytes<M>();
  const aStride = valueBytes4(k) + (k >> 2);
  for (let r = from; r < to; r++) {
    const tiles = w + r * groupBytes, c = bias + (r << 6);
    let o = out + (r << 6), x = a, left = tokens;
    if (RELAXED) {
      for (; left >= 4; left -= 4) {
        rowGroup4<M, A>(tiles, x, aStride, k, scratch);
        storeRows4(o, outStride, c, scratch, accumulate);
        o += outStride << 2;
        x += aStride << 2;
      }
    }
    for (; left >= 2; left -= 2) {
      rowGroup2<M, A>(tiles, x, aStride, k, o, o + outStride, c, accumulate);
      o += outStride << 1;
      x += aStride << 1;
    }
    if (left) rowGroup1<M, A>(tiles, x, k, o, c, accumulate);
  }
}

/**
 * Row groups [from, to) of a matrix in q4 tiles times `tokens` activation rows.
 * `w` the matrix's first tile, `a` rows of activation_bytes_q4(k), `out` f32 rows `outStride` bytes apart with room for
 * 16 * to numbers, `bias` f32[16 * to], `accumulate`: add to `out` instead of setting it, `scratch` 256 bytes.
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
        if (mins) term += halfToFloat(load<u16>(tile + MINS + ((r & 15) << 1))) * as * <f32>sum;
        total += term;
      }
      const p = out + t * outStride + (r << 2);
      total += load<f32>(bias + (r << 2));
      store<f32>(p, accumulate ? total + load<f32>(p) : total);
    }
  }
}
