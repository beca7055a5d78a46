/** What the keywords of each type say about its values. */

import { isImpossible, meetsAll } from "./chars.ts";
import { FORMATS } from "./formats.ts";
import { ANY_INTEGER, ANY_NUMBER, ANY_STRING, BLANK, CHARACTER, list, member, string, stringOf } from "./json.ts";
import { integersWithin, multiplesOf, numbersWithin } from "./numbers.ts";
import { NEVER, type NetEdge, type Part, repeat, sequence, set, text } from "./part.ts";
import { ANY, pointsOfText, without } from "./points.ts";
import { parsePattern, parseRegex } from "./regex.ts";
import { type Schema, type SchemaObject, wrongSchema } from "./schema-keywords.ts";

/** What objects and lists need of the whole. */
export interface TypedContext {
  /** A schema's values. */
  value(schema: Schema, at: string): Part;
}

interface Member {
  part: Part;
  isRequired: boolean;
}

/** A multiple is a matter of remainders, of which each is a state. */
const MOST_MULTIPLE = 1000;

export function numberPart(schema: SchemaObject, type: "number" | "integer", at: string): Part {
  const { minimum = -Infinity, maximum = Infinity, exclusiveMinimum = -Infinity, exclusiveMaximum = Infinity } = schema;
  const { multipleOf } = schema;
  const bounds = {
    least: Math.max(minimum, exclusiveMinimum),
    most: Math.min(maximum, exclusiveMaximum),
    leastOut: exclusiveMinimum >= minimum && exclusiveMinimum > -Infinity,
    mostOut: exclusiveMaximum <= maximum && exclusiveMaximum < Infinity,
  };
  const isFree = bounds.least === -Infinity && bounds.most === Infinity;
  if (multipleOf === undefined && type === "number") {
    if (isFree) return ANY_NUMBER;
    return possible(numbersWithin(bounds), at, "no number is within its bounds");
  }
  const whole = isFree ? ANY_INTEGER : integersWithin(bounds);
  if (multipleOf === undefined || 1 / multipleOf === Math.round(1 / multipleOf))
    return possible(whole, at, "no whole number is within its bounds");
  if (!Number.isInteger(multipleOf) || multipleOf > MOST_MULTIPLE)
    throw wrongSchema(`${at}/multipleOf`, `it must be a whole number up to ${MOST_MULTIPLE}`);
  const both = meetsAll([whole, multiplesOf(multipleOf)]);
  return possible(both, at, `no multiple of ${multipleOf} is within its bounds`);
}

export function stringPart(schema: SchemaObject, at: string): Part {
  const { minLength = 0, maxLength = Infinity } = schema;
  if (minLength > maxLength) throw wrongSchema(at, `minLength ${minLength} is above maxLength ${maxLength}`);
  const conditions = textConditions(schema, at);
  const isAnyLength = minLength === 0 && maxLength === Infinity;
  if (conditions.length === 0) return isAnyLength ? ANY_STRING : string(repeat(CHARACTER, minLength, maxLength));
  if (!isAnyLength) conditions.push(repeat(set(ANY), minLength, maxLength));
  const all = meetsAll(conditions);
  return stringOf(possible(all, at, "no text meets its pattern, format and lengths at once"));
}

/** What a text must be by its patterns and formats, each alone. */
export function textConditions({ pattern = [], format = [] }: SchemaObject, at: string): Part[] {
  return [
    ...[pattern].flat().map((one) => within(`${at}/pattern`, () => parsePattern(one))),
    ...[format].flat().map((name) => formatPart(name, at)),
  ];
}

function formatPart(name: string, at: string): Part {
  if (Object.hasOwn(FORMATS, name)) return parseRegex(FORMATS[name]);
  const known = Object.keys(FORMATS).join(", ");
  throw wrongSchema(`${at}/format`, `the format "${name.slice(0, 40)}" is not supported; the formats are ${known}`, {
    format: name.slice(0, 200),
  });
}

export function arrayPart(schema: SchemaObject, at: string, context: TypedContext): Part {
  const { items = true, prefixItems = [], minItems = 0, maxItems = Infinity, uniqueItems } = schema;
  if (minItems > maxItems) throw wrongSchema(at, `minItems ${minItems} is above maxItems ${maxItems}`);
  if (uniqueItems && maxItems > 1) throw wrongSchema(`${at}/uniqueItems`, "it is not supported; leave it out");
  const item = context.value(items, `${at}/items`);
  if (prefixItems.length === 0) {
    if (items === false) {
      if (minItems > 0) throw wrongSchema(at, "minItems demands items, and items forbids them");
      return text("[]");
    }
    return list("[", item, "]", minItems, maxItems);
  }
  // Node i: i items are there; the last node is for all beyond the first ones.
  const edges: NetEdge[] = [];
  const close = text("]");
  const count = Math.min(prefixItems.length, maxItems);
  const [last, end] = [count, count + 1];
  const comma = (i: number) => (i === 0 ? text("[") : sequence(text(","), BLANK));
  for (let i = 0; i < count; i++) {
    const part = sequence(comma(i), context.value(prefixItems[i], `${at}/prefixItems/${i}`));
    edges.push({ from: i, part, to: i + 1 });
    if (i >= minItems) edges.push({ from: i, part: i === 0 ? text("[]") : close, to: end });
  }
  const more = sequence(comma(count), item);
  const tail = items === false ? [Math.max(0, minItems - count), 0] : [Math.max(0, minItems - count), maxItems - count];
  if (tail[0] > tail[1]) throw wrongSchema(at, `minItems ${minItems} demands more items than it allows`);
  if (count === 0) return text("[]");
  edges.push({ from: last, part: sequence(repeat(more, tail[0], tail[1]), close), to: end });
  return { kind: "net", nodes: count + 2, edges, ends: [end] };
}

