/**
 * out[t][r] = sum over k of W[r][k] * a[t][k] in f32 throughout: the exact road for F32, F16 and BF16 weights.
 * Tiles hold, column by column, 16 f32, one a row (2048 B for 32 columns). Activations are plain f32 rows of k.
 */

import { storeRows } from "./lanes";

/** Row groups [from, to) of a matrix in f32 tiles; the arguments are those of matmul_q4. */
export function matmul_f32(w: usize, a: usize, tokens: usize, k: usize, from: usize, to: usize, out: usize, outStride: usize, bias: usize, accumulate: bool, scratch: usize): void {
  for (let r = from; r < to; r++) {
    const c = bias + (r << 6);
    for (let t: usize = 0; t < tokens; t++) {
      let p = w + r * (k << 6);
      let t0 = f32x4.splat(0), t1 = f32x4.splat(0), t2 = f32x4.splat(0), t3 = f32x4.splat(0);
      const row = a + t * (k << 2);
      for (let i = row; i < row + (k << 2); i += 4) {
        const x = v128.load32_splat(i);
        t0 = f32x4.add(t0, f32x4.mul(v128.load(p), x));
        t1 = f32x4.add(t1, f32x4.mul(v128.load(p, 16), x));
        t2 = f32x4.add(t2, f32x4.mul(v128.load(p, 32), x));
        t3 = f32x4.add(t3, f32x4.mul(v128.load(p, 48), x));
        p += 64;
      }
      const o = out + t * outStride + (r << 6);
      storeRows(o, c, t0, t1, t2, t3, accumulate);
    }
  }
}

/** The scalar form of `matmul_f32`, and its specification. */
export function matmul_f32_reference(w: usize, a: usize, tokens: usize, k: usize, from: usize, to: usize, out: usize, outStride: usize, bias: usize, accumulate: bool): void {
  for (let t: usize = 0; t < tokens; t++) {
    for (let r = from << 4; r < to << 4; r++) {
      let total: f32 = 0;
      for (let i: usize = 0; i < k; i++) {
        const weight = load<f32>(w + (r >> 4) * (k << 6) + (i << 6) + ((r & 15) << 2));
        total += weight * load<f32>(a + ((t * k + i) << 2));
      }
      const p = out + t * outStride + (r << 2);
      total += load<f32>(bias + (r << 2));
      store<f32>(p, accumulate ? total + load<f32>(p) : total);
    }
  }
}
