/**
 * JSON Schema (draft 2020-12) as rules. Each schema becomes a rule of its own, so that what recurs is compiled once and what
 * contains itself ends where its values do. What is written is always valid; not all that is valid can be written: keys come
 * in the schema's order, and keys that it does not name only where it speaks of `additionalProperties`.
 */

import { ANY_VALUE, ANY_VALUE_PART, BLANK } from "./json.ts";
import { either, NEVER, type Part, type Rules, rule, sequence, words } from "./part.ts";
import { areApart } from "./schema-apart.ts";
import { givenPart } from "./schema-given.ts";
import {
  ANNOTATIONS,
  checkKeywords,
  type Schema,
  type SchemaObject,
  TYPES,
  type TypeName,
  wrongSchema,
} from "./schema-keywords.ts";
import { mergeSchemas } from "./schema-merge.ts";
import { arrayPart, numberPart, objectPart, stringPart, type TypedContext } from "./schema-types.ts";

/** Schemas in a schema; those of `$ref` count where they are used. */
const MOST_SCHEMAS = 20_000;
/** Schemas that `$ref` and `allOf` bring into others: each can name one that does so twice, and so on. */
const MOST_MERGED = 100_000;
/** `$ref` and `allOf` in one another, without a value in between. */
const MOST_STEPS = 64;

/** Throws E_SHAPE with the JSON pointer of what is wrong. */
export function parseSchema(schema: Schema): Rules {
  return new SchemaParser(schema).parse();
}

class SchemaParser implements TypedContext {
  private readonly rules = new Map<string, Part>([[ANY_VALUE, ANY_VALUE_PART]]);
  /** Rules by the text of their schema. */
  private readonly known = new Map<string, string>();
  private broughtIn = 0;

  constructor(private readonly root: Schema) {}

  parse(): Rules {
    const value = this.value(this.root, "");
    this.rules.set("answer", sequence(BLANK, value));
    return { root: "answer", rules: this.rules };
  }

  /** The rule of a schema's values. */
  value(schema: Schema, at: string): Part {
    if (schema === true || (isObject(schema) && hasNoSay(schema))) return rule(ANY_VALUE);
    if (schema === false) return NEVER;
    if (!isObject(schema)) throw wrongSchema(at, "a schema must be an object, true or false");
    const text = JSON.stringify(schema);
    const known = this.known.get(text);
    if (known !== undefined) return rule(known);
    if (this.rules.size >= MOST_SCHEMAS) {
      throw wrongSchema(at, `there are more than ${MOST_SCHEMAS} schemas in it; share them by $ref`);
    }
    const name = `schema at ${at || "its root"}`;
    this.known.set(text, name);
    this.rules.set(name, NEVER); // takes the name before what is in it does
    this.rules.set(name, this.part(schema, at));
    return rule(name);
  }

  private part(schema: SchemaObject, at: string): Part {
    const flat = this.flatten(schema, at);
    const { anyOf, oneOf, ...base } = flat;
    const branches = anyOf ?? oneOf;
    if (branches === undefined) return this.typed(base, at);
    const keyword = anyOf ? "anyOf" : "oneOf";
    if (!Array.isArray(branches) || branches.length === 0)
      throw wrongSchema(`${at}/${keyword}`, "it must be a list of at least one schema");
    const rest = anyOf && oneOf ? { ...base, oneOf } : base;
    const merged = branches.map((branch, i) => {
      const place = `${at}/${keyword}/${i}`;
      if (branch === false) return undefined;
      return this.flatten(mergeSchemas(rest, branch === true ? {} : branch, place), place);
    });
    if (!anyOf) this.demandApart(merged, at);
    const parts = merged.map((branch, i) => branch && this.value(branch, `${at}/${keyword}/${i}`));
    return either(...parts.filter((part) => part !== undefined));
  }

