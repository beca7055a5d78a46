/** What bench:context and bench:start conclude and print. */

import { expect, it } from "vitest";
import { formatContext, lossesOf, sharesOf } from "../../tools/bench/context/report.mjs";
import { formatStarts } from "../../tools/bench/start/report.mjs";

const even = (median: number) => ({ min: median, median, max: median });
const at = (kv: string, depth: number, rate: number) => ({ kv, depth, decode: even(rate) });
const rounds = [
  [at("int8", 0, 20), at("int8", 1000, 18), at("f16", 0, 20), at("f16", 1000, 15)],
  [at("int8", 0, 10), at("int8", 1000, 8), at("f16", 0, 10), at("f16", 1000, 7.5)],
];

it("takes losses within a round", () => {
  const [int8, f16] = lossesOf(rounds);
  expect(int8.kv).toBe("int8");
  expect(int8.loss.min).toBeCloseTo(0.1);
  expect(int8.loss.median).toBeCloseTo(0.15);
  expect(int8.loss.max).toBeCloseTo(0.2);
  expect(f16.loss).toEqual(even(0.25));
});

const profile = { attention: 6, matmul: 70, waiting: 20, other: 4 };

it("takes the share of everything but matrices and waiting", () => {
  expect(sharesOf(profile)).toEqual({
    operations: [
      { name: "matmul", share: 0.7 },
      { name: "waiting", share: 0.2 },
      { name: "attention", share: 0.06 },
      { name: "other", share: 0.04 },
    ],
    rest: 0.1,
  });
});

it("prints what a context costs", () => {
  const prefill = [40, 20].map((rate) => [
    { tokens: 128, prefill: even(rate) },
    { tokens: 512, prefill: even(rate * 0.95) },
  ]);
  const text = formatContext({
    ...{ machine: { cpu: "CPU", date: "2020-01-02T00:00" }, model: { name: "m.gguf" }, engine: "ours" },
    ...{ settings: { threads: 2 }, decode: rounds, prefill, losses: lossesOf(rounds), shares: sharesOf(profile) },
  });
  expect(text).toMatch(/^int8 +0 +10\.0 \/ 15\.0 \/ 20\.0$/m);
  expect(text).toMatch(/^int8 +1000 +8\.00 \/ 13\.0 \/ 18\.0 +10\.0 % \/ 15\.0 % \/ 20\.0 %$/m);
  expect(text).toMatch(/^512 +19\.0 \/ 28\.5 \/ 38\.0 +x0\.95$/m);
  expect(text).toMatch(/^all but matmul and waiting +10\.0 %$/m);
});

it("prints starts in seconds", () => {
  const result = { engine: "ours", threads: 2, contextLength: 512, ms: { min: 444, median: 555, max: 666 } };
  expect(formatStarts([result])).toMatch(/^ours +2 +512 +0\.44 \/ 0\.56 \/ 0\.67$/m);
});
