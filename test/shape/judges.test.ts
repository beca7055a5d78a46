/** The judges of `npm run check:shapes`: they know good answers from bad ones, and no judge says yes to everything. */

import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { CHOICES, EXPRESSIONS, GRAMMARS, REFUSED, SCHEMAS } from "./corpus.ts";
import { recognises } from "./earley.ts";
import { readGbnf } from "./gbnf.ts";
import { judgeOf } from "./judges.ts";
import { type Answerer, caseOf, prove } from "./proof.ts";

describe.each([
  ["schemas", SCHEMAS, 200],
  ["expressions", EXPRESSIONS, 50],
  ["grammars", GRAMMARS, 50],
  ["choices", CHOICES, 1],
] as const)("%s", (_, cases, least) => {
  it(`are at least ${least}, each once`, () => {
    expect(cases.length).toBeGreaterThanOrEqual(least);
    const asked = cases.map(({ ask }) => JSON.stringify(ask));
    expect(asked.filter((one, i) => asked.indexOf(one) !== i)).toEqual([]);
    expect(new Set(cases.map(({ name }) => name)).size).toBe(cases.length);
  });

  it.each(cases)("$name", ({ name, ask, good, bad }) => {
    const judge = judgeOf(ask);
    expect(good.map(judge)).toEqual(good.map(() => undefined));
    expect(bad.filter((answer) => judge(answer) === undefined)).toEqual([]);
    expect(good.length).toBeGreaterThan(0);
    // What has any shape has none that it could miss.
    if (!/anything|annotations alone/.test(name)) expect(bad.length).toBeGreaterThan(0);
  });
});

test("answers that are no JSON are wrong, whatever the schema", () => {
  const judge = judgeOf({ schema: true });
  for (const answer of ["", "{", '{"a":1,}', "[1 2]", "'a'", '"a\nb"', "01", "NaN", '{"a":1} x']) {
    expect(judge(answer)).toMatch(/is no JSON/);
  }
  expect(judge(' {\n"a" : [1 , 2e3 ] } ')).toBeUndefined();
});

test("a schema with a misspelt keyword or an unknown format is judged by nobody", () => {
  expect(() => judgeOf({ schema: { type: "string", maxlength: 3 } })).toThrow("maxlength");
  expect(() => judgeOf({ schema: { type: "string", format: "roman-numeral" } })).toThrow("roman-numeral");
});

describe("grammars", () => {
  it.each([
    ['root ::= "a', /more expected/],
    ["root ::= [a-z", /more expected/],
    ['root ::= ("a"', /\) expected/],
    ['root ::= * "a"', /repeat/],
    ['root ::= "\\q"', /escape/],
    ['root ::= "\\x4"', /hexadecimal/],
    ['root ::= "a"{2', /} expected/],
    ['root ::= "a"{x}', /number/],
    ['root = "a"', /: expected/],
    ['root ::= "a" ) "b"', /line's end/],
    ['::= "a"', /name/],
    ["root ::= other", /other is not defined/],
    ['start ::= "a"', /no rule root/],
    ["", /no rule root/],
  ])("refuses %j", (grammar, message) => {
    expect(() => readGbnf(grammar)).toThrow(message);
    expect(() => readGbnf(grammar)).toThrow(SyntaxError);
  });

  it("are recognised where rules call themselves first, too, which the walk of the runtime refuses", () => {
    const sum = readGbnf('root ::= root "+" n | n\nn ::= [0-9] | n [0-9]');
    expect(["1", "1+23+4"].map((text) => recognises(sum, text))).toEqual([true, true]);
    expect(["", "+", "1+", "1++2"].filter((text) => recognises(sum, text))).toEqual([]);
    const hidden = readGbnf('root ::= e root "b" | "c"\ne ::= e e | "a" | ""');
    expect(["c", "cb", "aacbb", "acb"].map((text) => recognises(hidden, text))).toEqual([true, true, true, true]);
    expect(["ac", "b", "cba"].filter((text) => recognises(hidden, text))).toEqual([]);
  });
});

