/**
 * What an intent does in a house. Home Assistant expands name, area, floor, domain and device class to entities; two answers
 * have the same effect when they do the same to the same entities, however they name them.
 */

import type { Area, Entity, House } from "../../devices/node/home/index.ts";
import { called, fold } from "./house.ts";

/** Only labels hold ranges: any number from `min` to `max` is right. */
export interface Range {
  readonly min: number;
  readonly max: number;
}
export type SlotValue = string | number | boolean | readonly string[] | Range;
export interface Intent {
  readonly name: string;
  readonly slots: Readonly<Record<string, SlotValue>>;
}

/** One deed: an intent on one target, with its other values, normalized. */
interface Deed {
  readonly intent: string;
  /** An entity's or an area's id; "" where the intent has no target; in angle brackets what Home Assistant cannot execute. */
  readonly target: string;
  readonly values: Readonly<Record<string, SlotValue>>;
}

/** Domains of the entities that an intent acts on; an intent that is not here has no entities. */
const DOMAINS: Readonly<Record<string, readonly string[] | undefined>> = {
  HassTurnOn: undefined,
  HassTurnOff: undefined,
  HassGetState: undefined,
  HassSetPosition: ["cover", "valve"],
  HassLightSet: ["light"],
  HassFanSetSpeed: ["fan"],
  HassClimateSetTemperature: ["climate"],
  HassClimateSetFanMode: ["climate"],
  HassClimateGetTemperature: ["climate", "sensor"],
  HassVacuumStart: ["vacuum"],
  HassVacuumReturnToBase: ["vacuum"],
  HassLawnMowerStartMowing: ["lawn_mower"],
  HassLawnMowerDock: ["lawn_mower"],
  HassMediaPause: ["media_player"],
  HassMediaUnpause: ["media_player"],
  HassMediaNext: ["media_player"],
  HassMediaPrevious: ["media_player"],
  HassMediaPlayerMute: ["media_player"],
  HassMediaPlayerUnmute: ["media_player"],
  HassMediaSearchAndPlay: ["media_player"],
  HassSetVolume: ["media_player"],
  HassSetVolumeRelative: ["media_player"],
  HassGetWeather: ["weather"],
  HassListAddItem: ["todo"],
  HassListCompleteItem: ["todo"],
  HassListRemoveItem: ["todo"],
};
/** What "everything in the room" does not mean: it cannot be switched, or it is more than a room. */
const NOT_SWITCHED =
  /^(sensor|binary_sensor|person|weather|todo|camera|button|input_button|scene|script|automation|calendar)$/;
/** Intents that Home Assistant executes only if exactly one entity is meant. */
const ONE_TARGET = /^HassClimate(SetTemperature|GetTemperature)$/;
const TARGETING = ["name", "area", "floor", "domain", "device_class"];
const SECONDS: Readonly<Record<string, number>> = { hours: 3600, minutes: 60, seconds: 1 };

const listOf = (value: SlotValue | undefined): string[] =>
  value === undefined ? [] : (Array.isArray(value) ? value : [value]).map((item) => fold(String(item)));
const isRange = (value: SlotValue): value is Range => typeof value === "object" && !Array.isArray(value);

/** Free text as a person compares it: without case, punctuation at the ends, a leading article. */
const plain = (text: string): string =>
  fold(text)
    .replace(/[’‘]/g, "'")
    .replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, "")
    .replace(/^(please|to|some|a|an|the|my)\s+/, "")
    .replace(/\s+/g, " ");

/** Every value but those that choose the target; durations in seconds, numbers as numbers. */
function valuesOf({ name, slots }: Intent): Record<string, SlotValue> {
  const targeting = name in DOMAINS || name === "HassVacuumCleanArea" ? TARGETING : ["area"];
  const values: Record<string, SlotValue> = {};
  for (const [slot, value] of Object.entries(slots)) {
    const [, start = "", unit = ""] = /^(start_)?(hours|minutes|seconds)$/.exec(slot) ?? [];
    if (targeting.includes(slot) || slot === "response" || slot.startsWith("preferred_")) continue;
    if (unit !== "") {
      const total = `${start}seconds`;
      values[total] = ((values[total] as number | undefined) ?? 0) + Number(value) * SECONDS[unit];
    } else if (isRange(value)) values[slot] = value;
    else if (Array.isArray(value)) values[slot] = listOf(value).sort().join(" ");
    else values[slot] = value !== "" && Number.isFinite(Number(value)) ? Number(value) : plain(String(value));
  }
  return values;
}

/** Areas that the area and floor slots leave; undefined = anywhere. */
function areasOf(house: House, slots: Intent["slots"]): readonly Area[] | undefined {
  if (slots.area === undefined && slots.floor === undefined) return undefined;
  const floors = slots.floor === undefined ? undefined : called(house.floors, String(slots.floor));
  const areas = slots.area === undefined ? house.areas : called(house.areas, String(slots.area));
  return areas.filter(({ floor }) => floors === undefined || floors.some(({ id }) => id === floor));
}

/** The entities nearest to where the sentence was said: same area, otherwise same floor, otherwise all. */
function nearest(entities: readonly Entity[], house: House, here: Area | undefined): readonly Entity[] {
  if (here === undefined || entities.length < 2) return entities;
  const near = (test: (area: Area) => boolean) =>
    entities.filter((entity) => house.areas.some((area) => area.id === entity.area && test(area)));
  const sameFloor = here.floor === undefined ? [] : near(({ floor }) => floor === here.floor);
  return [near(({ id }) => id === here.id), sameFloor, entities].find(({ length }) => length > 0)!;
}

