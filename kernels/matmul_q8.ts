/**
 * out[t][r] = sum over k of W[r][k] * a[t][k], W in q8 tiles (int8, 16 rows x 32 columns, 544 B).
 *
 *   step s (16 steps of 2 columns), 32 B:  byte 2r+j = row r, column 2s+j      then 16 f16 scales
 *
 * Weights are widened to i16 by the load itself and meet 16-bit activations in i32x4.dot_i16x8_s: a lane is a row.
 * A block's i32 sum is at most 32 * 128 * 32767 < 2^31. Both builds share this code, since a byte does not fit the
 * 7-bit operand of the relaxed dot, and it is as fast as memory. As with q4, all forms give the same bits.
 */

import { HALF_TO_FLOAT, halfBits, halfToFloat, loadHalfMask, storeRows, storeRows4, touch } from "./lanes";

// @ts-ignore: decorator
@inline const TILE: usize = 544;
// @ts-ignore: decorator
@inline const SCALES: usize = 512;

// @ts-ignore: decorator
@inline function addBlock(total: v128, dots: v128, scales: v128, as112: v128): v128 {
  return f32x4.add(total, f32x4.mul(f32x4.convert_i32x4_s(dots), f32x4.mul(scales, as112)));
}

/** One token, one row group. */
// @ts-ignore: decorator
@inline function rowGroup(w: usize, a: usize, k: usize, out: usize, bias: usize, accumulate: bool): void {
  const scales = a + (k << 1);
  const halfMask = loadHalfMask();
  let t0 = f32x4.splat(0), t1 = f32x4.splat(0), t2 = f32x4.splat(0), t3 = f32x4.splat(0);
  for (let b: usize = 0; b < k >> 3; b += 4) {
    let s0 = i32x4.splat(0), s1 = i32x4.splat(0), s2 = i32x4.splat(0), s3 = i32x4.splat(0);
    for (let end = a + 64; a < end; a += 4) {
      const x = v128.load32_splat(a);
      s0 = i32x4.add(s0, i32x4.dot_i16x8_s(v128.load8x8_s(w), x));
      s1 = i32x4.add(s1, i32x4.dot_i16x8_s(v128.load8x8_s(w, 8), x));
      s2 = i32x4.add(s2, i32x4.dot_i16x8_s(v128.load8x8_s(w, 16), x));
      s3 = i32x4.add(s3, i32x4.dot_i16x8_s(v128.load8x8_s(w, 24), x));
      w += 32;
    }
    const scale = f32x4.splat(load<f32>(scales + b) * HALF_TO_FLOAT);
    t0 = addBlock(t0, s0, halfBits(w, halfMask), scale);
    t1 = addBlock(t1, s1, halfBits(w + 8, halfMask), scale);
    t2 = addBlock(t2, s2, halfBits(w + 16, halfMask), scale);
    t3 = addBlock(t3, s3, halfBits(w + 24, halfMask), scale);
    w += TILE - SCALES;
  }
  storeRows(out, bias, t0, t1, t2, t3, accumulate);
}

