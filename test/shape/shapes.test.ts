/**
 * Every shape of the corpora: good answers can be given, bad ones cannot, and whatever tokens are chosen, a complete answer
 * is one that an independent judge accepts.
 */

import { describe, expect, test } from "vitest";
import type { ShapeOptions } from "../../runtime/api.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { randomAnswer, shapesOfPhi2, takes } from "./answers.ts";
import { CHOICES, EXPRESSIONS, GRAMMARS, REFUSED, SCHEMAS } from "./corpus.ts";
import { judgeOf } from "./judges.ts";

const SEEDS = 4;
const MOST = 160;

describe.each([
  ["schema", SCHEMAS],
  ["expression", EXPRESSIONS],
  ["grammar", GRAMMARS],
  ["choices", CHOICES],
])("%s", (_kind, cases) => {
  test.each(cases)("$name", ({ ask, good, bad }) => {
    const options = ask as ShapeOptions;
    expect(good.filter((text) => !takes(options, text))).toEqual([]);
    expect(bad.filter((text) => takes(options, text))).toEqual([]);
    const judge = judgeOf(ask);
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { text, complete } = randomAnswer(options, seed, { most: MOST });
      if (complete) expect(judge(text)).toBeUndefined();
    }
  });
});

describe("refused before anything is computed", () => {
  test.each(REFUSED)("$name", ({ ask, place, names }) => {
    let error: unknown;
    try {
      shapesOfPhi2.constraint(ask as ShapeOptions);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(PiPhiError);
    const { code, message, details } = error as PiPhiError;
    expect(code).toBe("E_SHAPE");
    expect(message).toMatch(/\.$/);
    if (place !== undefined) expect(details.at).toBe(place);
    if (names !== undefined) expect(message).toContain(names);
  });

  test("1 MB of a schema, and 10,001 characters of an expression", () => {
    const properties = Object.fromEntries(Array.from({ length: 40_000 }, (_, i) => [`key ${i}`, { type: "string" }]));
    expect(() => shapesOfPhi2.constraint({ schema: { type: "object", properties } })).toThrow(/characters/);
    expect(() => shapesOfPhi2.constraint({ regex: "a".repeat(10_001) })).toThrow(/characters/);
  });

  test("more states than there is room for", () => {
    expect(() => shapesOfPhi2.constraint({ regex: "((a{1000}){1000}){1000}" })).toThrow(/states/);
    expect(() => shapesOfPhi2.constraint({ schema: { type: "string", pattern: "x", maxLength: 1e9 } })).toThrow(
      /states/,
    );
    expect(() => shapesOfPhi2.constraint({ schema: { type: "array", minItems: 1e9 } })).toThrow(/states/);
  });

  test("two shapes at once, and a schema that contains itself", () => {
    expect(() => shapesOfPhi2.constraint({ regex: "a", choices: ["a"] })).toThrow(/regex and choices/);
    const schema: Record<string, unknown> = { type: "object" };
    schema.properties = { a: schema };
    expect(() => shapesOfPhi2.constraint({ schema })).toThrow(/\$ref/);
  });
});

describe("what is certain", () => {
  test("is not sampled", () => {
    const answer = randomAnswer({ choices: ["the quick brown fox jumps over the lazy dog"] }, 1);
    expect(answer).toMatchObject({ sampled: 0, complete: true });
    expect(answer.tokens).toBeGreaterThan(5);
  });

  test("is spelled as the tokenizer spells it, also where it is not ASCII", () => {
    const text = '{"größe":"日本 😀","ok":true}';
    const answer = randomAnswer({ schema: { const: JSON.parse(text) } }, 3);
    expect(answer.text.trim()).toBe(text);
  });

  test("10,000 choices are compiled and followed", () => {
    const choices = Array.from({ length: 10_000 }, (_, i) => `choice ${(i * 7919) % 1_000_003}`);
    for (let seed = 1; seed <= 20; seed++) expect(choices).toContain(randomAnswer({ choices }, seed).text);
  });
});
