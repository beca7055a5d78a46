/** Reports of bench:peers and bench:busy, and which peers they offer. */

import { expect, it } from "vitest";
import { parseCores } from "../../tools/bench/busy/cores.mjs";
import { formatBusy, formatSweep, shareKept } from "../../tools/bench/busy/report.mjs";
import { obstacleToAvx2 } from "../../tools/bench/peers/install.mjs";
import { formatReport, ratiosOf, spread } from "../../tools/bench/peers/report.mjs";
import { UsageError, wholeNumber } from "../../tools/bench/usage.mjs";

const even = (median: number) => ({ min: median - 1, median, max: median + 1 });
const speeds = (engine: string, peer: boolean, prefill: number, decode: number) => ({
  ...{ engine, peer, threads: 2, promptTokens: 8, generateTokens: 4, loadMs: 1200, peakBytes: 2e9 },
  ...{ prefill: even(prefill), decode: even(decode) },
});
const report = (results: object[]) => ({
  machine: { cpu: "CPU", cores: 2, memoryBytes: 2 ** 33, kernel: "Linux", loadAverage: 0, date: "2020-01-02T00:00" },
  model: { name: "m.gguf", bytes: 1.6e9 },
  results,
  ratios: ratiosOf(results),
  absent: { "native-avx2": "this CPU has no AVX2" },
});

it("compares with every peer", () => {
  const results = [
    speeds("ours", false, 60, 20),
    speeds("llama.cpp native, zen4", true, 40, 16),
    speeds("llama.cpp native, AVX2", true, 30, 10),
  ];
  expect(
    ratiosOf(results).map(({ peer, prefill, decode }: Record<string, unknown>) => [peer, prefill, decode]),
  ).toEqual([
    ["llama.cpp native, zen4", 1.5, 1.25],
    ["llama.cpp native, AVX2", 2, 2],
  ]);
  const text = formatReport(report(results));
  expect(text).toMatch(/^ours : llama\.cpp native, AVX2 +2 +x2\.00 +x2\.00 +x1\.00$/m);
  expect(text).toContain("not measured: native-avx2 (this CPU has no AVX2)\n");
  expect(text).not.toContain("of bandwidth");
});

it("shows the share of the bandwidth where it was measured", () => {
  const ours = { ...speeds("ours", false, 60, 20), bandwidth: { gigabytesPerSecond: 40.04, share: 0.756 } };
  const text = formatReport(report([ours, speeds("theirs", true, 40, 16)]));
  expect(text).toMatch(/peak memory +of bandwidth$/m);
  expect(text).toMatch(/^ours .*2\.00 GB {2}76 % of 40\.0 GB\/s$/m);
  expect(text).toMatch(/^theirs .*2\.00 GB$/m);
});

it("names the fastest of several Nodes", () => {
  const nodes = [speeds("Node 20", false, 30, 10), speeds("Node 26", false, 60, 16), speeds("Node 24", false, 50, 12)];
  const text = formatReport(report([...nodes, speeds("theirs", true, 80, 20)]));
  expect(text).toContain("fastest at decode with 2 threads: Node 26 (Node 24 x0.75, Node 20 x0.63)\n");
  expect(formatReport(report([nodes[0]]))).not.toContain("fastest");
});

it("offers the AVX2 build only where it is not the one that runs anyway", () => {
  expect(obstacleToAvx2("linux-x64", ["avx2", "avx512f"])).toBeUndefined();
  expect(obstacleToAvx2("linux-x64", ["avx2", "avx_vnni"])).toBeUndefined();
  expect(obstacleToAvx2("linux-x64", ["sse4_2", "avx2"])).toContain("neither AVX-512 nor AVX-VNNI");
  expect(obstacleToAvx2("linux-x64", ["sse4_2"])).toBe("this CPU has no AVX2");
  expect(obstacleToAvx2("linux-arm64", ["asimd"])).toContain("x64");
});

it("takes the median of odd and even numbers of rounds", () => {
  expect(spread([3, 1, 2])).toEqual({ min: 1, median: 2, max: 3 });
  expect(spread([4, 1, 2, 3])).toEqual({ min: 1, median: 2.5, max: 4 });
});

it("reads the kernel's lists of cores", () => {
  expect(parseCores("0-2,5")).toEqual([0, 1, 2, 5]);
  expect(parseCores("3")).toEqual([3]);
});

it("prints what a busy core leaves, and how threads beyond the cores fare", () => {
  const result = { engine: "ours", threads: 2, quiet: even(20), busy: even(12) };
  expect(shareKept(result)).toBe(0.6);
  expect(formatBusy([result])).toMatch(/^ours +2 +19\.0 \/ 20\.0 \/ 21\.0 +11\.0 \/ 12\.0 \/ 13\.0 +60 %$/m);
  const sweep = [{ engine: "ours", cores: 1, threads: 8, prefill: even(40), decode: even(15) }];
  expect(formatSweep(sweep)).toMatch(/^ours +1 +8 +39\.0 \/ 40\.0 \/ 41\.0 +14\.0 \/ 15\.0 \/ 16\.0$/m);
});

it("refuses numbers out of range", () => {
  expect(wholeNumber("repeat", "3", 1, 5)).toBe(3);
  for (const text of ["", "0", "6", "1.5", "x"]) {
    expect(() => wholeNumber("repeat", text, 1, 5)).toThrow(UsageError);
  }
});
