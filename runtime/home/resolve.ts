/**
 * From what the model pointed at to what Home Assistant executes: names as the house spells them, rooms that were only meant,
 * exceptions spelled out, values that make sense. What cannot be done as it was said is not done at all.
 */

import { type Command, isText, type SlotValue } from "./answer.ts";
import { CATALOGUE } from "./catalogue.ts";
import type { Candidate } from "./mentions.ts";
import type { Reading } from "./reading.ts";
import { nameDomains } from "./shape.ts";
import { whole, withoutVerb } from "./stretches.ts";
import type { Area, Entity, Floor, House, Intent } from "./types.ts";

/** What "dim the lamp" sets, in percent; Home Assistant has no "less". */
const DIMMED = 30;
const MOST_EXCEPTED = 64;
const NOT_SWITCHED = new Set([
  "sensor",
  "binary_sensor",
  "person",
  "weather",
  "todo",
  "sun",
  "zone",
  "device_tracker",
  "event",
  "image",
  "calendar",
]);
/** Of these, at least one slot must be there. */
const ONE_OF: Readonly<Record<string, readonly string[]>> = {
  HassLightSet: ["brightness", "color", "temperature"],
  HassStartTimer: ["hours", "minutes", "seconds"],
  HassIncreaseTimer: ["hours", "minutes", "seconds"],
  HassDecreaseTimer: ["hours", "minutes", "seconds"],
  HassTurnOn: ["name", "area", "floor", "domain", "device_class"],
  HassTurnOff: ["name", "area", "floor", "domain", "device_class"],
  HassGetState: ["name", "domain", "device_class"],
};

export interface Place {
  area?: Area;
  floor?: Floor;
}

type Slots = Record<string, string | number>;

interface Resolved {
  name: string;
  slots: Slots;
  except?: Candidate;
}

/** Undefined where some command cannot be carried out as it was said. */
export function resolve(
  commands: readonly Command[],
  text: string,
  reading: Reading,
  house: House,
  heard: Area | undefined,
): Intent[] | undefined {
  const intents: Intent[] = [];
  for (const command of commands) {
    const resolved = new Resolver(text, reading, house, heard).command(command);
    if (!resolved) return undefined;
    const { except, ...plain } = resolved;
    if (!except) intents.push(plain);
    else {
      const rest = allBut(plain, except, house);
      if (!rest) return undefined;
      intents.push(...rest);
    }
  }
  const seen = new Set<string>();
  return intents.filter((intent) => {
    const key = JSON.stringify(intent);
    return !seen.has(key) && seen.add(key);
  });
}

class Resolver {
  constructor(
    private readonly text: string,
    private readonly reading: Reading,
    private readonly house: House,
    private readonly heard: Area | undefined,
  ) {}

  command({ intent, slots }: Command): Resolved | undefined {
    const info = CATALOGUE.intents[intent];
    if (!info) return undefined;
    const list = this.listOf(intent);
    if (list)
      return this.command({
        intent: intent.replace("ShoppingList", "List"),
        slots: new Map([...slots, ["name", list]]),
      });
    const place = this.place(slots);
    const out: Record<string, string | number> = {};
    let except: Candidate | undefined;
    for (const [slot, value] of slots) {
      if (slot === "area" || slot === "floor" || slot === "name" || slot === "except") continue;
      const said = this.value(slot, value);
      if (said === undefined) return undefined;
      const range = info.slots[slot]?.range;
      if (range && typeof said === "number" && (said < range.from || said > range.to)) return undefined;
      out[slot] = said;
    }
    const name = slots.get("name");
    if (name && isText(intent, "name")) out.name = this.stretch("name", name);
    else if (name) {
      const entity = this.entity(intent, name, place);
      if (!entity) return undefined;
      out.name = entity.name;
      const elsewhere = entity.area !== undefined && entity.area !== place.area?.id;
      if (elsewhere && intent !== "HassVacuumCleanArea") place.area = undefined;
      if (this.shared(entity)) place.area ??= this.house.areas.find(({ id }) => id === entity.area);
    }
    if (place.area) out.area = place.area.name;
    if (place.floor) out.floor = place.floor.name;
    const excepted = slots.get("except");
    if (excepted?.kind === "name") except = this.reading.mentions[excepted.index]?.candidates[0];
    if (Object.entries(info.slots).some(([slot, { required }]) => required && out[slot] === undefined))
      return undefined;
    if (ONE_OF[intent] && !ONE_OF[intent].some((slot) => out[slot] !== undefined)) return undefined;
    return { name: intent, slots: ordered(out), ...(except && { except }) };
  }

  /** The list that the sentence calls a shopping list, where it is called otherwise: Home Assistant's own is another one. */
  private listOf(intent: string): SlotValue | undefined {
    if (!intent.startsWith("HassShoppingList")) return undefined;
    const index = this.reading.mentions.findIndex(({ candidates: [candidate] }) => {
      return (
        candidate.kind === "entity" &&
        candidate.entity.domain === "todo" &&
        !/shopping.?list/i.test(candidate.entity.id + candidate.entity.name)
      );
    });
    return index < 0 ? undefined : { kind: "name", index };
  }

