/** The ratios of the benchmark of many conversations. */

import { describe, expect, test } from "vitest";
import {
  formatGoals,
  gaps,
  goalOfRestart,
  goalOfShared,
  goalOfTurn,
  goalsBeside,
  goalsTogether,
  isMet,
  median,
} from "../../tools/bench/many/report.mjs";

const RUN = {
  alone: { tokens: 31, ms: 3100 },
  together: {
    ms: 5200,
    answers: [
      { tokens: 31, ms: 5000 },
      { tokens: 31, ms: 5200 },
    ],
  },
  steps: { alone: [100, 101, 99], beside: [240, 260, 250] },
  prompt: { tokens: 1000, aloneMs: 20_000, besideMs: 24_000 },
  turn: { history: 1000, firstMs: 650, stepMs: 100, newMs: 400 },
  restart: { warmMs: 500, prefillMs: 20_000 },
  shared: { conversations: 8, prefix: 500, computed: 500 },
};

const goals = [
  ...goalsTogether(RUN),
  ...goalsBeside(RUN),
  ...goalOfTurn(RUN.turn),
  ...goalOfRestart(RUN.restart),
  ...goalOfShared(RUN.shared),
];

describe("goals", () => {
  test("are ratios of what was measured", () => {
    const values = goals.map(({ value }: { value: number }) => Number(value.toFixed(3)));
    expect(values).toEqual([1.192, 0.98, 2.5, 1.2, 1.3, 0.025, 1]);
    expect(goals.map(isMet)).toEqual([false, true, true, true, true, true, true]);
  });

  test("are printed a line each, with what they should be", () => {
    const lines = formatGoals(goals).split("\n");
    expect(lines).toHaveLength(7);
    expect(lines[0]).toMatch(/^2 answers at once: tokens of one +1\.19 {3}at least 2\.2 {3}missed$/);
    expect(lines[3]).toMatch(/ 1\.20 {3}at most 1\.25$/);
  });
});

test("gaps and their middle", () => {
  expect(gaps([1, 4, 6])).toEqual([3, 2]);
  expect([median([3, 1, 2]), median([1, 2, 3, 4])]).toEqual([2, 2.5]);
});
