/**
 * out[t][r] = sum over k of W[r][k] * a[t][k], W in q8 tiles (int8, 16 rows x 32 columns, 544 B).
 *
 *   step s (16 steps of 2 columns), 32 B:  byte 2r+j = row r, column 2s+j      then 16 f16 scales
 *
 * Weights are widened to i16 by the load itself and meet 16-bit activations in i32x4.dot_i16x8_s: a lane is a row.
 * A block's i32 sum is at most 32 * 128 * 32767 < 2^31. Both builds share this code, since a byte does not fit the
 * 7-bit operand of the relaxed dot, and it is as fast as memory. As with q4, all forms give the same bits.
 */

import { HALF_TO_FLOAT, halfBits, halfToFloat, loadHalfMask, storeRows } from "./lanes";

// @ts-ignore: decorator
@inline const TILE: usize = 544;
// @ts-ignore: decorator
@inline const SCALES: usize = 512;

// @ts-ignore: decorator
@inline function addBlock(total: v128, dots: v128, scales: usize, halfMask: v128, as112: v128): v128 {
  return f32x4.add(total, f32x4.mul(f32x4.convert_i32x4_s(dots), f32x4.mul(halfBits(scales, halfMask), as112)));
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
    t0 = addBlock(t0, s0, w, halfMask, scale);
    t1 = addBlock(t1, s1, w + 8, halfMask, scale);
    t2 = addBlock(t2, s2, w + 16, halfMask, scale);
    t3 = addBlock(t3, s3, w + 24, halfMask, scale);
    w += TILE - SCALES;
  }
  storeRows(out, bias, t0, accumulate);
  storeRows(out + 16, bias + 16, t1, accumulate);
  storeRows(out + 32, bias + 32, t2, accumulate);
  storeRows(out + 48, bias + 48, t3, accumulate);
}

/** Four tokens, rows 8*half .. 8*half+7. The f32 sums of 4 tokens x 2 vectors live in `scratch` (128 bytes). */
// @ts-ignore: decorator
@inline function halfGroup4(w: usize, a0: usize, aStride: usize, k: usize, half: usize, scratch: usize): void {
  const a1 = a0 + aStride, a2 = a1 + aStride, a3 = a2 + aStride;
  const zero = f32x4.splat(0), halfMask = loadHalfMask();
  for (let i: usize = 0; i < 128; i += 16) v128.store(scratch + i, zero);
  w += half << 4;
  for (let b: usize = 0; b < k >> 3; b += 4) {
    let l0 = i32x4.splat(0), l1 = i32x4.splat(0), l2 = i32x4.splat(0), l3 = i32x4.splat(0);
    let h0 = i32x4.splat(0), h1 = i32x4.splat(0), h2 = i32x4.splat(0), h3 = i32x4.splat(0);
    let i = b << 4;
    for (let end = i + 64; i < end; i += 4) {
      const low = v128.load8x8_s(w), high = v128.load8x8_s(w, 8);
      let x = v128.load32_splat(a0 + i);
      l0 = i32x4.add(l0, i32x4.dot_i16x8_s(low, x));
      h0 = i32x4.add(h0, i32x4.dot_i16x8_s(high, x));
      x = v128.load32_splat(a1 + i);
      l1 = i32x4.add(l1, i32x4.dot_i16x8_s(low, x));
      h1 = i32x4.add(h1, i32x4.dot_i16x8_s(high, x));
      x = v128.load32_splat(a2 + i);
      l2 = i32x4.add(l2, i32x4.dot_i16x8_s(low, x));
      h2 = i32x4.add(h2, i32x4.dot_i16x8_s(high, x));
      x = v128.load32_splat(a3 + i);
      l3 = i32x4.add(l3, i32x4.dot_i16x8_s(low, x));
      h3 = i32x4.add(h3, i32x4.dot_i16x8_s(high, x));
      w += 32;
    }
    const s = (k << 1) + b;
    addToken(scratch, l0, h0, a0 + s, w, halfMask);
    addToken(scratch + 32, l1, h1, a1 + s, w, halfMask);
    addToken(scratch + 64, l2, h2, a2 + s, w, halfMask);
    addToken(scratch + 96, l3, h3, a3 + s, w, halfMask);
    w += TILE - SCALES;
  }
}

// @ts-ignore: decorator
@inline function addToken(totals: usize, low: v128, high: v128, scale: usize, ws: usize, halfMask: v128): void {
  const as112 = f32x4.splat(load<f32>(scale) * HALF_TO_FLOAT);
  v128.store(totals, addBlock(v128.load(totals), low, ws, halfMask, as112));
  v128.store(totals + 16, addBlock(v128.load(totals, 16), high, ws + 8, halfMask, as112));
}

/**
 * Row groups [from, to) of a matrix in q8 tiles times `tokens` activation rows of activation_bytes_q8(k).
 * The other arguments are those of matmul_q4.
 */
export function matmul_q8(w: usize, a: usize, tokens: usize, k: usize, from: usize, to: usize, out: usize, outStride: usize, bias: usize, accumulate: bool, scratch: usize): void {
  const groupBytes = (k >> 5) * TILE;
  const aStride = (k << 1) + (k >> 3);
  const fours = tokens & ~3;
  for (let r = from; r < to; r++) {
    const tiles = w + r * groupBytes, c = bias + (r << 6);
    for (let t: usize = 0; t < fours; t += 4) {
      for (let half: usize = 0; half < 2; half++) {
        halfGroup4(tiles, a + t * aStride, aStride, k, half, scratch);
        let o = out + t * outStride + (r << 6) + (half << 5);
        for (let i: usize = 0; i < 128; i += 32) {
          storeRows(o, c + (half << 5), v128.load(scratch + i), accumulate);
          storeRows(o + 16, c + (half << 5) + 16, v128.load(scratch + i, 16), accumulate);
          o += outStride;
        }
      }
    }
    for (let t = fours; t < tokens; t++) {
      rowGroup(tiles, a + t * aStride, k, out + t * outStride + (r << 6), c, accumulate);
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
