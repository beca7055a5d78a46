import { describe, expect, it } from "vitest";
import { checkAll, expectClose, SEEDS, type Subject, subjects } from "../checkasm.ts";
import { type AttentionCase, attend, attentionCases, checkAttention, checkBatch, checkSpoiled } from "./attention.ts";
import { random } from "./blocks.ts";
import { rotated, rotations } from "./head-cache.ts";

const caches = [
  ["int8", false],
  ["f16", true],
] as const;
const all = subjects().filter(({ form }) => form === "pairs");
const casesFor = ({ name }: Subject, half: boolean): AttentionCase[] =>
  attentionCases(half).filter((_, i) => name !== "debug" || i % 4 === 0);

describe.each(all)("attention, $name", (subject) => {
  it.each(caches)("%s: rotates, stores and attends as the reference does", (_, half) => {
    for (const seed of SEEDS) checkAll(subject, seed, casesFor(subject, half), checkAttention);
  });

  it.each(caches)("%s: a batch leaves the bits that its tokens leave one by one", (_, half) => {
    const batches = casesFor(subject, half).filter(({ tokens }) => tokens.length > 1);
    checkAll(subject, SEEDS[0], batches, checkBatch);
  });

  it.each(caches)("%s: one NaN or infinity in query, key or value makes the token's output NaN", (_, half) => {
    expect(() => checkSpoiled(subject, half)).not.toThrow();
  });
});

describe("rotary embedding", () => {
  const next = random(5);
  const [query, key] = [0, 1].map(() => Float32Array.from({ length: 80 }, () => next() * 2 - 1));
  const table = rotations([...Array(200).keys()], 32);
  const turn = (row: Float32Array, position: number) => rotated(row, 32, table, position);
  const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * b[i], 0);

  it("leaves position 0 and the dimensions behind `rotary` alone", () => {
    expect(turn(query, 0)).toEqual(query);
    expect(turn(query, 77).subarray(32)).toEqual(query.subarray(32));
  });

  it("keeps lengths, and makes products depend on the distance alone", () => {
    const products = [0, 1, 50, 150].map((n) => dot(turn(query, n + 40), turn(key, n)));
    expectClose(products, Array(4).fill(products[0]), () => 1e-5, "product");
    expectClose([dot(turn(query, 99), turn(query, 99))], [dot(query, query)], () => 1e-5, "square");
  });
});

it.each(caches)("%s: both builds give the same bits", (_, half) => {
  const [first, ...others] = all;
  for (const subject of others) {
    checkAll(subject, SEEDS[0], casesFor(subject, half), (_subject, kase) => {
      const run = (each: Subject) => attend(each, kase, random(3));
      expect(run(subject)).toEqual(run(first));
    });
  }
});
