/** What bench:compare concludes from pairs of timings, and how it reads two commits' kernels. */

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import fc from "fast-check";
import { expect, it } from "vitest";
import { compileKernels } from "../../tools/bench/compare/builds.mjs";
import { exitCodeOf, formatComparison, judge } from "../../tools/bench/compare/judge.mjs";

const verdictOf = (ratios: number[]) => judge(ratios, 0.05).verdict;

it("calls a kernel slower only beyond the threshold and beyond the spread", () => {
  expect(verdictOf([1.1, 1.12, 1.09, 1.11, 1.1])).toBe("slower");
  expect(verdictOf([1.04, 1.04, 1.04])).toBe("same"); // beyond the spread, within the threshold
  expect(verdictOf([0.8, 0.85, 1.08, 1.3, 1.4])).toBe("same"); // beyond the threshold, within the spread
  expect(verdictOf([0.9, 0.91, 0.89])).toBe("faster");
  expect(verdictOf([1, 1, 1, 9, 1, 1])).toBe("same"); // one disturbed pair
});

it("takes the median and the middle half", () => {
  expect(judge([5, 1, 3, 2, 4], 0.05)).toEqual({ low: 2, median: 3, high: 4, verdict: "slower" });
  expect(judge([1, 2], 0.05)).toMatchObject({ low: 1.25, median: 1.5, high: 1.75 });
});

it("swaps slower and faster with the commits", () => {
  const swapped = { slower: "faster", faster: "slower", same: "same" } as Record<string, string>;
  const ratio = fc.double({ min: 0.1, max: 10, noNaN: true });
  fc.assert(
    fc.property(fc.array(ratio, { minLength: 1, maxLength: 9 }), (ratios) => {
      // Medians and quartiles of an odd number of values are values themselves, whose inverses are exact enough.
      const odd = ratios.flatMap((each) => [each, each, each, each]).concat(ratios[0]);
      const edge = odd.some((each) => Math.abs(each - 1) < 1e-9 || Math.abs(Math.abs(Math.log(each / 1.05))) < 1e-9);
      if (edge) return;
      expect(verdictOf(odd.map((each) => 1 / each))).toBe(swapped[verdictOf(odd)]);
    }),
  );
});

const result = (name: string, verdict: string) => {
  return { build: "simd", name, unit: "GB/s", first: 12, second: 10, low: 1.19, median: 1.2, high: 1.21, verdict };
};

it("fails for a slower kernel, and where nothing was compared", () => {
  expect(exitCodeOf([result("a", "same"), result("b", "faster")])).toBe(0);
  expect(exitCodeOf([result("a", "same"), result("b", "slower")])).toBe(1);
  expect(exitCodeOf([])).toBe(1);
});

it("marks what is slower and says what it left out", () => {
  const skipped = [{ build: "simd", name: "c", reason: "old: there is no c" }];
  const text = formatComparison(["old", "new"], [result("a", "same"), result("b", "slower")], skipped, 0.05);
  expect(text).toMatch(/^simd: a .* x1\.200 {2}x1\.190 - x1\.210$/m);
  expect(text).toMatch(/^simd: b .* x1\.210 {2}slower$/m);
  expect(text).toContain("not compared: simd: c (old: there is no c)\n");
  expect(text).toContain("2 compared, 1 slower and 0 faster by more than 5 %.\n");
});

it("compiles the folder's kernels, and only the builds that exist", () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), "piphi-test-"));
  try {
    const { simd, sse9 } = compileKernels(".", ["simd", "sse9"], path.join(folder, "a"));
    expect(WebAssembly.validate(simd as BufferSource)).toBe(true);
    expect(sse9).toBeUndefined();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

it("ends with what to do when there is no such commit", () => {
  const program = path.join(import.meta.dirname ?? "test/bench", "../../tools/bench/compare.mjs");
  expect(existsSync(program)).toBe(true);
  let failure = { status: 0, stderr: "" };
  try {
    execFileSync(process.execPath, [program, "no-such-commit"], { encoding: "utf8", stdio: "pipe" });
  } catch (error) {
    failure = error as typeof failure;
  }
  expect(failure.status).toBe(2);
  expect(failure.stderr).toContain("No kernels of no-such-commit");
  expect(failure.stderr).toContain("Name a commit of this repository");
});
