/** What the embedded model answers without a house, as a JSON Schema: one intent of the catalogue with its slots, or none. */

import { CATALOGUE, type SlotInfo } from "./catalogue.ts";

type Schema = Readonly<Record<string, unknown>>;

/** Behind the intent, before all other slots. */
const FIRST = ["name", "area", "floor", "domain"];
const STATES = Object.keys(
  Object.assign({}, ...Object.values(CATALOGUE.domains).map(({ states }) => states)) as Record<string, unknown>,
);
const CLASSES = [...new Set(Object.values(CATALOGUE.domains).flatMap(({ classes }) => Object.keys(classes ?? {})))];

function slotSchema({ kind, range, values = {} }: SlotInfo): Schema {
  if (kind === "domain") return { enum: Object.keys(CATALOGUE.domains) };
  if (kind === "device_class") return { enum: CLASSES };
  if (kind === "state") return { enum: STATES };
  if (kind === "choice") return { enum: Object.keys(values) };
  if (kind !== "number") return { type: "string", minLength: 1 };
  const words = Object.keys(values).filter((value) => !/^\d+$/.test(value));
  const number = {
    type: Number.isInteger(range?.step ?? 1) ? "integer" : "number",
    ...(range && { minimum: range.from, maximum: range.to }),
  };
  return words.length > 0 ? { anyOf: [number, { enum: words }] } : number;
}

function intentSchema([intent, { slots }]: [string, (typeof CATALOGUE.intents)[string]]): Schema {
  const rank = (slot: string) => (FIRST.includes(slot) ? FIRST.indexOf(slot) : FIRST.length);
  const own = Object.entries(slots)
    .filter(([slot]) => slot !== "response")
    .sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1));
  return {
    type: "object",
    properties: {
      intent: { const: intent },
      ...Object.fromEntries(own.map(([slot, info]) => [slot, slotSchema(info)])),
    },
    // Without a house, what is named nowhere is where the sentence was said.
    required: [
      "intent",
      ...own.filter(([slot, { required }]) => required && !FIRST.includes(slot)).map(([slot]) => slot),
    ],
    additionalProperties: false,
  };
}

let schema: Record<string, unknown> | undefined;

/** The schema of an answer such as `{"intent":"HassTurnOn","area":"kitchen","domain":"light"}` or `{"intent":"none"}`. */
export function commandSchema(): Record<string, unknown> {
  schema ??= {
    anyOf: [
      { type: "object", properties: { intent: { const: "none" } }, required: ["intent"], additionalProperties: false },
      ...Object.entries(CATALOGUE.intents).map(intentSchema),
    ],
  };
  return schema;
}
