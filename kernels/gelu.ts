/** The tanh form of GELU ("gelu_new"), in place: x / (1 + exp(-2u)), u = sqrt(2/pi) * (x + 0.044715 x^3). */

import { exp4 } from "./lanes";

/** `x` f32[n], n a multiple of 4. */
export function gelu(x: usize, n: usize): void {
  for (const end = x + (n << 2); x < end; x += 16) {
    const v = v128.load(x);
    const cube = f32x4.mul(f32x4.mul(v, v), v);
    const u = f32x4.add(f32x4.mul(v, f32x4.splat(-1.5957691216)), f32x4.mul(cube, f32x4.splat(-0.0713548162726)));
    v128.store(x, f32x4.div(v, f32x4.add(f32x4.splat(1), exp4(u))));
  }
}

/** The scalar form of `gelu`, and its specification. */
export function gelu_reference(x: usize, n: usize): void {
  for (let i: usize = 0; i < n; i++) {
    const v: f64 = load<f32>(x + (i << 2));
    const u = 0.7978845608028654 * (v + 0.044715 * v * v * v);
    store<f32>(x + (i << 2), <f32>(v / (1.0 + Math.exp(-2.0 * u))));
  }
}
