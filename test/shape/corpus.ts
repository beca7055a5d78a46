/** Shapes that answers are held to, each with what meets it and what does not. */

import { readFileSync } from "node:fs";

/** One of the four ways to ask for a shape, as the options of `generate` spell them. */
export type Ask = { schema: unknown } | { regex: string } | { grammar: string } | { choices: readonly string[] };

export interface Case {
  name: string;
  ask: Ask;
  /** Whole answers. */
  good: readonly string[];
  bad: readonly string[];
}

/** A shape that is refused before anything is computed. */
export interface Refused {
  name: string;
  /** May be of the wrong type, too. */
  ask: Record<string, unknown>;
  /** JSON pointer to the fault, which the error names; "" is the whole schema. */
  place?: string;
  /** What else the message must name. */
  names?: string;
}

function readLines<Entry>(name: string): Entry[] {
  const text = readFileSync(new URL(`./corpus/${name}.jsonl`, import.meta.url), "utf8");
  return text
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line));
}

type Example = { name: string; good: unknown[]; bad: unknown[] };

/** By the keywords of the public JSON-Schema-Test-Suite, and as they are asked of models; values in the schema's order of keys. */
export const SCHEMAS: readonly Case[] = readLines<Example & { schema: unknown }>("schemas").map(
  ({ name, schema, good, bad }) => ({
    name,
    ask: { schema },
    good: good.map((value) => JSON.stringify(value)),
    bad: bad.map((value) => JSON.stringify(value)),
  }),
);

/** In JavaScript's own syntax; an answer matches as a whole. */
export const EXPRESSIONS: readonly Case[] = readLines<Case & { regex: string }>("expressions").map(
  ({ name, regex, good, bad }) => ({ name, ask: { regex }, good, bad }),
);

/** As llama.cpp reads them. */
export const GRAMMARS: readonly Case[] = readLines<Case & { grammar: string }>("grammars").map(
  ({ name, grammar, good, bad }) => ({ name, ask: { grammar }, good, bad }),
);

export const CHOICES: readonly Case[] = [
  { name: "two", ask: { choices: ["yes", "no"] }, good: ["yes", "no"], bad: ["", "y", "yesno"] },
  { name: "one", ask: { choices: ["only"] }, good: ["only"], bad: ["", "onl", "only "] },
  { name: "beginning alike", ask: { choices: ["a", "ab", "abc"] }, good: ["a", "ab", "abc"], bad: ["", "b", "abcd"] },
  { name: "the same twice", ask: { choices: ["x", "x"] }, good: ["x"], bad: ["xx"] },
  {
    name: "any bytes",
    ask: { choices: ["é😀", "日本\n", "\u0000"] },
    good: ["é😀", "日本\n", "\u0000"],
    bad: ["é", "日"],
  },
];

export const REFUSED: readonly Refused[] = readLines("refused");
