/** Whether no value can meet two schemas, as far as it can be told: what `oneOf` needs. */

import type { Schema, SchemaObject } from "./schema-keywords.ts";

type Flatten = (schema: Schema) => SchemaObject | undefined;

/** @param flatten a schema without `$ref` and `allOf` */
export function areApart(a: SchemaObject, b: SchemaObject, flatten: Flatten): boolean {
  const [valuesA, valuesB] = [givenValues(a), givenValues(b)];
  if (valuesA && valuesB) return !valuesA.some((value) => valuesB.includes(value));
  const [typesA, typesB] = [kindsOf(a), kindsOf(b)];
  if (typesA && typesB && !typesA.some((type) => typesB.includes(type))) return true;
  if (isNumeric(typesA) && isNumeric(typesB) && areRangesApart(a, b)) return true;
  return differByKey(a, b, flatten) || differByKey(b, a, flatten);
}

/** A key that both require, whose values are apart; or that one requires and the other forbids. */
function differByKey(a: SchemaObject, b: SchemaObject, flatten: Flatten): boolean {
  return (a.required ?? []).some((key) => {
    const here = a.properties?.[key];
    const there = b.properties?.[key];
    if (there === false || (there === undefined && b.additionalProperties === false)) return kindsAreObjects(a, b);
    if (here === undefined || there === undefined || !b.required?.includes(key)) return false;
    const [flatHere, flatThere] = [flatten(here), flatten(there)];
    return flatHere !== undefined && flatThere !== undefined && areApart(flatHere, flatThere, flatten);
  });
}

function isNumeric(kinds: string[] | undefined): boolean {
  return kinds?.every((kind) => kind === "number") === true;
}

function areRangesApart(a: SchemaObject, b: SchemaObject): boolean {
  const isBelow = (low: SchemaObject, high: SchemaObject) => {
    const { maximum = Infinity, exclusiveMaximum = Infinity } = low;
    const { minimum = -Infinity, exclusiveMinimum = -Infinity } = high;
    const [most, least] = [Math.min(maximum, exclusiveMaximum), Math.max(minimum, exclusiveMinimum)];
    return most < least || (most === least && (exclusiveMaximum === most || exclusiveMinimum === least));
  };
  return isBelow(a, b) || isBelow(b, a);
}

function kindsAreObjects(a: SchemaObject, b: SchemaObject): boolean {
  return [a, b].every((schema) => kindsOf(schema)?.every((kind) => kind === "object"));
}

function givenValues({ const: one, enum: many }: SchemaObject): string[] | undefined {
  if (one !== undefined) return [JSON.stringify(one)];
  return many?.map((value) => JSON.stringify(value));
}

/** Types of JSON values, in which integers are numbers. */
function kindsOf(schema: SchemaObject): string[] | undefined {
  const values = givenValues(schema)?.map((value) => JSON.parse(value) as unknown);
  if (values) return values.map(kindOf);
  if (schema.type !== undefined) return [schema.type].flat().map((type) => (type === "integer" ? "number" : `${type}`));
  return schema.properties || schema.required ? ["object"] : undefined;
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}