  /** The area and floor that are named, or the room in which it was heard where that is meant. */
  private place(slots: Command["slots"]): Place {
    const place: Place = {};
    for (const slot of ["area", "floor"]) {
      const value = slots.get(slot);
      if (value?.kind === "choice") place.area = this.heard;
      if (value?.kind !== "name") continue;
      const candidates = this.reading.mentions[value.index]?.candidates ?? [];
      const found = candidates.find(({ kind }) => kind === slot) ?? candidates.find(({ kind }) => kind !== "entity");
      if (found?.kind === "area") place.area = found.area;
      if (found?.kind === "floor") place.floor = found.floor;
    }
    return place;
  }

  /** Of the things that are called so, the one that is meant: of the intent's kind, in the place that is named, near. */
  private entity(intent: string, value: SlotValue, { area, floor }: Place): Entity | undefined {
    if (value.kind !== "name") return undefined;
    const domains = nameDomains(intent);
    const entities = (this.reading.mentions[value.index]?.candidates ?? []).flatMap((candidate) =>
      candidate.kind === "entity" ? [candidate.entity] : [],
    );
    const switched = /^HassTurn/.test(intent) ? entities.filter(({ domain }) => !NOT_SWITCHED.has(domain)) : entities;
    const fitting = switched.filter(({ domain }) => !domains || domains.has(domain));
    const floorOf = (entity: Entity) => this.house.areas.find(({ id }) => id === entity.area)?.floor;
    const near = [
      (entity: Entity) => area !== undefined && entity.area === area.id,
      (entity: Entity) => floor !== undefined && floorOf(entity) === floor.id,
      (entity: Entity) => area === undefined && this.heard !== undefined && entity.area === this.heard.id,
      (entity: Entity) => area === undefined && this.heard?.floor !== undefined && floorOf(entity) === this.heard.floor,
      () => true,
    ];
    for (const test of near) {
      const [found, other] = fitting.filter(test);
      // Two of one name, as near: whoever said it knows which is meant, nobody else.
      if (found && other?.area !== undefined && other.area !== found.area) return undefined;
      if (found) return found;
    }
    return undefined;
  }

  /** Whether another entity has the same name. */
  private shared(entity: Entity): boolean {
    return isShared(entity, this.house);
  }

  private value(slot: string, value: SlotValue): string | number | undefined {
    if (value.kind === "text") return this.stretch(slot, value);
    if (value.kind === "number") {
      const number = this.reading.words[this.reading.numbers[value.index]]?.value;
      return number === undefined ? undefined : value.minus ? -number : number;
    }
    if (value.kind !== "choice") return undefined;
    if (slot === "brightness") return { max: 100, min: 1, dim: DIMMED }[value.value] ?? Number(value.value);
    return /^\d+$/.test(value.value) ? Number(value.value) : value.value;
  }

  /** A stretch of the sentence, as it was given. */
  private stretch(slot: string, value: SlotValue): string {
    if (value.kind !== "text") return "";
    const { words } = this.reading;
    const { from, to } = whole(slot, value, this.text, this.reading);
    return withoutVerb(this.text.slice(words[from].from, words[to - 1].to), words[to]?.text);
  }
}

function isShared({ id, name, domain }: Entity, house: House): boolean {
  return house.entities.some((other) => other.id !== id && other.name === name && other.domain === domain);
}

const ORDER = ["name", "area", "floor", "domain", "device_class"];

function ordered(slots: Record<string, string | number>): Record<string, string | number> {
  const rank = (slot: string) => (ORDER.includes(slot) ? ORDER.indexOf(slot) : ORDER.length);
  return Object.fromEntries(Object.entries(slots).sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1)));
}

/** The same intent for everything that it means but one thing: rooms as a whole where nothing of them is left out. */
function allBut(
  { name, slots }: { name: string; slots: Slots },
  except: Candidate,
  house: House,
): Intent[] | undefined {
  const { area: areaName, floor: floorName, domain, device_class: deviceClass, ...rest } = slots;
  const left = (entity: Entity) =>
    except.kind === "entity"
      ? entity.id === except.entity.id
      : except.kind === "area" && entity.area === except.area.id;
  const areaOf = (entity: Entity) => house.areas.find(({ id }) => id === entity.area);
  const meant = house.entities.filter((entity) => {
    if (domain !== undefined && entity.domain !== domain) return false;
    if (deviceClass !== undefined && entity.deviceClass !== deviceClass) return false;
    const area = areaOf(entity);
    if (areaName !== undefined && area?.name !== areaName) return false;
    return floorName === undefined || house.floors.find(({ id }) => id === area?.floor)?.name === floorName;
  });
  if (!meant.some(left)) return undefined; // it would be no exception
  const intents: Intent[] = [];
  const targets = {
    ...(domain !== undefined && { domain }),
    ...(deviceClass !== undefined && { device_class: deviceClass }),
  };
  const byArea = new Map<Area | undefined, Entity[]>();
  for (const entity of meant) {
    const area = areaOf(entity);
    byArea.set(area, [...(byArea.get(area) ?? []), entity]);
  }
  for (const [area, entities] of byArea) {
    if (area && !entities.some(left)) intents.push({ name, slots: ordered({ ...rest, area: area.name, ...targets }) });
    else {
      for (const entity of entities.filter((one) => !left(one))) {
        const named: Slots = { ...rest, name: entity.name };
        if (area && isShared(entity, house)) named.area = area.name;
        intents.push({ name, slots: ordered(named) });
      }
    }
  }
  return intents.length > 0 && intents.length <= MOST_EXCEPTED ? intents : undefined;
}
