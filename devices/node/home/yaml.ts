/**
 * house.yaml as text. js-yaml reads 10,000 entities in 0.1 s, for which the package `yaml` needs 2 s; its events say where
 * everything stands.
 */

import {
  dump,
  EVENT_ID,
  type Event,
  FAILSAFE_SCHEMA,
  getScalarValue,
  load,
  nullCoreTag,
  parseEvents,
  YAMLException,
} from "js-yaml";
import { houseError, type Path, type Source } from "../../../runtime/home/house.ts";

/** Every value is a text, as it stands there: a house has no numbers, and "on" is a name. */
const SCHEMA = FAILSAFE_SCHEMA.withTags(nullCoreTag);

/** The index of the event after the value that begins at `at`. */
function after(events: readonly Event[], at: number): number {
  let depth = 0;
  let i = at;
  do {
    const { type } = events[i++];
    if (type === EVENT_ID.MAPPING || type === EVENT_ID.SEQUENCE) depth++;
    else if (type === EVENT_ID.POP) depth--;
  } while (depth > 0);
  return i;
}

/** The index of the value of a step in the collection at `at`, or undefined. */
function enter(events: readonly Event[], text: string, at: number, step: string | number): number | undefined {
  const mapping = events[at].type === EVENT_ID.MAPPING;
  if (mapping !== (typeof step === "string") || (!mapping && events[at].type !== EVENT_ID.SEQUENCE)) return undefined;
  let item = 0;
  for (let i = at + 1; events[i].type !== EVENT_ID.POP; item++) {
    const key = events[i];
    const value = mapping ? after(events, i) : i;
    if (mapping ? key.type === EVENT_ID.SCALAR && getScalarValue(text, key) === step : item === step) return value;
    i = after(events, value);
  }
  return undefined;
}

function startOf(event: Event): number {
  if (event.type === EVENT_ID.SCALAR) return event.valueStart;
  if (event.type === EVENT_ID.MAPPING || event.type === EVENT_ID.SEQUENCE) return event.start;
  return event.type === EVENT_ID.ALIAS ? event.anchorStart : 0;
}

function sourceOf(text: string, name: string): Source {
  let events: Event[] | undefined;
  return {
    name,
    position(path: Path) {
      events ??= parseEvents(text, {});
      // The first event opens the document.
      let at = 1;
      let offset = startOf(events[at]);
      for (const step of path) {
        const next = enter(events, text, at, step);
        if (next === undefined) break;
        at = next;
        // A value that was left out has no place: then its list's or object's is told.
        if (startOf(events[at]) >= 0) offset = startOf(events[at]);
      }
      const before = text.slice(0, offset).split("\n");
      return { line: before.length, column: before[before.length - 1].length + 1 };
    },
  };
}

/**
 * Parses the text of a house, without looking at what it says.
 * @param name for messages: the file's name
 * @throws PiPhiError E_HOUSE with the line
 */
export function parseYaml(text: string, name: string): { document: unknown; source: Source } {
  const source = sourceOf(text, name);
  try {
    return { document: load(text, { schema: SCHEMA, maxAliases: 1000 }), source };
  } catch (error) {
    if (!(error instanceof YAMLException)) throw error;
    const { reason, mark } = error;
    const place = mark && { line: mark.line + 1, column: mark.column + 1 };
    throw houseError([{ message: `This is no YAML of a house: ${reason}. Correct it.`, path: "", ...place }], source);
  }
}

/** A document as YAML, an entity a line. */
export function formatYaml(document: unknown): string {
  return dump(document, { flowLevel: 2, lineWidth: -1, noRefs: true });
}
