/** How many threads a browser gets, by how fast they are together. */

import { expect, test } from "vitest";
import { worthwhile } from "../../devices/web/probe.ts";

test.each([
  ["one thread", [100], 1],
  ["four cores", [100, 197, 290, 380], 4],
  ["two cores called four", [100, 198, 120, 150], 2],
  ["one core called two", [100, 70], 1],
  ["two fast cores and two slow ones", [100, 195, 150, 200], 2],
  ["a page that gets one core, with luck", [100, 110, 112, 114], 1],
  ["a first thread that was held up", [0, 190, 280, 370], 4],
])("%s", (_, speeds, threads) => {
  const tried: number[] = [];
  const together = (count: number) => {
    tried.push(count);
    return speeds[count - 1];
  };
  expect(worthwhile(speeds.length, together)).toBe(threads);
  // No more is tried than the first that brings nothing.
  expect(tried.length).toBe(Math.min(threads + 1, speeds.length));
});