/** A grammar and an expression of the same language, and texts that often are of it. */
const twins = fc.letrec<{ part: [grammar: string, regex: string] }>((tie) => ({
  part: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom("a", "b", "é", "😀").map((text): [string, string] => [`"${text}"`, text]),
    fc.constantFrom("[ab]", "[^a]", "[a-c]").map((set): [string, string] => [set, set]),
    fc.tuple(tie("part"), tie("part")).map(([[g, r], [h, s]]): [string, string] => [`(${g} ${h})`, `(?:${r}${s})`]),
    fc.tuple(tie("part"), tie("part")).map(([[g, r], [h, s]]): [string, string] => [`(${g} | ${h})`, `(?:${r}|${s})`]),
    fc
      .tuple(tie("part"), fc.constantFrom("*", "+", "?", "{2}", "{0,2}", "{1,}"))
      .map(([[g, r], sign]): [string, string] => [`(${g})${sign}`, `(?:${r})${sign}`]),
  ),
})).part;

test("grammars without recursion and expressions are judged alike", () => {
  const seen = { right: 0, wrong: 0 };
  const text = fc.array(fc.constantFrom("a", "b", "c", "é", "😀"), { maxLength: 6 }).map((all) => all.join(""));
  fc.assert(
    fc.property(twins, fc.array(text, { minLength: 8, maxLength: 8 }), ([grammar, regex], texts) => {
      const judges = [judgeOf({ grammar: `root ::= ${grammar}` }), judgeOf({ regex })];
      for (const one of texts) {
        const [right, other] = judges.map((judge) => judge(one) === undefined);
        expect([grammar, one, right]).toEqual([grammar, one, other]);
        seen[right ? "right" : "wrong"]++;
      }
    }),
    { numRuns: 400, seed: 5 },
  );
  expect(Math.min(seen.right, seen.wrong)).toBeGreaterThan(100);
});

test("what is to be refused is named once, and what is no expression is none for JavaScript either, or looks around", () => {
  expect(new Set(REFUSED.map(({ name }) => name)).size).toBe(REFUSED.length);
  const allowed = REFUSED.filter(({ ask }) => typeof ask.regex === "string").filter(({ ask }) => {
    try {
      return judgeOf({ regex: ask.regex as string });
    } catch {
      return false;
    }
  });
  // These are expressions, but beyond what an answer can be held to token by token, or without any text that matches.
  expect(allowed.map(({ name }) => name)).toEqual([
    "a reference to a group",
    "looking ahead",
    "not looking behind",
    "an end before the end",
    "a class of nothing",
  ]);
});

describe("a proof", () => {
  /** Answers with the corpora's own examples. */
  const examples =
    (which: "good" | "bad"): Answerer =>
    async (ask, seed) => {
      const found = [...SCHEMAS, ...EXPRESSIONS, ...GRAMMARS, ...CHOICES].find((one) => one.ask === ask)!;
      const answers = found[which].length > 0 ? found[which] : found.good;
      return { text: answers[seed % answers.length], stopReason: "eos" };
    };

  it("asks for every shape, some of each kind at once", async () => {
    const first = Array.from({ length: 6 }, (_, number) => caseOf(number).kind);
    expect(new Set(first)).toEqual(new Set(["schema", "regex", "grammar", "choices"]));
    const numbers = Array.from({ length: 600 }, (_, number) => number);
    const asked = new Set(numbers.map((number) => caseOf(number).ask));
    expect(asked.size).toBe(SCHEMAS.length + EXPRESSIONS.length + GRAMMARS.length + CHOICES.length);
    expect(await prove(examples("good"), 1, 0, 600)).toEqual({
      answers: 600,
      complete: 600,
      cut: 0,
      neverComplete: [],
    });
  });

  it("finds a wrong answer and says how to ask for it again", async () => {
    await expect(prove(examples("bad"), 7, 0, 600)).rejects.toThrow(/SHAPES_SEED=7 SHAPES_FROM=\d+ \(.*\): ".*" /);
    const broken: Answerer = () => Promise.reject(new RangeError("mine"));
    await expect(prove(broken, 7, 3, 4)).rejects.toThrow(/SHAPES_SEED=7 SHAPES_FROM=3 \(grammar: .*mine/);
    const stopped: Answerer = async () => ({ text: "", stopReason: "cancelled" });
    await expect(prove(stopped, 7, 0, 1)).rejects.toThrow("ended by cancelled");
  });

  it("judges no answer that was cut, and names the shapes that never came to an end", async () => {
    const cut: Answerer = async () => ({ text: "{", stopReason: "length" });
    const report = await prove(cut, 1, 0, 2);
    expect(report).toMatchObject({ answers: 2, complete: 0, cut: 2 });
    expect(report.neverComplete).toEqual([0, 1].map((number) => `${caseOf(number).kind}: ${caseOf(number).name}`));
  });
});
