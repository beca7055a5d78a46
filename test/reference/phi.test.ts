import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { klFromTop, logSoftmax, meanKl, referenceLogits } from "./phi.ts";

type Top = [id: number, logprob: number][];

interface Answers {
  model: string;
  ids: number[];
  vocabSize: number;
  torchLogits: string;
  positions: { id: number; logits: number[]; torch: Top; llama: Top }[];
}

const data = new URL("../fixtures/data/", import.meta.url);

function readAnswers(name: string): Answers {
  return JSON.parse(readFileSync(new URL(`${name}.json`, data), "utf8"));
}

/** PyTorch's f32 logits, [positions][vocabSize]. */
function torchLogits({ ids, vocabSize, torchLogits }: Answers): Float32Array[] {
  const all = new Float32Array(new Uint8Array(Buffer.from(torchLogits, "base64")).buffer);
  return ids.map((_, i) => all.subarray(i * vocabSize, (i + 1) * vocabSize));
}

function maxDifference(a: ArrayLike<number>[], b: ArrayLike<number>[]): number {
  let max = 0;
  a.forEach((row, i) => {
    expect(row.length).toBe(b[i].length);
    for (let j = 0; j < row.length; j++) max = Math.max(max, Math.abs(row[j] - b[i][j]));
  });
  return max;
}

// llama.cpp rounds activations to f16 for F16 weights and to int8 for Q4_0; PyTorch's f32 does neither.
describe.each([
  { name: "tiny-hd80", llamaKl: 1e-5 },
  { name: "tiny-hd64-split-nopre", llamaKl: 5e-3 },
])("reference on $name", ({ name, llamaKl }) => {
  const answers = readAnswers(name);
  const torch = torchLogits(answers);
  const logits = referenceLogits(readFileSync(new URL(answers.model, data)), answers.ids);

  it("gives PyTorch's logits", () => {
    expect(logits).toHaveLength(answers.ids.length);
    expect(answers.ids.length).toBeGreaterThanOrEqual(40);
    expect(maxDifference(logits, torch)).toBeLessThanOrEqual(1e-4);
    expect(meanKl(logits, torch)).toBeLessThanOrEqual(1e-8);
  });

  it("gives llama.cpp's most likely tokens", () => {
    const tops = answers.positions.map((position) => position.llama);
    expect(tops.every((top) => top.length === 20)).toBe(true);
    expect(klFromTop(logits, tops)).toBeLessThan(llamaKl);
  });

  it("is tested on distributions as peaked as a language model's", () => {
    const top = logits.map((row) => Math.exp(Math.max(...logSoftmax(row))));
    const mean = top.reduce((a, b) => a + b) / top.length;
    expect(mean).toBeGreaterThan(0.3);
    expect(mean).toBeLessThan(0.7);
  });

  it("records the same numbers in each form", () => {
    answers.positions.forEach((position, i) => {
      expect(position.id).toBe(answers.ids[i]);
      const first = torch[i].subarray(0, position.logits.length);
      expect(maxDifference([position.logits], [first])).toBeLessThan(1e-6);
      const logprobs = logSoftmax(torch[i]);
      for (const [id, logprob] of position.torch) expect(Math.abs(logprob - logprobs[id])).toBeLessThan(1e-6);
    });
  });
});

describe("divergence", () => {
  const p = [Math.log(0.5), Math.log(0.25), Math.log(0.25)];
  const q = [Math.log(0.25), Math.log(0.25), Math.log(0.5)];
  const expected = 0.5 * Math.log(2) - 0.25 * Math.log(2);

  it("is the mean of KL(reference || other) over positions, whatever the logits' offset", () => {
    expect(meanKl([p], [q])).toBeCloseTo(expected, 12);
    expect(meanKl([p.map((x) => x + 7), p], [q, p])).toBeCloseTo(expected / 2, 12);
  });

  it("is the same from the whole vocabulary in any order", () => {
    const whole: Top = [2, 0, 1].map((id) => [id, q[id]]);
    expect(klFromTop([p], [whole])).toBeCloseTo(expected, 12);
  });

  it("joins the tokens that a short list leaves out", () => {
    expect(klFromTop([p], [[[0, q[0]]]])).toBeCloseTo(0.5 * Math.log(2) + 0.5 * Math.log(0.5 / 0.75), 12);
  });

  it("refuses different numbers of positions", () => {
    expect(() => meanKl([p, p], [q])).toThrow(RangeError);
    expect(() => klFromTop([], [])).toThrow(RangeError);
  });
});
