/** The micro-benchmarks run every kernel of both builds on finite data, and count their work rightly. */

import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { kernelCases, obstacleTo } from "../../tools/bench/kernels/cases.mjs";
import { createBench } from "../../tools/bench/kernels/engine.mjs";
import { AT, CONTEXT, HEAD_DIM, HEADS } from "../../tools/bench/kernels/layout.mjs";
import { formatKernels } from "../../tools/bench/kernels/report.mjs";
import { callsFor, inUnit, timeCalls } from "../../tools/bench/kernels/timing.mjs";

const WEIGHT_BYTES = 32 << 20;
const bench = await createBench(AT.weights + WEIGHT_BYTES);
const build = (name: string) =>
  bench.instantiate(readFileSync(new URL(`../../dist/kernels/${name}.wasm`, import.meta.url)));
const cases = kernelCases(WEIGHT_BYTES);

it.each(["relaxed", "simd"])("runs every case on the %s build and leaves only finite numbers", async (name) => {
  const instance = (await build(name))!;
  let ran = 0;
  for (const kase of cases) {
    if (kase.name.includes("tokens 449")) continue; // the same as the others, for seconds
    if (obstacleTo(kase, name, instance.exports) !== undefined) continue;
    instance.activate();
    const out = new Float32Array(bench.memory.buffer, AT.out, 16).fill(Number.NaN);
    kase.fill(bench.memory);
    const { run, work } = kase.prepare({ ...instance, memory: bench.memory });
    run();
    run();
    ran++;
    expect(work, kase.name).toBeGreaterThan(0);
    if (/^(matmul|attention|layer_norm)/.test(kase.name)) {
      expect(out.every(Number.isFinite), kase.name).toBe(true);
      expect(
        out.some((x) => x !== 0),
        kase.name,
      ).toBe(true);
    }
  }
  expect(ran).toBe(name === "relaxed" ? 26 : 20);
});

it("reads as many bytes as a matrix has, and multiplies as often", async () => {
  const instance = (await build("simd"))!;
  const workOf = (name: string) => {
    const kase = cases.find((candidate) => candidate.name === name)!;
    return kase.prepare({ ...instance, memory: bench.memory }).work;
  };
  expect(workOf("matmul_q4, 1 token, memory")).toBe(Math.floor(WEIGHT_BYTES / (80 * 288)) * 80 * 288);
  expect(workOf("matmul_q8, 64 tokens")).toBe(64 * 256 * 2560);
});

it("puts a build's constants back when it takes its turn", async () => {
  const first = (await build("relaxed"))!;
  const constants = new Uint8Array(bench.memory.buffer, 0, 65536);
  const before = constants.slice();
  await build("simd");
  constants.fill(7);
  first.activate();
  expect(constants).toEqual(before);
});

it("leaves out a kernel that is missing or takes other arguments", () => {
  const kase = { kernel: "gelu", parameters: 2, relaxedOnly: false };
  const gelu = (..._: [number, number, number]) => {};
  expect(obstacleTo(kase, "simd", { gelu: (_x: number, _n: number) => {} })).toBeUndefined();
  expect(obstacleTo(kase, "simd", {})).toBe("there is no gelu");
  expect(obstacleTo(kase, "simd", { gelu: (a: number, b: number, c: number) => gelu(a, b, c) })).toBe(
    "gelu takes 3 arguments, not 2",
  );
  expect(obstacleTo({ ...kase, relaxedOnly: true }, "simd", {})).toBe("only the relaxed build has this form");
});

it("refuses attention whose cache would not fit", async () => {
  const kase = cases.find(({ name }) => name === "attention_f16, token 32")!;
  const needed = HEADS * CONTEXT * HEAD_DIM * 4;
  expect(needed).toBeLessThan(WEIGHT_BYTES);
  const small = { buffer: { byteLength: AT.weights + needed - 1 } } as WebAssembly.Memory;
  const { exports } = (await build("simd"))!;
  expect(() => kase.prepare({ exports, memory: small })).toThrow("raise --weights");
});

it("takes as many calls as fill a sample", () => {
  let clock = 0;
  const now = () => clock;
  const run = () => (clock += 0.5);
  expect(callsFor(run, 8, now)).toBe(16);
  expect(timeCalls(run, 10, now)).toBe(0.5);
  expect(callsFor(() => (clock += 100), 8, now)).toBe(1);
});

it("tells speeds and times in their units", () => {
  expect(inUnit("GB/s", 2, 4e6)).toBe(2);
  expect(inUnit("GMAC/s", 1, 5e6)).toBe(5);
  expect(inUnit("ns each", 1, 1000)).toBe(1000);
  expect(inUnit("us a layer", 0.25, 1)).toBe(250);
});

it("prints each kernel with its spread, and what was left out", () => {
  const values = { min: 9, median: 10, max: 12.34 };
  const text = formatKernels(
    [{ build: "simd", name: "gelu", unit: "ns each", values }],
    [{ build: "simd", name: "rope", reason: "there is no rope" }],
  );
  expect(text).toMatch(/^simd: gelu {2}9\.00 {4}10\.0 {2}12\.3 {2}ns each$/m);
  expect(text).toContain("not measured: simd: rope (there is no rope)\n");
});