  /** Without `$ref` and `allOf`: what they say becomes part of the schema. */
  private flatten(schema: SchemaObject, at: string, steps = 0): SchemaObject {
    checkKeywords(schema, at);
    const { $ref, allOf, $defs: _, definitions: __, ...own } = schema;
    if ($ref === undefined && allOf === undefined) return own;
    if (++this.broughtIn > MOST_MERGED)
      throw wrongSchema(at, `$ref and allOf bring in more than ${MOST_MERGED} schemas`);
    if (steps > MOST_STEPS) throw wrongSchema(at, "$ref leads back to itself without a value in between");
    if (allOf !== undefined && !Array.isArray(allOf)) throw wrongSchema(`${at}/allOf`, "it must be a list of schemas");
    const others: [Schema, string][] = (allOf ?? []).map((one, i) => [one, `${at}/allOf/${i}`]);
    if ($ref !== undefined) others.unshift([this.resolve($ref, at), `${$ref}`.slice(1)]);
    return others.reduce<SchemaObject>((merged, [other, place]) => {
      if (other === true) return merged;
      if (!isObject(other)) throw wrongSchema(place, "no value can meet it");
      return mergeSchemas(merged, this.flatten(other, place, steps + 1), at);
    }, own);
  }

  private resolve(ref: unknown, at: string): Schema {
    if (typeof ref !== "string" || !ref.startsWith("#"))
      throw wrongSchema(`${at}/$ref`, 'only references within the schema are understood, such as "#/$defs/name"');
    const path = ref === "#" ? [] : ref.slice(2).split("/");
    let found: unknown = this.root;
    for (const step of path) {
      const key = decodeURIComponent(step).replaceAll("~1", "/").replaceAll("~0", "~");
      const inside = found !== null && typeof found === "object" && Object.hasOwn(found, key);
      if (!ref.startsWith("#/") || !inside) throw wrongSchema(`${at}/$ref`, `there is nothing at "${ref}"`);
      found = (found as Record<string, unknown>)[key];
    }
    return found as Schema;
  }

  private demandApart(branches: readonly (SchemaObject | undefined)[], at: string): void {
    for (const [i, one] of branches.entries()) {
      for (const other of branches.slice(0, i)) {
        if (!one || !other || areApart(one, other, (schema) => this.flattened(schema))) continue;
        throw wrongSchema(
          `${at}/oneOf/${i}`,
          "a value could meet several of these; make them differ by type, or by a required key with const or enum, or use anyOf",
        );
      }
    }
  }

  private flattened(schema: Schema): SchemaObject | undefined {
    return isObject(schema) ? this.flatten(schema, "") : undefined;
  }

  /** A schema of which only the keywords of types are left. */
  private typed(schema: SchemaObject, at: string): Part {
    const types = typesOf(schema, at);
    if (schema.const !== undefined || schema.enum !== undefined) return givenPart(schema, types, at);
    return either(...types.map((type) => this.ofType(type, schema, at)));
  }

  private ofType(type: TypeName, schema: SchemaObject, at: string): Part {
    if (type === "object") return objectPart(schema, at, this);
    if (type === "array") return arrayPart(schema, at, this);
    if (type === "string") return stringPart(schema, at);
    if (type === "boolean") return either(words(["true", "false"]));
    if (type === "null") return words(["null"]);
    return numberPart(schema, type, at);
  }
}

/** What values may be: as `type` says, else what the other keywords speak of, else anything. */
function typesOf(schema: SchemaObject, at: string): TypeName[] {
  const { type } = schema;
  if (type === undefined) {
    const spoken = Object.entries(TYPES).filter(([, keywords]) =>
      keywords.some((keyword) => schema[keyword] !== undefined),
    );
    const all = Object.keys(TYPES) as TypeName[];
    return spoken.length > 0 && schema.enum === undefined && schema.const === undefined
      ? spoken.map(([name]) => name as TypeName).filter((name) => name !== "integer")
      : all;
  }
  const types = [type].flat();
  const wrong = types.find((name) => typeof name !== "string" || !(name in TYPES));
  if (wrong !== undefined || types.length === 0)
    throw wrongSchema(`${at}/type`, `it must be one or several of ${Object.keys(TYPES).join(", ")}`);
  // Every integer is a number, too.
  return (types as TypeName[]).filter((name) => name !== "integer" || !types.includes("number"));
}

function isObject(value: unknown): value is SchemaObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function hasNoSay(schema: SchemaObject): boolean {
  return Object.keys(schema).every((key) => ANNOTATIONS.has(key) || key === "$defs" || key === "definitions");
}
