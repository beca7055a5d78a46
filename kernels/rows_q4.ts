/**
 * Products of one or two row groups of int4 tiles with one, two or four tokens: the inner loops of matmul_q4.ts, which
 * draws the tile and says what is computed.
 */

import {
  HALF_TO_FLOAT, RELAXED, halfBits, loadHalfMask, loadNibbleMask, loadOnes, loadShortNibbleMask, storeRows,
} from "./lanes";
import { valueBytes4 } from "./quantize";

// @ts-ignore: decorator
@inline export const SCALES: usize = 256;
// @ts-ignore: decorator
@inline export const MINS: usize = 288;

/** Type arguments that choose a form at compile time: with or without mins, i16 or i32 accumulation. */
export type NoMins = i32;
export type Mins = f32;
export type Pairs = i16;
export type Sdot = i32;

// @ts-ignore: decorator
@inline export function tileBytes<M>(): usize {
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
 * One token, two row groups that follow each other, relaxed build: two streams of weights keep more reads of memory under way
 * than one, and share the splat of the activations.
 */
// @ts-ignore: decorator
@inline export function rowGroups2<M, A>(w: usize, a: usize, k: usize, out: usize, bias: usize, accumulate: bool): void {
  const mask = loadNibbleMask(), ones = loadOnes(), halfMask = loadHalfMask();
  const scales = a + k;
  let v = w + (k >> 5) * tileBytes<M>();
  let t0 = f32x4.splat(0), t1 = f32x4.splat(0), t2 = f32x4.splat(0), t3 = f32x4.splat(0);
  let u0 = f32x4.splat(0), u1 = f32x4.splat(0), u2 = f32x4.splat(0), u3 = f32x4.splat(0);
  for (let b: usize = 0; b < k >> 3; b += 4) {
    let r0 = i16x8.splat(0), r1 = i16x8.splat(0), r2 = i16x8.splat(0), r3 = i16x8.splat(0);
    let s0 = i16x8.splat(0), s1 = i16x8.splat(0), s2 = i16x8.splat(0), s3 = i16x8.splat(0);
    for (let end = a + 32; a < end; a += 4) {
      const x = v128.load32_splat(a);
      let p = v128.load(w), q = v128.load(w, 16);
      r0 = dotStep<A>(r0, x, v128.and(p, mask));
      r1 = dotStep<A>(r1, x, v128.and(q, mask));
      r2 = dotStep<A>(r2, x, v128.and(i16x8.shr_u(p, 4), mask));
      r3 = dotStep<A>(r3, x, v128.and(i16x8.shr_u(q, 4), mask));
      p = v128.load(v), q = v128.load(v, 16);
      s0 = dotStep<A>(s0, x, v128.and(p, mask));
      s1 = dotStep<A>(s1, x, v128.and(q, mask));
      s2 = dotStep<A>(s2, x, v128.and(i16x8.shr_u(p, 4), mask));
      s3 = dotStep<A>(s3, x, v128.and(i16x8.shr_u(q, 4), mask));
      w += 32;
      v += 32;
    }
    const sums = scales + (k >> 3) + b;
    const scale = f32x4.splat(load<f32>(scales + b) * HALF_TO_FLOAT);
    const sum = sumOf<M>(sums);
    const offset = offsetOf<M>(sums);
    t0 = addBlock<M>(t0, widen<A>(r0, ones), offset, halfBits(w, halfMask), w, halfMask, scale, sum);
    t1 = addBlock<M>(t1, widen<A>(r1, ones), offset, halfBits(w + 8, halfMask), w + 8, halfMask, scale, sum);
    t2 = addBlock<M>(t2, widen<A>(r2, ones), offset, halfBits(w + 16, halfMask), w + 16, halfMask, scale, sum);
    t3 = addBlock<M>(t3, widen<A>(r3, ones), offset, halfBits(w + 24, halfMask), w + 24, halfMask, scale, sum);
    u0 = addBlock<M>(u0, widen<A>(s0, ones), offset, halfBits(v, halfMask), v, halfMask, scale, sum);
    u1 = addBlock<M>(u1, widen<A>(s1, ones), offset, halfBits(v + 8, halfMask), v + 8, halfMask, scale, sum);
    u2 = addBlock<M>(u2, widen<A>(s2, ones), offset, halfBits(v + 16, halfMask), v + 16, halfMask, scale, sum);
    u3 = addBlock<M>(u3, widen<A>(s3, ones), offset, halfBits(v + 24, halfMask), v + 24, halfMask, scale, sum);
    w += tileBytes<M>() - SCALES;
    v += tileBytes<M>() - SCALES;
  }
  storeRows(out, bias, t0, t1, t2, t3, accumulate);
  storeRows(out + 64, bias + 64, u0, u1, u2, u3, accumulate);
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
@inline export function rowGroup2<M, A>(w: usize, a0: usize, aStride: usize, k: usize, out0: usize, out1: usize, bias: usize, accumulate: bool): void {
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
@inline export function rowGroup4<M, A>(w: usize, a0: usize, aStride: usize, k: usize, scratch: usize): void {
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

/** One token, one row group. */
// @ts-ignore: decorator
@inline export function rowGroup1<M, A>(w: usize, a: usize, k: usize, out: usize, bias: usize, accumulate: bool): void {
  if (RELAXED) rowGroupRelaxed<M, A>(w, a, k, out, bias, accumulate);
  else rowGroupSimd<M>(w, a, k, out, bias, accumulate);
}
