/** How much of a prompt fits beside answers, on machines of all kinds. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { Pace } from "../../runtime/engine/pace.ts";

/** Passes with and without prompts on a machine where each takes `bare` ms and `row` more for each row. */
function learn(bare: number, row: number, mostRows = 64, rounds = 20): Pace {
  const pace = new Pace(mostRows);
  for (let round = 0; round < rounds; round++) {
    pace.note(0, bare);
    pace.note(pace.rows, bare + row * pace.rows);
  }
  return pace;
}

test("passes take about twice as long as without a prompt, whatever the machine", () => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.1, max: 5000, noNaN: true }),
      fc.double({ min: 0.001, max: 1, noNaN: true }),
      (bare, share) => {
        const { rows } = learn(bare, share * bare);
        const most = 1.2 / share;
        expect(rows % 4).toBe(0);
        if (rows > 4) expect(rows).toBeLessThanOrEqual(most + 1e-6);
        if (rows < 64) expect(rows).toBeGreaterThan(Math.min(most, 64) - 4 - 1e-6);
      },
    ),
  );
});

test("where rows cost nothing, as with streamed weights, a pass takes all it can", () => {
  expect(learn(1000, 0, 256).rows).toBe(256);
});

test("before anything is known, a few; and never more than a pass holds", () => {
  expect(new Pace(64).rows).toBe(16);
  expect(new Pace(8).rows).toBe(8);
  const pace = new Pace(64);
  pace.note(16, 500); // an answer has not been seen alone yet
  expect(pace.rows).toBe(16);
});

test("a machine that becomes slower is followed", () => {
  const pace = learn(100, 5);
  const before = pace.rows;
  for (let i = 0; i < 20; i++) pace.note(pace.rows, 100 + 20 * pace.rows);
  expect(pace.rows).toBeLessThan(before);
});
