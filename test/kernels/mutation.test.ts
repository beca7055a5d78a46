/** The harness notices kernels that compute something else: at least nine of ten kernels broken at random. */

import { describe, expect, it } from "vitest";
import type { DotForm } from "../../runtime/compute/kernels.ts";
import type { KernelBuild } from "../../runtime/device.ts";
import { bytesOfBuild, checkAll, type Subject, subjectOf } from "../checkasm.ts";
import { attentionCases, checkAttention, checkSpoiled } from "./attention.ts";
import { random } from "./blocks.ts";
import { mutate, mutationsOf } from "./broken.ts";
import { checkMatmul, checkQuantize, matmulFills, matmulShapes, quantizeCases } from "./matmul.ts";
import { checkGelu, checkHadamard, checkLayerNorm, geluCases, hadamardCases, layerNormCases } from "./pointwise.ts";
import { checkTurn, turnCases } from "./roll.ts";

const SEED = 1;
const MUTANTS = 20;

interface Target {
  name: string;
  build: KernelBuild;
  form: DotForm;
  check(subject: Subject): void;
}

const matmul = (kind: "q4" | "q4m" | "q8" | "f32") => (subject: Subject) => {
  checkAll(
    subject,
    SEED,
    matmulShapes(kind).filter(({ k }) => k === 64),
    checkMatmul,
  );
  checkAll(subject, SEED, matmulFills(kind), checkMatmul);
};
const quantize = (to: "q4" | "q8") => (subject: Subject) => checkAll(subject, SEED, quantizeCases(to), checkQuantize);
const attention = (half: boolean) => (subject: Subject) => {
  checkAll(subject, SEED, attentionCases(half), checkAttention);
  checkSpoiled(subject, half);
};

const targets: Target[] = [
  ...(["q4", "q4m", "q8", "f32"] as const).map((kind) => {
    return { name: `matmul_${kind}`, build: "simd", form: "pairs", check: matmul(kind) } as const;
  }),
  ...(["q4", "q4m"] as const).flatMap((kind) => [
    { name: `matmul_${kind}`, build: "relaxed", form: "pairs", check: matmul(kind) } as const,
    { name: `matmul_${kind}_sdot`, build: "relaxed", form: "sdot", check: matmul(kind) } as const,
  ]),
  { name: "quantize_q4", build: "simd", form: "pairs", check: quantize("q4") },
  { name: "quantize_q4", build: "relaxed", form: "pairs", check: quantize("q4") },
  { name: "quantize_q8", build: "simd", form: "pairs", check: quantize("q8") },
  {
    name: "layer_norm",
    build: "simd",
    form: "pairs",
    check: (s) => checkAll(s, SEED, layerNormCases(), checkLayerNorm),
  },
  { name: "gelu", build: "simd", form: "pairs", check: (s) => checkAll(s, SEED, geluCases(), checkGelu) },
  { name: "hadamard16", build: "simd", form: "pairs", check: (s) => checkAll(s, SEED, hadamardCases(), checkHadamard) },
  { name: "attention_int8", build: "simd", form: "pairs", check: attention(false) },
  { name: "attention_f16", build: "simd", form: "pairs", check: attention(true) },
  {
    name: "turn_keys",
    build: "simd",
    form: "pairs",
    check: (s) => checkAll(s, SEED, [...turnCases(true), ...turnCases(false)], checkTurn),
  },
];

describe("kernels broken on purpose", () => {
  const memories = new Map<KernelBuild, WebAssembly.Memory>();
  const survivors: string[] = [];
  let mutants = 0;

  it.each(targets)("$name, $build", ({ name, build, form, check }) => {
    const bytes = bytesOfBuild(build);
    const { memory } = subjectOf(build, form, memories.get(build)).arena;
    memories.set(build, memory);
    check(subjectOf(build, form, memory, bytes as BufferSource)); // intact, and not noticed
    const possible = mutationsOf(bytes, name);
    const next = random(possible.length * 7919);
    let alive = 0;
    for (let i = 0; i < MUTANTS; i++) {
      const [mutation] = possible.splice(Math.floor(next() * possible.length), 1);
      mutants++;
      const subject = subjectOf(build, form, memory, mutate(bytes, mutation) as BufferSource);
      try {
        check(subject);
        alive++;
        survivors.push(`${name}: ${mutation.what} at byte ${mutation.changes[0][0]}`);
      } catch {
        // Noticed.
      }
    }
    expect(alive, survivors.join(", ")).toBeLessThanOrEqual(MUTANTS / 2);
  });

  it("are noticed nine times out of ten", () => {
    expect(mutants).toBe(targets.length * MUTANTS);
    expect(survivors.length / mutants, survivors.join("\n")).toBeLessThanOrEqual(0.1);
  });
});
