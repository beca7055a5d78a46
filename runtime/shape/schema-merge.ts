/** Two schemas as one that says what both say: for `allOf`, `$ref` with keywords beside it, and branches of `anyOf`. */

import { type Schema, type SchemaObject, wrongSchema } from "./schema-keywords.ts";

type Merge = (a: never, b: never, at: string) => unknown;

const higher = (a: number, b: number) => Math.max(a, b);
const lower = (a: number, b: number) => Math.min(a, b);

const MERGES: Readonly<Record<string, Merge>> = {
  type: (a: string | string[], b: string | string[], at) => {
    const both = [b].flat().filter((type) => [a].flat().includes(type));
    // Every integer is a number.
    if ([a, b].every((one) => [one].flat().some((type) => type === "integer" || type === "number"))) {
      if (!both.includes("integer") && !both.includes("number")) both.push("integer");
    }
    if (both.length === 0) throw wrongSchema(at, "it demands values of several types at once");
    return both;
  },
  enum: (a: unknown[], b: unknown[], at) => {
    const texts = new Set(a.map((value) => JSON.stringify(value)));
    const both = b.filter((value) => texts.has(JSON.stringify(value)));
    if (both.length === 0) throw wrongSchema(at, "its lists of values have none in common");
    return both;
  },
  const: (a: unknown, b: unknown, at) => {
    if (JSON.stringify(a) !== JSON.stringify(b)) throw wrongSchema(at, "it demands two different values at once");
    return a;
  },
  properties: (a: Record<string, Schema>, b: Record<string, Schema>) => {
    const shared = Object.keys(b).filter((key) => Object.hasOwn(a, key));
    return { ...a, ...b, ...Object.fromEntries(shared.map((key) => [key, { allOf: [a[key], b[key]] }])) };
  },
  required: (a: string[], b: string[]) => [...new Set([...a, ...b])],
  additionalProperties: (a: Schema, b: Schema) => both(a, b),
  items: (a: Schema, b: Schema) => both(a, b),
  prefixItems: (a: Schema[], b: Schema[], at) => {
    if (a.length !== b.length)
      throw wrongSchema(at, "lists of prefixItems of several lengths at once are not supported");
    return a.map((one, i) => both(one, b[i]));
  },
  pattern: (a: string | string[], b: string | string[]) => [...new Set([a, b].flat())],
  format: (a: string | string[], b: string | string[]) => [...new Set([a, b].flat())],
  uniqueItems: (a: boolean, b: boolean) => a || b,
  minProperties: higher,
  minItems: higher,
  minLength: higher,
  minimum: higher,
  exclusiveMinimum: higher,
  maxProperties: lower,
  maxItems: lower,
  maxLength: lower,
  maximum: lower,
  exclusiveMaximum: lower,
  multipleOf: (a: number, b: number, at) => {
    if (a === b || (Number.isInteger(a / b) && b > 0)) return a;
    if (Number.isInteger(b / a)) return b;
    throw wrongSchema(at, "multipleOf of two numbers at once is not supported");
  },
  anyOf: (_a, _b, at) => {
    throw wrongSchema(at, "anyOf in several schemas that hold at once is not supported");
  },
  oneOf: (_a, _b, at) => {
    throw wrongSchema(at, "oneOf in several schemas that hold at once is not supported");
  },
};

/** Throws E_SHAPE where they contradict each other, or what both say cannot be said in one. */
export function mergeSchemas(a: SchemaObject, b: SchemaObject, at: string): SchemaObject {
  const merged: Record<string, unknown> = { ...a };
  refuseHidden(a, b, at);
  refuseHidden(b, a, at);
  for (const [keyword, value] of Object.entries(b)) {
    const merge = MERGES[keyword] as ((a: unknown, b: unknown, at: string) => unknown) | undefined;
    const isTwice = merged[keyword] !== undefined && merge !== undefined;
    merged[keyword] = isTwice ? merge(merged[keyword], value, at) : value;
  }
  return merged;
}

/** `additionalProperties: false` speaks of the properties beside it only; so keys of the other schema are not allowed. */
function refuseHidden(closed: SchemaObject, other: SchemaObject, at: string): void {
  const { additionalProperties = true, properties = {} } = closed;
  if (additionalProperties === true) return;
  const hidden = Object.keys(other.properties ?? {}).find((key) => !Object.hasOwn(properties, key));
  if (hidden === undefined) return;
  throw wrongSchema(at, `additionalProperties forbids "${hidden.slice(0, 40)}", which a schema beside it names`);
}

function both(a: Schema, b: Schema): Schema {
  if (a === true) return b;
  if (b === true) return a;
  if (a === false || b === false) return false;
  return { allOf: [a, b] };
}
