/** Shapes that chance makes: what they allow is what the judges, which share nothing with the runtime, say it is. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { PiPhiError } from "../../runtime/errors.ts";
import { Random } from "../fixtures/random-blocks.ts";
import { ByteAnswers } from "./bytes.ts";
import type { Ask } from "./corpus.ts";
import { judgeOf } from "./judges.ts";
import { randomExpression, randomGrammar, randomSchema } from "./random-shapes.ts";

const SEED = Number(process.env.SHAPES_SEED ?? 1);
const RUNS = Number(process.env.SHAPES_RUNS ?? 150);
const ANSWERS = 6;
const MOST_TOKENS = 150;

const texts = fc.array(
  fc
    .array(fc.constantFrom("a", "b", "c", "1", " ", "é", "日", "😀", "\n"), { maxLength: 5 })
    .map((all) => all.join("")),
  { minLength: 20, maxLength: 20 },
);

/** Compiles it; undefined where it is refused with a typed error. */
function answersOf(ask: Ask): ByteAnswers | undefined {
  try {
    return new ByteAnswers(ask);
  } catch (error) {
    if (error instanceof PiPhiError && error.code === "E_SHAPE") return undefined;
    throw error;
  }
}

/** Checks complete answers, and returns how many there were. */
function checkAnswers(ask: Ask, answers: ByteAnswers, seed: number): number {
  const judge = judgeOf(ask);
  let complete = 0;
  for (let i = 0; i < ANSWERS; i++) {
    const text = answers.answer(new Random(seed + i), MOST_TOKENS);
    if (text === undefined) continue;
    complete++;
    expect([ask, judge(text)]).toEqual([ask, undefined]);
  }
  return complete;
}

test.each([
  ["expressions", randomExpression.map((regex): Ask => ({ regex }))],
  ["grammars", randomGrammar.map((grammar): Ask => ({ grammar }))],
])("%s allow exactly the texts that are theirs", (_, asks) => {
  const seen = { refused: 0, right: 0, wrong: 0, complete: 0 };
  fc.assert(
    fc.property(asks, texts, fc.nat(), (ask, some, seed) => {
      const judge = judgeOf(ask);
      const answers = answersOf(ask);
      const right = some.filter((text) => judge(text) === undefined);
      if (!answers) {
        seen.refused++;
        return;
      }
      expect([ask, some.filter((text) => answers.allows(text))]).toEqual([ask, right]);
      seen.right += right.length;
      seen.wrong += some.length - right.length;
      seen.complete += checkAnswers(ask, answers, seed);
    }),
    { numRuns: RUNS, seed: SEED },
  );
  expect(seen.refused).toBeLessThan(RUNS / 2);
  expect(Math.min(seen.right, seen.wrong, seen.complete)).toBeGreaterThan(RUNS / 3);
});

test("schemas: complete answers are valid, or the schema is refused with a typed error", () => {
  const seen = { refused: 0, complete: 0 };
  fc.assert(
    fc.property(randomSchema, fc.nat(), (schema, seed) => {
      const answers = answersOf({ schema });
      if (answers) seen.complete += checkAnswers({ schema }, answers, seed);
      else seen.refused++;
    }),
    { numRuns: RUNS * 2, seed: SEED },
  );
  // Chance contradicts itself often.
  expect(seen.refused).toBeLessThan(RUNS * 1.5);
  expect(seen.complete).toBeGreaterThan(RUNS * 3);
});

test.each([
  'root ::= "a" root "b" | "a" root "c" | "a"',
  'root ::= e\ne ::= "a" e "b" e | "a" e "c" | "x"',
  'root ::= x x x x\nx ::= "a" x x | "a"? "b"',
])("%s: a text that can be read in ever more ways takes no more time", (grammar) => {
  const answers = new ByteAnswers({ grammar });
  // Two ways at each character are 2 to the power of 300.
  expect(answers.allows("a".repeat(300))).toBe(false);
  expect(answers.answer(new Random(3), 400)).not.toBe("");
});
