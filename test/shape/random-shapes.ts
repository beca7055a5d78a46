/** Expressions, grammars and schemas by chance. */

import fc from "fast-check";

const COUNTS = ["*", "+", "?", "{2}", "{0,2}", "{1,}", "{1,3}"];

const atoms = fc.constantFrom(
  ...["a", "b", "c", "1", "é", "日", "😀", "ab", "\\n", "\\x61", "\\u00e9", "\\u{65e5}"],
  ...[".", "[ab]", "[^a]", "[a-c1]", "[^\\d]", "[\\w é]", "[à-ü]", "[^é日]", "\\d", "\\D", "\\w", "\\W", "\\s", "\\S"],
);

export const randomExpression: fc.Arbitrary<string> = fc.letrec<{ part: string }>((tie) => ({
  part: fc.oneof(
    { maxDepth: 4 },
    { weight: 2, arbitrary: atoms },
    fc.tuple(tie("part"), tie("part")).map(([a, b]) => `(?:${a})(${b})`),
    fc.tuple(tie("part"), tie("part")).map(([a, b]) => `(?:${a}|${b})`),
    fc.tuple(tie("part"), fc.constantFrom("|", "a|", "|b")).map(([a, rest]) => `(${a}${rest})`),
    fc
      .tuple(tie("part"), fc.constantFrom(...COUNTS), fc.constantFrom("", "?"))
      .map(([a, n, lazy]) => `(?:${a})${n}${lazy}`),
  ),
})).part;

/** Names of rules that may or may not be productive, call themselves first, or be called at all. */
const RULES = ["root", "x", "y", "z"];

const grammarAtoms = fc.constantFrom(
  ...[
    '"a"',
    '"b"',
    '"c"',
    '"1"',
    '"ab"',
    '""',
    '"é"',
    '"日"',
    '"😀"',
    '"\\n"',
    '"\\x61"',
    "[ab]",
    "[^a]",
    "[à-ü日]",
    ".",
  ],
  ...RULES,
);

const alternatives: fc.Arbitrary<string> = fc.letrec<{ part: string }>((tie) => ({
  part: fc.oneof(
    { maxDepth: 3 },
    { weight: 3, arbitrary: grammarAtoms },
    fc.tuple(tie("part"), tie("part")).map(([a, b]) => `(${a} ${b})`),
    fc.tuple(tie("part"), tie("part")).map(([a, b]) => `(${a} | ${b})`),
    fc
      .tuple(tie("part"), fc.constantFrom(...COUNTS))
      .filter(([part]) => part !== '""')
      .map(([a, n]) => `(${a})${n}`),
  ),
})).part;

/** Each rule has an alternative that ends, and begins with a character; others are as they come. */
export const randomGrammar: fc.Arbitrary<string> = fc
  .tuple(
    ...RULES.map(() =>
      fc.tuple(fc.constantFrom('"a"', '"b"', '"1"', '"é"'), alternatives, fc.constantFrom('"c" ', '"日" ', "[ab] ")),
    ),
  )
  .map((bodies) => bodies.map(([end, body, first], i) => `${RULES[i]} ::= ${end} | ${first}${body}`).join("\n"));

type Schema = Record<string, unknown> | boolean;

const small = fc.integer({ min: -30, max: 130 });
const bound = fc.oneof(
  small,
  small.map((n) => n / 4),
  fc.integer({ min: -99999, max: 99999 }),
);
const value = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, "", "a", 'é"\\', "ab", 0, 1, -3, 2.5, [], [1], { a: 1 }, { a: [] }),
  small,
);
const patterns = fc.constantFrom("^[a-c]{1,3}$", "^(on|off)$", "é+", "^\\d{2}", '["\\\\]$', "^.{2}$", "^$");

/** Some of these keywords, each or not. */
const some = (keywords: Record<string, fc.Arbitrary<unknown>>) => fc.record(keywords, { requiredKeys: [] });

