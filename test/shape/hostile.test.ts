/** What a hostile client may ask for: an answer soon or a typed error, whatever it is. */

import { expect, test } from "vitest";
import { PiPhiError } from "../../runtime/errors.ts";
import { Random } from "../fixtures/random-blocks.ts";
import { ByteAnswers } from "./bytes.ts";
import type { Ask } from "./corpus.ts";

type Schema = Record<string, unknown>;

const nested = (levels: number, around: (inner: Schema) => Schema): Ask => {
  let schema: Schema = { type: "null" };
  for (let i = 0; i < levels; i++) schema = around(schema);
  return { schema };
};
/** Definitions of which each names the one before as often as it likes. */
const chained = (count: number, around: (before: Schema) => Schema): Ask => {
  const $defs: Record<string, Schema> = { d0: { type: "boolean" } };
  for (let i = 1; i <= count; i++) $defs[`d${i}`] = around({ $ref: `#/$defs/d${i - 1}` });
  return { schema: { $ref: `#/$defs/d${count}`, $defs } };
};

/** In the order in which they are called, or the other way round. */
const rules = (count: number, isReversed: boolean): Ask => {
  const lines = Array.from({ length: count }, (_, i) => `r${i} ::= r${i + 1} "a"?`);
  return { grammar: ['root ::= "z" r0', ...(isReversed ? lines.reverse() : lines), `r${count} ::= "x"`].join("\n") };
};

const REFUSED: readonly (readonly [string, () => Ask, RegExp])[] = [
  ["lists in lists", () => nested(3000, (items) => ({ type: "array", items })), /too deeply/],
  ["lists in lists, beyond any stack", () => nested(50_000, (items) => ({ items })), /too deeply/],
  ["references without an end", () => chained(10_000, (items) => ({ type: "array", items })), /too deeply/],
  ["references that double", () => chained(24, (one) => ({ allOf: [one, one] })), /more than 100000 schemas/],
  ["lengths", () => ({ schema: { type: "string", pattern: "^([a-z]+ ?){1,200}$", maxLength: 3000 } }), /states/],
  ["rules that begin with rules", () => rules(20_000, false), /more than 1000 rules/],
  ["rules that begin with rules, the last first", () => rules(20_000, true), /more than 1000 rules/],
  ["counts", () => ({ grammar: 'root ::= "x"{1000000000}' }), /repetitions/],
  ["groups in groups", () => ({ regex: `${"(".repeat(2000)}a${")*".repeat(2000)}` }), /deeper/],
];

test.each(REFUSED)("%s are refused", (_, make, message) => {
  let error: unknown;
  try {
    new ByteAnswers(make());
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(PiPhiError);
  expect((error as PiPhiError).code).toBe("E_SHAPE");
  expect((error as PiPhiError).message).toMatch(message);
});

test.each<[string, () => Ask]>([
  ["choices that double", () => chained(40, (one) => ({ anyOf: [one, one] }))],
  ["lists that double", () => chained(40, (one) => ({ type: "array", prefixItems: [one, one] }))],
  ["what came 15 characters ago", () => ({ grammar: `root ::= [ab]* "a" ${"[ab] ".repeat(15)} "c"` })],
  ["some rules that begin with rules", () => rules(900, true)],
  ["options side by side", () => ({ regex: "(a?){500}b" })],
])("%s are answered", (_, make) => {
  const answers = new ByteAnswers(make());
  for (let seed = 0; seed < 2; seed++) expect(answers.answer(new Random(seed), 100)).not.toBe("");
});
