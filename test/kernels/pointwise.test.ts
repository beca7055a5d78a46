import { describe, expect, it } from "vitest";
import { checkAll, expectClose, floatsOf, SEEDS, subjects } from "../checkasm.ts";
import {
  checkGelu,
  checkHadamard,
  checkLayerNorm,
  geluBound,
  geluCases,
  hadamardCases,
  layerNormCases,
} from "./pointwise.ts";

const UNUSUAL = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

describe.each(subjects().filter(({ form }) => form === "pairs"))("$name", (subject) => {
  const { arena, kernels, reference } = subject;

  it("layer_norm stays within its rounding of the f64 reference", () => {
    for (const seed of SEEDS) checkAll(subject, seed, layerNormCases(), checkLayerNorm);
  });

  it("layer_norm may write over its input", () => {
    const x = Float32Array.from({ length: 64 }, (_, i) => Math.sin(i));
    const at = arena.lay({ x, weight: x, bias: x, y: 256 }, 0);
    const norm = (y: number) =>
      arena.run([{ at: y, bytes: 256 }], () => {
        kernels.layer_norm(at.x, at.weight, at.bias, y, 64, 1e-5);
      });
    expect(norm(at.x)).toEqual(norm(at.y));
  });

  it.each(UNUSUAL)("layer_norm makes the whole row NaN for one %s", (value) => {
    const x = new Float32Array(64).fill(0.5);
    x[21] = value;
    const ones = new Float32Array(64).fill(1);
    const at = arena.lay({ x, weight: ones, bias: ones, y: 256 }, 0);
    const [y] = arena.run([{ at: at.y, bytes: 256 }], () =>
      kernels.layer_norm(at.x, at.weight, at.bias, at.y, 64, 1e-5),
    );
    expect([...floatsOf(y)].every(Number.isNaN)).toBe(true);
  });

  it("hadamard16 stays within its rounding of the f64 reference", () => {
    for (const seed of SEEDS) checkAll(subject, seed, hadamardCases(), checkHadamard);
  });

  it("gelu stays within its rounding of the f64 reference", () => {
    for (const seed of SEEDS) checkAll(subject, seed, geluCases(), checkGelu);
  });

  it("gelu is accurate on a fine grid, and nothing before or after the clamped exponents jumps", () => {
    const x = Float32Array.from({ length: 40_000 }, (_, i) => (i - 20_000) / 1000);
    const at = arena.lay({ x }, 0);
    const row = [{ at: at.x, bytes: x.byteLength }];
    const [actual] = arena.run(row, () => kernels.gelu(at.x, x.length));
    const [expected] = arena.run(row, () => reference.gelu_reference(at.x, x.length));
    expectClose(floatsOf(actual), floatsOf(expected), geluBound(x, floatsOf(expected)), "number");
  });

  it.each(UNUSUAL)("gelu keeps %s out of the finite numbers and leaves its neighbours alone", (value) => {
    const at = arena.lay({ x: Float32Array.from([1, value, 1, 1, 1, 1, 1, 1]) }, 0);
    const [bytes] = arena.run([{ at: at.x, bytes: 32 }], () => kernels.gelu(at.x, 8));
    const y = floatsOf(bytes);
    expect(Number.isFinite(y[1])).toBe(false);
    expect(new Set([y[0], ...y.slice(2)])).toEqual(new Set([Math.fround(0.841192)]));
  });
});
