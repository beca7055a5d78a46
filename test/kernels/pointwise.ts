/** Checks of layer_norm, gelu and hadamard16. The references add in f64; the tolerances are derived where they are stated. */

import {
  expectClose,
  FLOAT_FILL_NAMES,
  type FloatFill,
  floats,
  floatsOf,
  ROUNDOFF,
  type Subject,
} from "../checkasm.ts";

/** Relative error of the kernels' exp, as kernels/lanes.ts states it. */
export const EXP_ERROR = 3e-7;

export interface PointwiseCase {
  n: number;
  fill: FloatFill;
  /** Added to every number. */
  offset: number;
  last: number;
}

/** Numbers of layer_norm's rows: offsets far from zero show a variance that cancels. */
export function layerNormCases(): PointwiseCase[] {
  const cases: PointwiseCase[] = [];
  for (const n of [32, 64, 256, 320, 2560]) {
    for (const fill of FLOAT_FILL_NAMES) cases.push({ n, fill, offset: 0, last: cases.length });
    for (const offset of [1, -300]) cases.push({ n, fill: "random", offset, last: cases.length });
  }
  return cases;
}

/**
 * Tolerance of layer_norm. The mean carries n/8 + 4 roundings of sums of |x|; that error moves every centred number
 * (and adds its square to the variance), whose sum of squares carries as many again, halved by the root.
 */
function layerNormBound(x: Float32Array, weight: Float32Array, y: Float32Array, epsilon: number) {
  const n = x.length;
  const sum = (f: (v: number) => number) => x.reduce((total, v) => total + f(v), 0);
  const mean = sum((v) => v) / n;
  const inverse = 1 / Math.sqrt(sum((v) => (v - mean) ** 2) / n + epsilon);
  const additions = n / 8 + 4;
  const meanError = (additions * ROUNDOFF * sum(Math.abs)) / n;
  const relative = (additions / 2 + 6) * ROUNDOFF + (meanError * inverse) ** 2;
  return (i: number): number => {
    const normal = Math.abs(x[i] - mean) * inverse;
    return Math.abs(weight[i]) * (meanError * inverse + normal * relative) + 3 * ROUNDOFF * (Math.abs(y[i]) + 1);
  };
}

export function checkLayerNorm({ arena, kernels, reference }: Subject, kase: PointwiseCase, next: () => number): void {
  const { n, fill, offset, last } = kase;
  const epsilon = Math.fround(1e-5);
  const x = floats(n, fill, next).map((v) => v + offset);
  const weight = floats(n, "random", next);
  const bias = floats(n, "random", next);
  const at = arena.lay({ x, weight, bias, y: 4 * n }, last);
  const row = [{ at: at.y, bytes: 4 * n }];
  const [actual] = arena.run(row, () => kernels.layer_norm(at.x, at.weight, at.bias, at.y, n, epsilon));
  const [expected] = arena.run(row, () => reference.layer_norm_reference(at.x, at.weight, at.bias, at.y, n, epsilon));
  const y = floatsOf(expected);
  expectClose(floatsOf(actual), y, layerNormBound(x, weight, y, epsilon), "number");
}

export function geluCases(): PointwiseCase[] {
  const cases: PointwiseCase[] = FLOAT_FILL_NAMES.map((fill, last) => ({ n: 64, fill, offset: 0, last }));
  return [...cases, ...[8, 24, 1024].map((n) => ({ n, fill: "random" as const, offset: -1, last: 0 }))];
}

/**
 * Tolerance of gelu: the exponent's two terms have one sign, so that its relative error stays below 5 roundings; what
 * that does to e^u and what exp adds counts by e^u / (1 + e^u). Below e^-87 results vanish: 1e-37 |x| remain at most.
 */
export function geluBound(x: Float32Array, y: Float32Array) {
  return (i: number): number => {
    const u = 1.5957691216 * x[i] + 0.0713548162726 * x[i] ** 3;
    const share = 1 / (1 + Math.exp(u));
    const relative = share * (5 * ROUNDOFF * Math.abs(u) + EXP_ERROR) + 3 * ROUNDOFF;
    return Math.abs(y[i]) * relative + 1e-37 * Math.abs(x[i]) + 2 ** -149;
  };
}

export function checkGelu({ arena, kernels, reference }: Subject, kase: PointwiseCase, next: () => number): void {
  const { n, fill, offset, last } = kase;
  const x = floats(n, fill, next).map((v) => v + offset);
  const at = arena.lay({ x }, last);
  const row = [{ at: at.x, bytes: 4 * n }];
  const [actual] = arena.run(row, () => kernels.gelu(at.x, n));
  const [expected] = arena.run(row, () => reference.gelu_reference(at.x, n));
  const y = floatsOf(expected);
  expectClose(floatsOf(actual), y, geluBound(x, y), "number");
}

export function hadamardCases(): PointwiseCase[] {
  return FLOAT_FILL_NAMES.flatMap((fill, last) => [16, 80].map((n) => ({ n, fill, offset: 0, last })));
}

/** Tolerance: four additions one after another of what is at most the sum of 16 magnitudes, over 4. */
export function checkHadamard({ arena, kernels, reference }: Subject, kase: PointwiseCase, next: () => number): void {
  const { n, fill, last } = kase;
  const x = floats(n, fill, next);
  const at = arena.lay({ x, y: 4 * n }, last);
  const [actual] = arena.run([{ at: at.x, bytes: 4 * n }], () => kernels.hadamard16(at.x, n));
  const [expected] = arena.run([{ at: at.y, bytes: 4 * n }], () => reference.hadamard16_reference(at.x, n, at.y));
  const sums = x.map((_, i) => x.subarray(i & ~15, (i | 15) + 1).reduce((sum, v) => sum + Math.abs(v), 0));
  expectClose(floatsOf(actual), floatsOf(expected), (i) => (5 * ROUNDOFF * sums[i]) / 4 + 2 ** -148, "number");
}
