/** The keywords of JSON Schema that are understood, and what their values must be. */

import type { ErrorDetails } from "../errors.ts";
import { shapeError } from "./network.ts";

export type Schema = SchemaObject | boolean;
/** A schema as callers give it; `checkKeywords` sees to it that its keywords' values are what they must be. */
export interface SchemaObject {
  readonly [keyword: string]: unknown;
  readonly $ref?: unknown;
  readonly type?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly SchemaObject[];
  readonly oneOf?: readonly SchemaObject[];
  readonly allOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: Schema;
  readonly minProperties?: number;
  readonly maxProperties?: number;
  readonly items?: Schema;
  readonly prefixItems?: readonly Schema[];
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly uniqueItems?: boolean;
  readonly minLength?: number;
  readonly maxLength?: number;
  /** Several where schemas were merged. */
  readonly pattern?: string | readonly string[];
  readonly format?: string | readonly string[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly multipleOf?: number;
}

/** Made for all that is wrong with a schema; `at` is the JSON pointer of the place. */
export function wrongSchema(at: string, problem: string, details: ErrorDetails = {}) {
  return shapeError(`The schema is wrong at ${at || "its root"}: ${problem}.`, { at, ...details });
}

/** The types, and the keywords that speak of each. */
export const TYPES = {
  object: ["properties", "required", "additionalProperties", "minProperties", "maxProperties"],
  array: ["items", "prefixItems", "minItems", "maxItems", "uniqueItems"],
  string: ["minLength", "maxLength", "pattern", "format"],
  number: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
  integer: ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"],
  boolean: [],
  null: [],
} as const satisfies Record<string, readonly string[]>;
export type TypeName = keyof typeof TYPES;

/** What says nothing about values. */
export const ANNOTATIONS: ReadonlySet<string> = new Set(
  (
    "$schema $id $anchor $comment $vocabulary title description default examples deprecated readOnly writeOnly " +
    "contentEncoding contentMediaType contentSchema"
  ).split(" "),
);

const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
const isNumber = (value: unknown) => typeof value === "number" && Number.isFinite(value);
const isText = (value: unknown) => typeof value === "string";
const isTexts = (value: unknown) => Array.isArray(value) && value.every(isText);
const isList = (value: unknown) => Array.isArray(value);
const isMap = (value: unknown) => typeof value === "object" && value !== null && !Array.isArray(value);
const isSchema = (value: unknown) => typeof value === "boolean" || isMap(value);
const always = () => true;

const KEYWORDS: Readonly<Record<string, readonly [check: (value: unknown) => boolean, kind: string]>> = {
  $ref: [isText, "a text"],
  $defs: [isMap, "an object of schemas"],
  definitions: [isMap, "an object of schemas"],
  type: [(value) => isText(value) || isTexts(value), "a type or a list of types"],
  enum: [isList, "a list of values"],
  const: [always, "a value"],
  anyOf: [isList, "a list of schemas"],
  oneOf: [isList, "a list of schemas"],
  allOf: [isList, "a list of schemas"],
  properties: [isMap, "an object of schemas"],
  required: [isTexts, "a list of keys"],
  additionalProperties: [isSchema, "a schema"],
  minProperties: [isCount, "a whole number of at least 0"],
  maxProperties: [isCount, "a whole number of at least 0"],
  items: [isSchema, "a schema"],
  prefixItems: [isList, "a list of schemas"],
  minItems: [isCount, "a whole number of at least 0"],
  maxItems: [isCount, "a whole number of at least 0"],
  uniqueItems: [(value) => typeof value === "boolean", "true or false"],
  minLength: [isCount, "a whole number of at least 0"],
  maxLength: [isCount, "a whole number of at least 0"],
  pattern: [(value) => isText(value) || isTexts(value), "an expression"],
  format: [(value) => isText(value) || isTexts(value), "a format's name"],
  minimum: [isNumber, "a number"],
  maximum: [isNumber, "a number"],
  exclusiveMinimum: [isNumber, "a number"],
  exclusiveMaximum: [isNumber, "a number"],
  multipleOf: [(value) => isNumber(value) && (value as number) > 0, "a number above 0"],
};

/** Throws E_SHAPE for a keyword that is not supported, or whose value is of the wrong kind. */
export function checkKeywords(schema: object, at: string): void {
  for (const [keyword, value] of Object.entries(schema)) {
    if (ANNOTATIONS.has(keyword) || keyword.startsWith("x-")) continue;
    const place = `${at}/${keyword}`;
    if (!Object.hasOwn(KEYWORDS, keyword)) {
      throw wrongSchema(place, `the keyword "${keyword.slice(0, 40)}" is not supported; leave it out`, { keyword });
    }
    const [check, kind] = KEYWORDS[keyword];
    if (!check(value)) throw wrongSchema(place, `it must be ${kind}`);
  }
}
