/** Names that will surprise whoever says them. */

import { CATALOGUE } from "./catalogue.ts";
import type { House } from "./types.ts";

/** Words that begin or are a command of their own. */
const COMMANDS = new Set(
  (
    "stop|cancel|never mind|nevermind|pause|resume|continue|play|next|previous|mute|unmute|open|close|lock|unlock|start|" +
    "turn on|turn off|on|off|up|down|yes|no|all|everything|everywhere|here|timer|weather|time|date|hello|set|add|help"
  ).split("|"),
);

/** A name as it is compared: without case, accents' encoding, punctuation and doubled blanks. */
export function foldName(name: string): string {
  return name
    .normalize("NFKC")
    .toLowerCase()
    .replace(/[^\p{L}\p{M}\p{N}]+/gu, " ")
    .trim();
}

export interface NameWarning {
  readonly kind: "entities" | "areas" | "floors";
  readonly index: number;
  readonly message: string;
}

interface Named {
  readonly name: string;
  readonly aliases: readonly string[];
}

const namesOf = ({ name, aliases }: Named) => [...new Set([name, ...aliases].map(foldName))].filter(Boolean);

/** "lights", "switches", … of a domain's title. */
function domainWords(domain: string): string[] {
  const word = CATALOGUE.domains[domain]?.title.toLowerCase();
  return word === undefined ? [] : [word, `${word}s`];
}

function* areaWarnings({ areas, entities }: House): Iterable<NameWarning> {
  const furnished = new Set(entities.map(({ area }) => area));
  const seen = new Map<string, string>();
  for (const [index, area] of areas.entries()) {
    if (!furnished.has(area.id)) {
      const message = `No entity is in the area "${area.name}". Commands for it will do nothing.`;
      yield { kind: "areas", index, message };
    }
    for (const name of namesOf(area)) {
      const other = seen.get(name);
      if (other === undefined) seen.set(name, area.name);
      else yield { kind: "areas", index, message: twice(name, `the area "${other}"`) };
    }
  }
}

const twice = (name: string, other: string) =>
  `"${name}" is also what ${other} is called. Rename one, or give it an alias of its own.`;

function* floorWarnings({ floors, areas }: House): Iterable<NameWarning> {
  const taken = new Map(areas.flatMap((area) => namesOf(area).map((name) => [name, `the area "${area.name}"`])));
  for (const [index, floor] of floors.entries()) {
    for (const name of namesOf(floor)) {
      const other = taken.get(name);
      if (other !== undefined) yield { kind: "floors", index, message: twice(name, other) };
      taken.set(name, `the floor "${floor.name}"`);
    }
  }
}

function* entityWarnings({ areas, floors, entities }: House): Iterable<NameWarning> {
  const places = new Map<string, { id: string; text: string }>();
  for (const floor of floors) for (const name of namesOf(floor)) places.set(name, { id: floor.id, text: "a floor" });
  for (const area of areas) for (const name of namesOf(area)) places.set(name, { id: area.id, text: "an area" });
  const seen = new Map<string, string>();
  for (const [index, entity] of entities.entries()) {
    for (const name of namesOf(entity)) {
      const warn = (message: string): NameWarning => ({ kind: "entities", index, message });
      if (COMMANDS.has(name)) yield warn(`"${name}" is also a command. Give ${entity.id} an alias that is not.`);
      const place = places.get(name);
      if (place !== undefined) yield warn(twice(name, place.text));
      // In another area, the area tells which one is meant.
      const key = `${name}\n${entity.area ?? ""}`;
      const other = seen.get(key);
      if (other === undefined) seen.set(key, entity.id);
      else yield warn(twice(name, `${other} in the same area`));
      for (const word of domainWords(entity.domain)) {
        const area = name.endsWith(` ${word}`) ? places.get(name.slice(0, -word.length - 1)) : undefined;
        if (area?.text === "an area" && area.id !== entity.area) {
          yield warn(
            `"${name}" sounds like all of that area, but ${entity.id} is not in it. Rename it, or set its area.`,
          );
        }
      }
    }
  }
}

/** What is allowed but cannot be told apart, or will be taken for something else. */
export function* ambiguousNames(house: House): Iterable<NameWarning> {
  yield* floorWarnings(house);
  yield* areaWarnings(house);
  yield* entityWarnings(house);
}