/** One token, two row groups that follow each other, to keep more reads of memory under way; see rows_q4.ts. */
// @ts-ignore: decorator
@inline function rowGroups2(w: usize, a: usize, k: usize, out: usize, bias: usize, accumulate: bool): void {
  const scales = a + (k << 1);
  const halfMask = loadHalfMask();
  let v = w + (k >> 5) * TILE;
  let t0 = f32x4.splat(0), t1 = f32x4.splat(0), t2 = f32x4.splat(0), t3 = f32x4.splat(0);
  let u0 = f32x4.splat(0), u1 = f32x4.splat(0), u2 = f32x4.splat(0), u3 = f32x4.splat(0);
  for (let b: usize = 0; b < k >> 3; b += 4) {
    let r0 = i32x4.splat(0), r1 = i32x4.splat(0), r2 = i32x4.splat(0), r3 = i32x4.splat(0);
    let s0 = i32x4.splat(0), s1 = i32x4.splat(0), s2 = i32x4.splat(0), s3 = i32x4.splat(0);
    for (let end = a + 64; a < end; a += 4) {
      const x = v128.load32_splat(a);
      r0 = i32x4.add(r0, i32x4.dot_i16x8_s(v128.load8x8_s(w), x));
      r1 = i32x4.add(r1, i32x4.dot_i16x8_s(v128.load8x8_s(w, 8), x));
      r2 = i32x4.add(r2, i32x4.dot_i16x8_s(v128.load8x8_s(w, 16), x));
      r3 = i32x4.add(r3, i32x4.dot_i16x8_s(v128.load8x8_s(w, 24), x));
      s0 = i32x4.add(s0, i32x4.dot_i16x8_s(v128.load8x8_s(v), x));
      s1 = i32x4.add(s1, i32x4.dot_i16x8_s(v128.load8x8_s(v, 8), x));
      s2 = i32x4.add(s2, i32x4.dot_i16x8_s(v128.load8x8_s(v, 16), x));
      s3 = i32x4.add(s3, i32x4.dot_i16x8_s(v128.load8x8_s(v, 24), x));
      w += 32;
      v += 32;
    }
    const scale = f32x4.splat(load<f32>(scales + b) * HALF_TO_FLOAT);
    t0 = addBlock(t0, r0, halfBits(w, halfMask), scale);
    t1 = addBlock(t1, r1, halfBits(w + 8, halfMask), scale);
    t2 = addBlock(t2, r2, halfBits(w + 16, halfMask), scale);
    t3 = addBlock(t3, r3, halfBits(w + 24, halfMask), scale);
    u0 = addBlock(u0, s0, halfBits(v, halfMask), scale);
    u1 = addBlock(u1, s1, halfBits(v + 8, halfMask), scale);
    u2 = addBlock(u2, s2, halfBits(v + 16, halfMask), scale);
    u3 = addBlock(u3, s3, halfBits(v + 24, halfMask), scale);
    w += TILE - SCALES;
    v += TILE - SCALES;
  }
  storeRows(out, bias, t0, t1, t2, t3, accumulate);
  storeRows(out + 64, bias + 64, u0, u1, u2, u3, accumulate);
}

/** Four tokens, one row group. The f32 sums of 4 tokens x 4 vectors live in `scratch` (256 bytes); see matmul_q4.ts. */
// @ts-ignore: decorator
@inline function rowGroup4(w: usize, a0: usize, aStride: usize, k: usize, scratch: usize): void {
  const zero = f32x4.splat(0), halfMask = loadHalfMask();
  const a1 = a0 + aStride, a2 = a1 + aStride, a3 = a2 + aStride;
  for (let i: usize = 0; i < 256; i += 16) v128.store(scratch + i, zero);
  for (let b: usize = 0; b < k >> 3; b += 4) {
    let r0 = i32x4.splat(0), r1 = i32x4.splat(0), r2 = i32x4.splat(0), r3 = i32x4.splat(0);
    let s0 = i32x4.splat(0), s1 = i32x4.splat(0), s2 = i32x4.splat(0), s3 = i32x4.splat(0);
    let t0 = i32x4.splat(0), t1 = i32x4.splat(0), t2 = i32x4.splat(0), t3 = i32x4.splat(0);
    let u0 = i32x4.splat(0), u1 = i32x4.splat(0), u2 = i32x4.splat(0), u3 = i32x4.splat(0);
    let i = b << 4;
    for (let end = i + 64; i < end; i += 4) {
      const n0 = v128.load8x8_s(w), n1 = v128.load8x8_s(w, 8);
      const n2 = v128.load8x8_s(w, 16), n3 = v128.load8x8_s(w, 24);
      let x = v128.load32_splat(a0 + i);
      r0 = i32x4.add(r0, i32x4.dot_i16x8_s(n0, x));
      r1 = i32x4.add(r1, i32x4.dot_i16x8_s(n1, x));
      r2 = i32x4.add(r2, i32x4.dot_i16x8_s(n2, x));
      r3 = i32x4.add(r3, i32x4.dot_i16x8_s(n3, x));
      x = v128.load32_splat(a1 + i);
      s0 = i32x4.add(s0, i32x4.dot_i16x8_s(n0, x));
      s1 = i32x4.add(s1, i32x4.dot_i16x8_s(n1, x));
      s2 = i32x4.add(s2, i32x4.dot_i16x8_s(n2, x));
      s3 = i32x4.add(s3, i32x4.dot_i16x8_s(n3, x));
      x = v128.load32_splat(a2 + i);
      t0 = i32x4.add(t0, i32x4.dot_i16x8_s(n0, x));
      t1 = i32x4.add(t1, i32x4.dot_i16x8_s(n1, x));
      t2 = i32x4.add(t2, i32x4.dot_i16x8_s(n2, x));
      t3 = i32x4.add(t3, i32x4.dot_i16x8_s(n3, x));
      x = v128.load32_splat(a3 + i);
      u0 = i32x4.add(u0, i32x4.dot_i16x8_s(n0, x));
      u1 = i32x4.add(u1, i32x4.dot_i16x8_s(n1, x));
      u2 = i32x4.add(u2, i32x4.dot_i16x8_s(n2, x));
      u3 = i32x4.add(u3, i32x4.dot_i16x8_s(n3, x));
      w += 32;
    }
    const h0 = halfBits(w, halfMask), h1 = halfBits(w + 8, halfMask);
    const h2 = halfBits(w + 16, halfMask), h3 = halfBits(w + 24, halfMask);
    const s = (k << 1) + b;
    addToken(scratch, r0, r1, r2, r3, h0, h1, h2, h3, a0 + s);
    addToken(scratch + 64, s0, s1, s2, s3, h0, h1, h2, h3, a1 + s);
    addToken(scratch + 128, t0, t1, t2, t3, h0, h1, h2, h3, a2 + s);
    addToken(scratch + 192, u0, u1, u2, u3, h0, h1, h2, h3, a3 + s);
    w += TILE - SCALES;
  }
}