export function objectPart(schema: SchemaObject, at: string, context: TypedContext): Part {
  const { properties = {}, required = [], minProperties = 0, maxProperties = Infinity } = schema;
  const { additionalProperties = Object.keys(properties).length === 0 } = schema;
  const unnamed = required.filter((key) => !Object.hasOwn(properties, key));
  const named = [
    ...Object.entries(properties).map(([key, value]) => ({ key, value, place: `${at}/properties/${pointer(key)}` })),
    ...unnamed.map((key) => ({ key, value: schema.additionalProperties ?? true, place: `${at}/additionalProperties` })),
  ];
  if (unnamed.length > 0 && schema.additionalProperties === false)
    throw wrongSchema(`${at}/required`, `"${unnamed[0].slice(0, 40)}" is required, but there is no such property`);
  const members: Member[] = named.map(({ key, value, place }) => ({
    part: member(text(JSON.stringify(key)), context.value(value, place)),
    isRequired: required.includes(key),
  }));
  const isOpen = additionalProperties !== false;
  const extra = !isOpen
    ? NEVER
    : member(otherKeys(named.map(({ key }) => key)), context.value(additionalProperties, `${at}/additionalProperties`));
  // A limit that cannot be reached need not be counted.
  const isLimited = isOpen || maxProperties < members.length;
  const counts = { minProperties, maxProperties: isLimited ? maxProperties : Infinity };
  checkCounts(counts, members, isOpen, at);
  if (members.length === 0) return isOpen ? list("{", extra, "}", minProperties, maxProperties) : text("{}");
  return membersPart(members, extra, counts);
}

interface Counts {
  minProperties: number;
  maxProperties: number;
}

/** A node for each number of keys that are written before each member: as far as the number says something. */
function membersPart(members: readonly Member[], extra: Part, { minProperties, maxProperties }: Counts): Part {
  const isLimited = maxProperties < Infinity;
  const most = isLimited ? maxProperties : Math.max(1, minProperties);
  const node = (member: number, count: number) => 1 + member * (most + 1) + count;
  const end = node(members.length + 1, 0);
  const comma = sequence(text(","), BLANK);
  const edges: NetEdge[] = [{ from: 0, part: text("{"), to: node(0, 0) }];
  for (let count = 0; count <= most; count++) {
    const next = Math.min(most, count + 1);
    const isFull = isLimited && count === most;
    const written = (part: Part) => (count === 0 ? part : sequence(comma, part));
    members.forEach(({ part, isRequired }, i) => {
      if (!isFull) edges.push({ from: node(i, count), part: written(part), to: node(i + 1, next) });
      if (!isRequired) edges.push({ from: node(i, count), part: undefined, to: node(i + 1, count) });
    });
    const last = node(members.length, count);
    if (!isFull) edges.push({ from: last, part: written(extra), to: node(members.length, next) });
    if (count >= minProperties) edges.push({ from: last, part: text("}"), to: end });
  }
  return { kind: "net", nodes: end + 1, edges, ends: [end] };
}

/** Throws E_SHAPE where numbers of keys cannot be met, or not be counted: free keys may be the same twice. */
function checkCounts(
  { minProperties, maxProperties }: Counts,
  members: readonly Member[],
  isOpen: boolean,
  at: string,
): void {
  const required = members.filter(({ isRequired }) => isRequired).length;
  if (minProperties > maxProperties || required > maxProperties || (!isOpen && minProperties > members.length))
    throw wrongSchema(at, "no number of properties meets minProperties, maxProperties and required at once");
  if (isOpen && minProperties > Math.max(required, members.length === 0 ? 1 : 0))
    throw wrongSchema(`${at}/minProperties`, "where keys are free, it may not be above the number of required ones");
}

/** Keys but these. */
function otherKeys(keys: readonly string[]): Part {
  if (keys.length === 0) return ANY_STRING;
  const edges: NetEdge[] = [];
  const next: Map<string, number>[] = [new Map()];
  const taken = new Set<number>();
  for (const key of keys) {
    let node = 0;
    for (const character of key) {
      let to = next[node].get(character);
      if (to === undefined) {
        to = next.push(new Map()) - 1;
        next[node].set(character, to);
        edges.push({ from: node, part: text(character), to });
      }
      node = to;
    }
    taken.add(node);
  }
  const other = next.length;
  next.forEach((out, from) => {
    edges.push({ from, part: set(without(ANY, pointsOfText([...out.keys()].join("")))), to: other });
  });
  edges.push({ from: other, part: set(ANY), to: other });
  const ends = [...Array(other + 1).keys()].filter((node) => !taken.has(node));
  return stringOf({ kind: "net", nodes: other + 1, edges, ends });
}

function pointer(key: string): string {
  return key.slice(0, 60).replaceAll("~", "~0").replaceAll("/", "~1");
}

/** Throws E_SHAPE for a part that nothing can meet. */
function possible(part: Part, at: string, problem: string): Part {
  if (isImpossible(part)) throw wrongSchema(at, problem);
  return part;
}

/** Names the place in the schema where an expression is wrong. */
function within<T>(at: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    throw wrongSchema(at, (error as Error).message.replace(/\.$/, ""));
  }
}
