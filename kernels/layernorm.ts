/**
 * y = (x - mean) / sqrt(variance + eps) * weight + bias over a row of k f32 (k a multiple of 32).
 * Two passes: the variance of centred values does not cancel.
 */

import { sumLanes } from "./lanes";

export function layer_norm(x: usize, weight: usize, bias: usize, y: usize, k: usize, epsilon: f32): void {
  const bytes = k << 2;
  let sum0 = f32x4.splat(0), sum1 = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 32) {
    sum0 = f32x4.add(sum0, v128.load(x + i));
    sum1 = f32x4.add(sum1, v128.load(x + i, 16));
  }
  const mean = f32x4.splat(sumLanes(f32x4.add(sum0, sum1)) / <f32>k);
  sum0 = f32x4.splat(0);
  sum1 = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 32) {
    const a = f32x4.sub(v128.load(x + i), mean), b = f32x4.sub(v128.load(x + i, 16), mean);
    sum0 = f32x4.add(sum0, f32x4.mul(a, a));
    sum1 = f32x4.add(sum1, f32x4.mul(b, b));
  }
  const variance = sumLanes(f32x4.add(sum0, sum1)) / <f32>k;
  const inverse = f32x4.splat(<f32>1.0 / sqrt(variance + epsilon));
  for (let i: usize = 0; i < bytes; i += 16) {
    const normal = f32x4.mul(f32x4.sub(v128.load(x + i), mean), inverse);
    v128.store(y + i, f32x4.add(f32x4.mul(normal, v128.load(weight + i)), v128.load(bias + i)));
  }
}

/** The scalar form of `layer_norm`, and its specification; sums in f64. */
export function layer_norm_reference(x: usize, weight: usize, bias: usize, y: usize, k: usize, epsilon: f32): void {
  let mean: f64 = 0, variance: f64 = 0;
  for (let i: usize = 0; i < k; i++) mean += load<f32>(x + (i << 2));
  mean /= <f64>k;
  for (let i: usize = 0; i < k; i++) {
    const d = <f64>load<f32>(x + (i << 2)) - mean;
    variance += d * d;
  }
  const inverse = 1.0 / Math.sqrt(variance / <f64>k + <f64>epsilon);
  for (let i: usize = 0; i < k; i++) {
    const normal = (<f64>load<f32>(x + (i << 2)) - mean) * inverse;
    store<f32>(y + (i << 2), <f32>(normal * <f64>load<f32>(weight + (i << 2)) + <f64>load<f32>(bias + (i << 2))));
  }
}