// @ts-ignore: decorator
@inline function addToken(totals: usize, r0: v128, r1: v128, r2: v128, r3: v128, h0: v128, h1: v128, h2: v128, h3: v128, scale: usize): void {
  const as112 = f32x4.splat(load<f32>(scale) * HALF_TO_FLOAT);
  const t0 = addBlock(v128.load(totals), r0, h0, as112);
  const t1 = addBlock(v128.load(totals, 16), r1, h1, as112);
  const t2 = addBlock(v128.load(totals, 32), r2, h2, as112);
  const t3 = addBlock(v128.load(totals, 48), r3, h3, as112);
  v128.store(totals, t0);
  v128.store(totals, t1, 16);
  v128.store(totals, t2, 32);
  v128.store(totals, t3, 48);
}

/**
 * Row groups [from, to) of a matrix in q8 tiles times `tokens` activation rows of activation_bytes_q8(k).
 * The other arguments are those of matmul_q4.
 */
export function matmul_q8(w: usize, a: usize, tokens: usize, k: usize, from: usize, to: usize, out: usize, outStride: usize, bias: usize, accumulate: bool, scratch: usize): void {
  const groupBytes = (k >> 5) * TILE;
  const aStride = (k << 1) + (k >> 3);
  // Between the lines of bias and output that two row groups need lie kilobytes of weights.
  store<i32>(scratch, touch(bias + (from << 6), (to - from) << 6) ^ touch(out + (from << 6), (to - from) << 6));
  let r = from;
  if (tokens == 1) {
    for (; r + 2 <= to; r += 2) rowGroups2(w + r * groupBytes, a, k, out + (r << 6), bias + (r << 6), accumulate);
  }
  for (; r < to; r++) {
    const tiles = w + r * groupBytes, c = bias + (r << 6);
    let o = out + (r << 6), x = a, left = tokens;
    for (; left >= 4; left -= 4) {
      rowGroup4(tiles, x, aStride, k, scratch);
      storeRows4(o, outStride, c, scratch, accumulate);
      o += outStride << 2;
      x += aStride << 2;
    }
    for (; left > 0; left--) {
      rowGroup(tiles, x, k, o, c, accumulate);
      o += outStride;
      x += aStride;
    }
  }
}

/** The scalar form of `matmul_q8`, and its specification. */
export function matmul_q8_reference(w: usize, a: usize, tokens: usize, k: usize, from: usize, to: usize, out: usize, outStride: usize, bias: usize, accumulate: bool): void {
  const aStride = (k << 1) + (k >> 3);
  for (let t: usize = 0; t < tokens; t++) {
    const row = a + t * aStride;
    for (let r = from << 4; r < to << 4; r++) {
      let total: f32 = 0;
      for (let b: usize = 0; b < k >> 5; b++) {
        const tile = w + ((r >> 4) * (k >> 5) + b) * TILE;
        const scale = halfToFloat(load<u16>(tile + SCALES + ((r & 15) << 1)));
        let dot = 0;
        for (let c: usize = 0; c < 32; c++) {
          dot += load<i8>(tile + ((c >> 1) << 5) + ((r & 15) << 1) + (c & 1)) * load<i16>(row + (((b << 5) + c) << 1));
        }
        total += <f32>dot * (scale * load<f32>(row + (k << 1) + (b << 2)));
      }
      const p = out + t * outStride + (r << 2);
      total += load<f32>(bias + (r << 2));
      store<f32>(p, accumulate ? total + load<f32>(p) : total);
    }
  }
}
