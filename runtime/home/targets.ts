/** Which entities of a house an intent is about, as Home Assistant chooses them by name, place, domain and class. */

import { CATALOGUE } from "./catalogue.ts";
import { foldName } from "./names.ts";
import type { Area, Entity, House, Intent, Named } from "./types.ts";

const called = ({ name, aliases }: Named, wanted: string) => [name, ...aliases].some((one) => foldName(one) === wanted);

const textOf = (value: unknown): string | undefined => (value === undefined ? undefined : foldName(String(value)));
const listOf = (value: unknown): string[] | undefined =>
  value === undefined ? undefined : (Array.isArray(value) ? value : [value]).map(String);

/** Ids of the areas that an intent's `area` and `floor` leave, or undefined where it names no place. */
function placesOf({ areas, floors }: House, { slots }: Intent): Set<string> | undefined {
  const area = textOf(slots.area);
  const floor = textOf(slots.floor);
  if (area === undefined && floor === undefined) return undefined;
  const floorIds = new Set(floors.filter((one) => floor !== undefined && called(one, floor)).map(({ id }) => id));
  const chosen = areas.filter(
    (one) =>
      (area === undefined || one.id === slots.area || called(one, area)) &&
      (floor === undefined || floorIds.has(one.floor ?? "")),
  );
  return new Set(chosen.map(({ id }) => id));
}

/** Domains of the entities that an intent can be about where it names none; undefined = any. */
function domainsOf(intent: string): readonly string[] | undefined {
  const info = CATALOGUE.intents[intent];
  if (info === undefined || info.domain === "homeassistant") return undefined;
  return [info.domain];
}

/** In the house's order; empty for an intent that is about no entity, such as a timer. */
export function targetsOf(house: House, intent: Intent): Entity[] {
  const info = CATALOGUE.intents[intent.name];
  if (info === undefined || Object.values(info.slots).every(({ kind }) => kind !== "name")) return [];
  const name = textOf(intent.slots.name);
  const domains = listOf(intent.slots.domain) ?? domainsOf(intent.name);
  const classes = listOf(intent.slots.device_class);
  const places = placesOf(house, intent);
  return house.entities.filter(
    (entity) =>
      (name === undefined || entity.id === intent.slots.name || called(entity, name)) &&
      (domains === undefined || domains.includes(entity.domain)) &&
      (classes === undefined || classes.includes(entity.deviceClass ?? "")) &&
      (places === undefined || places.has(entity.area ?? "")),
  );
}

/** The area of this name, alias or id, or that a satellite of this id stands in. */
export function areaCalled({ areas, satellites }: House, name: string): Area | undefined {
  const id = satellites.find((one) => one.id === name)?.area ?? name;
  const wanted = foldName(name);
  return areas.find((area) => area.id === id) ?? areas.find((area) => called(area, wanted));
}
