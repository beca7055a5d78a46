/** Values that a schema gives one by one, by `const` and `enum`. */

import { compileNetwork } from "./network.ts";
import { type Part, words } from "./part.ts";
import { ANNOTATIONS, type SchemaObject, type TypeName, wrongSchema } from "./schema-keywords.ts";
import { textConditions } from "./schema-types.ts";
import { Walk } from "./walk.ts";

/** Those values that are of one of the types and meet the other keywords. Throws E_SHAPE where none is left. */
export function givenPart(schema: SchemaObject, types: readonly TypeName[], at: string): Part {
  const { const: one, enum: many } = schema;
  if (many !== undefined && (!Array.isArray(many) || many.length === 0))
    throw wrongSchema(`${at}/enum`, "it must be a list of at least one value");
  const all = many ?? [one];
  const isConst = (value: unknown) => one === undefined || JSON.stringify(value) === JSON.stringify(one);
  const left = all.filter((value) => isConst(value) && types.some((type) => isOfType(value, type)));
  const isText = textTest(schema, at);
  const met = left.filter((value) => {
    if (typeof value === "number") return isWithin(value, schema);
    if (typeof value === "string") return isText(value);
    if (value !== null && typeof value === "object") refuseMore(schema, at);
    return true;
  });
  if (met.length === 0) throw wrongSchema(at, "none of the values that are given meets the rest of the schema");
  return words(met.map((value) => JSON.stringify(value)));
}

function isOfType(value: unknown, type: TypeName): boolean {
  if (type === "integer") return Number.isInteger(value);
  if (type === "null") return value === null;
  if (type === "array") return Array.isArray(value);
  if (type === "object") return value !== null && typeof value === "object" && !Array.isArray(value);
  return typeof value === type;
}

function isWithin(value: number, schema: SchemaObject): boolean {
  const { minimum = -Infinity, maximum = Infinity } = schema;
  const { exclusiveMinimum = -Infinity, exclusiveMaximum = Infinity, multipleOf } = schema;
  if (value < minimum || value > maximum || value <= exclusiveMinimum || value >= exclusiveMaximum) return false;
  return multipleOf === undefined || Number.isInteger(value / multipleOf);
}

/** By walks, as JavaScript's own expressions may take for ever. */
function textTest(schema: SchemaObject, at: string): (value: string) => boolean {
  const { minLength = 0, maxLength = Infinity } = schema;
  const walks = textConditions(schema, at).map((part) => {
    return new Walk(compileNetwork({ root: at, rules: new Map([[at, part]]) }));
  });
  return (value) => {
    const length = [...value].length;
    return length >= minLength && length <= maxLength && walks.every((walk) => walk.accepts(value));
  };
}

/** What cannot be told of values from here. */
function refuseMore(schema: SchemaObject, at: string): void {
  const more = Object.keys(schema).find((key) => !ANNOTATIONS.has(key) && !["const", "enum", "type"].includes(key));
  if (more === undefined) return;
  throw wrongSchema(`${at}/${more}`, "beside objects and lists that are given whole, it is not supported");
}
