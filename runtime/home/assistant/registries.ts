/** From what Home Assistant knows to a house: what it exposes to its voice assistants, where that is, and what it is called. */

import type { Connection } from "./connection.ts";

/** The state of an entity, as Home Assistant gives it. */
export interface EntityState {
  readonly entity_id: string;
  readonly state: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

interface FloorEntry {
  floor_id: string;
  name: string;
  aliases?: string[];
}

interface AreaEntry {
  area_id: string;
  name: string;
  floor_id?: string | null;
  aliases?: string[];
}

interface DeviceEntry {
  id: string;
  area_id?: string | null;
}

interface EntityEntry {
  entity_id: string;
  area_id?: string | null;
  device_id?: string | null;
  device_class?: string | null;
  original_device_class?: string | null;
  /** Of `get_entries` only; null stands for the entity's own name. */
  aliases?: (string | null)[];
}

/** The answers of Home Assistant that a house is made of. */
export interface Registries {
  config: { language?: string };
  exposed: { exposed_entities: Record<string, { conversation?: boolean }> };
  floors: FloorEntry[];
  areas: AreaEntry[];
  devices: DeviceEntry[];
  /** All entities that are registered, and with their aliases those that are exposed. */
  entities: EntityEntry[];
  entries: Record<string, EntityEntry | null>;
  states: EntityState[];
}

/** Asks for everything a house is made of. */
export async function readRegistries(connection: Connection): Promise<Registries> {
  const ask = <T>(command: string, data?: Record<string, unknown>) => connection.request(command, data) as Promise<T>;
  // Home Assistant decides what it exposes when its voice assistant first looks: until then its list is empty.
  await ask("conversation/prepare", { language: "en" }).catch(() => undefined);
  const [config, exposed, floors, areas, devices, entities, states] = await Promise.all([
    ask<Registries["config"]>("get_config"),
    ask<Registries["exposed"]>("homeassistant/expose_entity/list"),
    ask<FloorEntry[]>("config/floor_registry/list"),
    ask<AreaEntry[]>("config/area_registry/list"),
    ask<DeviceEntry[]>("config/device_registry/list"),
    ask<EntityEntry[]>("config/entity_registry/list"),
    ask<EntityState[]>("get_states"),
  ]);
  const exposedIds = Object.keys(exposed.exposed_entities).filter((id) => exposed.exposed_entities[id].conversation);
  const entries = await ask<Registries["entries"]>("config/entity_registry/get_entries", { entity_ids: exposedIds });
  return { config, exposed, floors, areas, devices, entities, entries, states };
}

/** A house as its document, which house.yaml has too. */
export interface HouseDocument {
  language: string;
  floors: { id: string; name: string; aliases?: string[] }[];
  areas: { id: string; name: string; floor?: string; aliases?: string[] }[];
  entities: { id: string; name: string; area?: string; aliases?: string[]; device_class?: string }[];
  satellites: { id: string; area: string }[];
}

/** Home Assistant takes names of any length; nobody says more than this. */
const LONGEST_NAME = 200;
const spoken = (name: string) => [...name.trim()].slice(0, LONGEST_NAME).join("");

/** Other names than the name itself, each once; absent where there is none. */
function aliasesOf(name: string, aliases: readonly (string | null)[] = []): { aliases?: string[] } {
  const others = new Set(aliases.flatMap((alias) => (alias === null ? [] : spoken(alias))));
  others.delete(name);
  others.delete("");
  return others.size > 0 ? { aliases: [...others] } : {};
}

const given = <K extends string, T>(key: K, value: T | null | undefined) =>
  (value === null || value === undefined || value === "" ? {} : { [key]: value }) as { [P in K]?: T };

/** The house that Home Assistant's answers describe; entities in the order of their ids. */
export function houseDocument(registries: Registries): HouseDocument {
  const { config, exposed, floors, areas, devices, entities, entries, states } = registries;
  const floorIds = new Set(floors.map(({ floor_id }) => floor_id));
  const areaIds = new Set(areas.map(({ area_id }) => area_id));
  const areaOfDevice = new Map(devices.map(({ id, area_id }) => [id, area_id ?? undefined]));
  const areaOf = (entry: EntityEntry | null | undefined) => {
    const area = entry?.area_id ?? areaOfDevice.get(entry?.device_id ?? "");
    return area !== undefined && areaIds.has(area) ? area : undefined;
  };
  const shown = states.filter(({ entity_id }) => exposed.exposed_entities[entity_id]?.conversation);
  shown.sort((a, b) => (a.entity_id < b.entity_id ? -1 : 1));
  return {
    language: config.language ?? "en",
    floors: floors.map(({ floor_id, name, aliases }) => ({
      id: floor_id,
      name: spoken(name),
      ...aliasesOf(name, aliases),
    })),
    areas: areas.map(({ area_id, name, floor_id, aliases }) => ({
      id: area_id,
      name: spoken(name),
      ...given("floor", floorIds.has(floor_id ?? "") ? floor_id : undefined),
      ...aliasesOf(name, aliases),
    })),
    entities: shown.map(({ entity_id, attributes }) => {
      const entry = entries[entity_id];
      const ownName = typeof attributes.friendly_name === "string" ? attributes.friendly_name : "";
      const name = spoken(ownName) || entity_id.slice(entity_id.indexOf(".") + 1).replaceAll("_", " ");
      const deviceClass = attributes.device_class ?? entry?.device_class ?? entry?.original_device_class;
      return {
        id: entity_id,
        name,
        ...given("area", areaOf(entry)),
        ...aliasesOf(name, entry?.aliases),
        ...given("device_class", deviceClass as string | null | undefined),
      };
    }),
    satellites: satellitesOf(entities, areaOf),
  };
}

/** A satellite is known by its entity's id and by its device's. */
function satellitesOf(entities: readonly EntityEntry[], areaOf: (entry: EntityEntry) => string | undefined) {
  const satellites = new Map<string, string>();
  for (const entry of entities) {
    const area = entry.entity_id.startsWith("assist_satellite.") ? areaOf(entry) : undefined;
    if (area === undefined) continue;
    satellites.set(entry.entity_id, area);
    if (entry.device_id) satellites.set(entry.device_id, area);
  }
  return [...satellites].map(([id, area]) => ({ id, area }));
}