/** From a bound, which may be out itself, to another that is often above it. */
const numbers = fc
  .tuple(
    bound,
    fc.oneof(fc.integer({ min: 0, max: 400 }), bound),
    fc.constantFrom(0, 1, 2, 3),
    fc.constantFrom(0, 1, 2, 3),
  )
  .map(([from, width, low, high]) => ({
    ...(low === 0 ? {} : { [low === 1 ? "exclusiveMinimum" : "minimum"]: from }),
    ...(high === 0 ? {} : { [high === 1 ? "exclusiveMaximum" : "maximum"]: from + width }),
  }));
/** A least and a most, each or not; seldom upside down. */
const counts = (least: string, most: string) =>
  some({ [least]: fc.integer({ min: 0, max: 2 }), [most]: fc.integer({ min: 1, max: 4 }) });

const scalars: fc.Arbitrary<Schema> = fc.oneof(
  fc.constantFrom<Schema>({ type: "boolean" }, { type: "null" }, { type: ["string", "null"], maxLength: 3 }, true, {}),
  fc
    .tuple(numbers, some({ multipleOf: fc.integer({ min: 1, max: 12 }) }))
    .map(([rest, more]) => ({ type: "integer", ...rest, ...more })),
  numbers.map((rest) => ({ type: "number", ...rest })),
  counts("minLength", "maxLength").map((rest) => ({ type: "string", ...rest })),
  some({ pattern: patterns, maxLength: fc.integer({ min: 1, max: 6 }) }).map((rest) => ({ type: "string", ...rest })),
  fc
    .constantFrom("date", "time", "date-time", "uuid", "ipv4", "ipv6", "email", "hostname", "uri")
    .map((format) => ({ type: "string", format })),
  fc
    .uniqueArray(value, { minLength: 1, maxLength: 4, selector: (one) => JSON.stringify(one) })
    .map((all) => ({ enum: all })),
  value.map((one) => ({ const: one })),
);

/** Without `__proto__`, which ajv passes over. */
const KEYS = ["a", "b", "ab", 'é"', "toString", "constructor", ""];

export const randomSchema: fc.Arbitrary<Schema> = fc.letrec<{ schema: Schema }>((tie) => {
  const objects = fc
    .tuple(
      fc.uniqueArray(fc.tuple(fc.constantFrom(...KEYS), tie("schema")), { maxLength: 4, selector: ([key]) => key }),
      some({ required: fc.subarray(KEYS.slice(0, 2)) }),
      some({ additionalProperties: fc.oneof(fc.constant<Schema>(false), tie("schema")) }),
      fc.oneof({ weight: 3, arbitrary: fc.constant({}) }, counts("minProperties", "maxProperties")),
    )
    .map(([properties, required, additional, counted]): Schema => {
      return { type: "object", properties: Object.fromEntries(properties), ...required, ...additional, ...counted };
    });
  const arrays = fc
    .tuple(
      some({ items: tie("schema"), prefixItems: fc.array(tie("schema"), { minLength: 1, maxLength: 3 }) }),
      counts("minItems", "maxItems"),
    )
    .map(([items, counted]): Schema => ({ type: "array", ...items, ...counted }));
  const lists = fc.array(tie("schema"), { minLength: 1, maxLength: 3 });
  return {
    schema: fc.oneof(
      { maxDepth: 3 },
      { weight: 3, arbitrary: scalars },
      { weight: 2, arbitrary: objects },
      arrays,
      lists.map((anyOf) => ({ anyOf })),
      lists.map((oneOf) => ({ oneOf })),
      fc.tuple(scalars, scalars).map((allOf) => ({ allOf })),
      fc.tuple(objects, objects).map((allOf) => ({ allOf })),
      fc.tuple(fc.tuple(objects, objects), objects).map(([anyOf, base]) => ({ ...(base as object), anyOf })),
    ),
  };
}).schema;
