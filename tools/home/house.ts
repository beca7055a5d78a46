/** A house as the judge sees it: floors, areas and entities, found by name as Home Assistant finds them. */

import { readFileSync } from "node:fs";
import { parse } from "yaml";

interface Named {
  readonly id: string;
  readonly name: string;
  readonly aliases?: readonly string[];
}
export interface Area extends Named {
  readonly floor?: string;
}
export interface Entity extends Named {
  readonly area?: string;
  readonly device_class?: string;
}
/** `house.yaml`, as far as the judge needs it. An entity's domain is its id's first part. */
export interface House {
  readonly floors: readonly Named[];
  readonly areas: readonly Area[];
  readonly entities: readonly Entity[];
}

/** Upper and lower case, composed and decomposed accents, and white space at the ends make no difference. */
export const fold = (text: string): string => text.normalize("NFC").trim().toLowerCase();

export const readHouse = (file: string): House => parse(readFileSync(file, "utf8")) as House;

export const domainOf = (entity: Entity): string => entity.id.slice(0, entity.id.indexOf("."));

/** Those called `name`: by id, name or alias. */
export function called<T extends Named>(things: readonly T[], name: string): T[] {
  const wanted = fold(name);
  return things.filter(
    ({ id, name, aliases = [] }) => fold(id) === wanted || [name, ...aliases].some((other) => fold(other) === wanted),
  );
}