/** Entities that an intent acts on. */
function entitiesOf(house: House, { name, slots }: Intent, here: Area | undefined): readonly Entity[] | string {
  const named = slots.name !== undefined && fold(String(slots.name)) !== "all";
  const domains = slots.domain === undefined ? DOMAINS[name] : listOf(slots.domain);
  const classes = listOf(slots.device_class);
  const areas = areasOf(house, slots);
  const all = (named ? called(house.entities, String(slots.name)) : house.entities).filter(
    (entity) =>
      (domains?.includes(entity.domain) ?? (named || name === "HassGetState" || !NOT_SWITCHED.test(entity.domain))) &&
      (classes.length === 0 || classes.includes(entity.deviceClass ?? "")) &&
      (areas === undefined || areas.some(({ id }) => id === entity.area)),
  );
  if (name === "HassGetWeather") return all.slice(0, 1);
  if (name === "HassClimateGetTemperature" && !named) return thermometers(all, house, here);
  if (!named && !ONE_TARGET.test(name)) return all;
  const chosen = nearest(all, house, here);
  return chosen.length > 1 ? `<more than one ${slots.name ?? name}>` : chosen;
}

/** What answers "how warm is it": the thermostat, otherwise a sensor of temperature. */
function thermometers(all: readonly Entity[], house: House, here: Area | undefined): readonly Entity[] | string {
  const climates = all.filter((entity) => entity.domain === "climate");
  const sensors = all.filter((entity) => entity.deviceClass === "temperature");
  const chosen = nearest(climates.length > 0 ? climates : sensors, house, here);
  return chosen.length > 1 ? "<more than one thermometer>" : chosen;
}

function deedsOf(house: House, given: Intent, here: Area | undefined): Deed[] {
  const intent = onList(house, given);
  const values = valuesOf(intent);
  const one = (target: string): Deed[] => [{ intent: intent.name, target, values }];
  if (intent.name === "HassVacuumCleanArea") {
    const area = areasOf(house, intent.slots)?.[0]?.id ?? "<no such area>";
    const robot =
      intent.slots.name === undefined ? undefined : called(house.entities, String(intent.slots.name))[0]?.id;
    const robots = house.entities.filter((entity) => entity.domain === "vacuum");
    return one(`${area} ${robots.length === 1 ? robots[0].id : (robot ?? "any robot")}`);
  }
  if (!(intent.name in DOMAINS)) {
    const area = intent.slots.area === undefined ? "" : (areasOf(house, intent.slots)?.[0]?.id ?? "<no such area>");
    return one(area);
  }
  const entities = entitiesOf(house, intent, here);
  if (typeof entities === "string") return one(entities);
  return entities.length === 0 ? one("<nothing>") : entities.flatMap(({ id }) => one(id));
}

/** The shopping list is a to-do list where the house has it as one: both intents reach it. */
function onList(house: House, { name, slots }: Intent): Intent {
  const verb = /^HassShoppingList(AddItem|CompleteItem)$/.exec(name)?.[1];
  if (verb === undefined || !house.entities.some(({ id }) => id === "todo.shopping_list")) return { name, slots };
  return { name: `HassList${verb}`, slots: { ...slots, name: "todo.shopping_list" } };
}

/** What a list of intents does: every deed once, except those without a target, which may be wanted twice (two timers). */
function effectOf(house: House, intents: readonly Intent[], area: string | undefined): Deed[] {
  const here = area === undefined ? undefined : called(house.areas, area)[0];
  const seen = new Set<string>();
  return intents
    .flatMap((intent) => deedsOf(house, intent, here))
    .filter((deed) => {
      const key = JSON.stringify([deed.intent, deed.target, Object.entries(deed.values).sort()]);
      if (deed.target !== "" && seen.has(key)) return false;
      seen.add(key);
      return true;
    });
}

function sameDeed(wanted: Deed, given: Deed): boolean {
  if (wanted.intent !== given.intent || wanted.target !== given.target) return false;
  const slots = Object.keys(wanted.values);
  if (slots.length !== Object.keys(given.values).length) return false;
  return slots.every((slot) => {
    const [want, have] = [wanted.values[slot], given.values[slot]];
    return isRange(want) ? typeof have === "number" && have >= want.min && have <= want.max : want === have;
  });
}

/** Whether `given` does in `house` what `wanted` does, said in `area`. */
export function sameEffect(
  house: House,
  wanted: readonly Intent[],
  given: readonly Intent[],
  area: string | undefined,
): boolean {
  const left = effectOf(house, given, area);
  const wants = effectOf(house, wanted, area);
  if (left.length !== wants.length) return false;
  return wants.every((want) => {
    const at = left.findIndex((have) => sameDeed(want, have));
    if (at >= 0) left.splice(at, 1);
    return at >= 0;
  });
}

/** Faults of a label: intents that Home Assistant could not execute in this house. */
export const impossible = (house: House, intents: readonly Intent[], area: string | undefined): string[] =>
  effectOf(house, intents, area)
    .filter(({ target }) => target.includes("<"))
    .map(({ intent, target }) => `${intent} ${target}`);
