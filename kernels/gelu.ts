/** The tanh form of GELU ("gelu_new"), in place: x / (1 + exp(-2u)), u = sqrt(2/pi) * (x + 0.044715 x^3). */

import { exp4, loadOne } from "./lanes";

/** `x` f32[n], n a multiple of 8: pairs of vectors, which V8 can fuse. */
export function gelu(x: usize, n: usize): void {
  const one = loadOne();
  for (const end = x + (n << 2); x < end; x += 32) {
    const a = v128.load(x), b = v128.load(x, 16);
    const y = f32x4.div(a, f32x4.add(one, exp4(exponent(a))));
    const z = f32x4.div(b, f32x4.add(one, exp4(exponent(b))));
    v128.store(x, y);
    v128.store(x, z, 16);
  }
}

/** -2u */
// @ts-ignore: decorator
@inline function exponent(v: v128): v128 {
  const cube = f32x4.mul(f32x4.mul(v, v), v);
  return f32x4.add(f32x4.mul(v, f32x4.splat(-1.5957691216)), f32x4.mul(cube, f32x4.splat(-0.0713548162726)));
}

/** The scalar form of `gelu`, and its specification. */
export function gelu_reference(x: usize, n: usize): void {
  for (let i: usize = 0; i < n; i++) {
    const v: f64 = load<f32>(x + (i << 2));
    const u = 0.7978845608028654 * (v + 0.044715 * v * v * v);
    store<f32>(x + (i << 2), <f32>(v / (1.0 + Math.exp(-2.0 * u))));
  }
}
