/** Predictions for boards from code and published figures. */

import { expect, it } from "vitest";
import { BOARDS } from "../../tools/bench/arm/boards.mjs";
import { classify, cyclesPerProduct, formatPredictions, leastCycles, predict } from "../../tools/bench/arm/predict.mjs";

const code = [
  "ld1r {v10.4s}, [x6]",
  "ldr q11, [x1, x19]",
  "and v12.16b, v11.16b, v0.16b",
  "sdot v6.4s, v10.16b, v12.16b",
  "smull v7.8h, v10.8b, v12.8b",
  "add w19, w19, #0x20 (32)",
  "str q7, [x2]",
  "b.hs #-0x150",
].map((line, i) => {
  const [op, ...args] = line.split(" ");
  return { address: 4 * i, op, args: args.join(" ") };
});
const board = { ...BOARDS["Pi 5"], dispatch: 4, vector: 2, multiply: 1, dot: 2, loads: 1 };

it("sorts instructions by what they occupy", () => {
  expect(classify(code)).toEqual({ all: 8, vector: 3, multiply: 1, dot: 1, loads: 2 });
});

it("takes the scarcest", () => {
  const counts = { all: 8, vector: 3, multiply: 1, dot: 1, loads: 2 };
  expect(leastCycles(counts, { ...board, loads: 4 })).toBe(2); // dispatch
  expect(leastCycles(counts, { ...board, vector: 1, loads: 4 })).toBe(3);
  expect(leastCycles({ ...counts, multiply: 5 }, board)).toBe(5);
  expect(leastCycles({ ...counts, dot: 12 }, board)).toBe(6);
  expect(leastCycles({ ...counts, loads: 7 }, board)).toBe(7);
  expect(cyclesPerProduct({ code, rest: code.slice(0, 4), trips: 3, products: 10 }, board)).toBe(0.8);
});

const row = (kernel: string, tokens: number, products: number) => {
  return { kernel, tokens, code, rest: [], trips: 1, products };
};
const rows = [row("int4 sdot", 1, 16), row("int4 sdot", 4, 32), row("int8", 1, 8)];

it("bounds speed by arithmetic and memory", () => {
  const own = { ...board, cores: 1, hertz: 1e9, bytesPerSecond: 1.5e9, kernels: ["int4 sdot", "int8"] };
  const { decode, prefill, decodeCycles, prefillCycles } = predict(rows, own);
  expect([decodeCycles, prefillCycles]).toEqual([2 / 16, 2 / 32]);
  const [int4, int8] = [2_516_582_400, 131_072_000];
  const memory = (int4 * 0.5625 + int8 * 1.0625) / 1.5e9;
  const compute = (int4 * decodeCycles + (int8 * 2) / 8) / 1e9;
  expect(decode.most).toBeCloseTo(1 / Math.max(memory, compute), 10);
  expect(decode.least).toBeCloseTo(1 / (memory + compute / 0.7), 10);
  expect(prefill.most).toBeCloseTo(1e9 / (int4 * prefillCycles), 10);
  expect(prefill.least).toBeLessThan(prefill.most);
});

it("takes no kernel that the board's choice leaves out", () => {
  const faster = [...rows, row("int4 pairs", 1, 64)];
  expect(predict(faster, { ...board, kernels: ["int4 sdot", "int8"] }).decodeCycles).toBe(2 / 16);
  expect(predict(faster, { ...board, kernels: ["int4 sdot", "int4 pairs", "int8"] }).decodeCycles).toBe(2 / 64);
});

it("marks predictions and names their sources", () => {
  const text = formatPredictions([{ name: "Pi 5", sources: BOARDS["Pi 5"].sources, ...predict(rows, board) }]);
  expect(text).toMatch(/^PREDICTED +cycles\/weight/);
  expect(text).toContain("Not measured");
  for (const { sources } of Object.values(BOARDS))
    expect(Object.keys(sources)).toEqual(["hertz", "core", "bytesPerSecond"]);
  expect(text).toContain(`Pi 5: ${BOARDS["Pi 5"].sources.bytesPerSecond}\n`);
});
