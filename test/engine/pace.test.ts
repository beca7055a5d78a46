/** How much of a prompt fits beside answers, on machines of all kinds. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { Pace } from "../../runtime/engine/pace.ts";

/** Passes with and without prompts beside one answer, on a machine where each takes `bare` ms and `row` more for each row. */
function learn(bare: number, row: number, mostRows = 64, rounds = 20): Pace {
  const pace = new Pace(mostRows);
  for (let round = 0; round < rounds; round++) {
    pace.note(0, bare);
    pass(pace, bare, row);
  }
  return pace;
}

/** A pass beside so many answers; returns its rows of prompts. */
function pass(pace: Pace, bare: number, row: number, answers = 1): number {
  const rows = pace.rows(answers);
  pace.note(rows, bare + row * rows);
  return rows;
}

const aBare = fc.double({ min: 0.1, max: 5000, noNaN: true });
const aShare = fc.double({ min: 0.001, max: 1, noNaN: true });

test("two passes of three take about twice as long as without a prompt, the third no more than twelve times or a second", () => {
  fc.assert(
    fc.property(aBare, aShare, fc.integer({ min: 1, max: 5 }), (bare, share, answers) => {
      const pace = learn(bare, share * bare);
      const all = Array.from({ length: 3 }, () => pass(pace, bare, share * bare, answers)).sort((a, b) => a - b);
      const short = 1.2 / share;
      const long = Math.max(short, Math.min(12, 1000 / bare) / share - 1 / share);
      for (const [rows, most] of [
        [all[0], short],
        [all[1], short],
        [all[2], long],
      ]) {
        if (rows < 64) expect((rows + answers) % 4).toBe(0);
        if (rows > 4) expect(rows).toBeLessThanOrEqual(most + 1e-6);
        if (rows < 64) expect(rows).toBeGreaterThan(Math.min(most, 64) - 4 - 1e-6);
      }
    }),
  );
});

test("one of three passes is the long one", () => {
  const pace = learn(50, 10, 128);
  const rows = Array.from({ length: 9 }, () => pass(pace, 50, 10));
  expect(rows.filter((count) => count === 3)).toHaveLength(6);
  expect(rows.filter((count) => count === 55)).toHaveLength(3);
});

test("where rows cost nothing, as with streamed weights, a pass takes all it can", () => {
  expect(learn(1000, 0, 256).rows(1)).toBeGreaterThanOrEqual(252);
});

test("before anything is known, a few; and never more than a pass holds", () => {
  expect(new Pace(64).rows(1)).toBe(15);
  expect(new Pace(8).rows(4)).toBe(8);
  const pace = new Pace(64);
  pace.note(15, 500); // an answer has not been seen alone yet
  expect(pace.rows(1)).toBe(15);
});

test("a machine that becomes slower is followed", () => {
  const pace = learn(100, 5);
  const before = pace.rows(1);
  for (let i = 0; i < 21; i++) pass(pace, 100, 20);
  expect(pace.rows(1)).toBeLessThan(before);
});
