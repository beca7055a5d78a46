/** Plain commands: what is done, how it is said, and to what kind of thing it can be done. */

import type { Command, SlotValue } from "./answer.ts";
import type { Clause } from "./clauses.ts";
import type { Reading } from "./reading.ts";

export interface Deed {
  readonly intent: string;
  /** Domains of the things that it is done to. */
  readonly domains: ReadonlySet<string>;
  /** Whether the thing may also be called as a room or a floor is. */
  readonly shared?: boolean;
}

const set = (words: string) => new Set(words.split(" "));
const SWITCHED = "light switch fan climate media_player input_boolean humidifier water_heater siren";
const DEEDS = {
  on: { intent: "HassTurnOn", domains: set(`${SWITCHED} scene script automation`) },
  off: { intent: "HassTurnOff", domains: set(`${SWITCHED} valve automation`) },
  open: { intent: "HassTurnOn", domains: set("cover valve"), shared: true },
  close: { intent: "HassTurnOff", domains: set("cover valve"), shared: true },
  up: { intent: "HassTurnOn", domains: set("cover"), shared: true },
  down: { intent: "HassTurnOff", domains: set("cover"), shared: true },
  lock: { intent: "HassTurnOn", domains: set("lock") },
  unlock: { intent: "HassTurnOff", domains: set("lock") },
  run: { intent: "HassTurnOn", domains: set("scene script button input_button") },
  pause: { intent: "HassMediaPause", domains: set("media_player") },
  mute: { intent: "HassMediaPlayerMute", domains: set("media_player") },
  unmute: { intent: "HassMediaPlayerUnmute", domains: set("media_player") },
  clean: { intent: "HassVacuumStart", domains: set("vacuum") },
} as const satisfies Record<string, Deed>;

const THING = "(?:the |my |our |that |this |those |these )*@(\\d)";
const SWITCH = "(?:turn|switch|put|flick|flip|power|stick|pop|whack|get|have|shut|knock|bung|chuck)(?: back)?";
const frame = (pattern: string) => new RegExp(`^${pattern.replace("THING", THING).replace("SWITCH", SWITCH)}$`);
const FRAMES: readonly (readonly [RegExp, keyof typeof DEEDS])[] = [
  [frame("SWITCH on THING"), "on"],
  [frame("SWITCH THING (?:back )?on"), "on"],
  [frame("THING (?:back )?on"), "on"],
  [frame("SWITCH (?:off|down) THING"), "off"],
  [frame("SWITCH THING (?:back )?off"), "off"],
  [frame("THING (?:back )?off"), "off"],
  [frame("(?:kill|douse|cut) THING"), "off"],
  [frame("open(?: up)? THING(?: up)?"), "open"],
  [frame("(?:close|shut)(?: up)? THING(?: up)?"), "close"],
  [frame("THING (?:closed|shut)"), "close"],
  [frame("(?:raise|lift|roll up|wind up|pull up) THING"), "up"],
  [frame("(?:roll|wind|pull) THING up"), "up"],
  [frame("(?:lower|roll down|wind down|pull down) THING"), "down"],
  [frame("(?:roll|wind|pull) THING down"), "down"],
  [frame("lock(?: up)? THING"), "lock"],
  [frame("unlock THING"), "unlock"],
  [frame("(?:run|activate|trigger|press|push|execute|start) THING"), "run"],
  [frame("(?:press|push|hit) THING"), "run"],
  [frame("(?:pause|stop) THING"), "pause"],
  [frame("mute THING"), "mute"],
  [frame("unmute THING"), "unmute"],
  [frame("start THING"), "clean"],
];
/** A thing and nothing else. */
const ALONE = frame("THING");
/** What is said to be so, and will be "it". */
const STATED: readonly RegExp[] = [
  frame(
    "(?:i|we|you|he|she|they|someone|somebody)(?:'ve)? (?:(?:just|have|has) )*(?:left|forgot) THING (?:on|open|off|unlocked|running|up|down)",
  ),
  frame("THING (?:is|are|was|has been|is still|are still|isn't) (?:\\S+ ?){1,3}"),
];
const WHERE = frame(
  "where(?:'s| is| are)?(?: on earth| in the world| the heck| the hell)?(?: is| are)? THING(?: right| at)?",
);
const NUMBER =
  "(?:about |around |exactly )?(?<number>-?\\d+(?:\\.\\d+)?)(?: (?<unit>percent|degrees|kelvin)(?: celsius| fahrenheit)?)?";
const VALUES: readonly RegExp[] = [
  frame(
    `(?:(?:set|put|make|turn|bring|take|get|dim|lower|raise)(?: up| down)? )?THING (?:(?:up|down|back) )?(?:to|at|on) ${NUMBER}`,
  ),
  frame(`(?:(?:set|put|make) )?THING ${NUMBER}`),
  frame(`${NUMBER} (?:for|in|on) THING`),
];
/** What a plain number sets, by the domain of the thing; and the units that fit. */
const SETTINGS: Readonly<Record<string, { intent: string; slot: string; units: RegExp }>> = {
  climate: { intent: "HassClimateSetTemperature", slot: "temperature", units: /^(?:degrees|)$/ },
  light: { intent: "HassLightSet", slot: "brightness", units: /^(?:percent|)$/ },
  cover: { intent: "HassSetPosition", slot: "position", units: /^(?:percent|)$/ },
  valve: { intent: "HassSetPosition", slot: "position", units: /^(?:percent|)$/ },
  fan: { intent: "HassFanSetSpeed", slot: "percentage", units: /^percent$/ },
};

const named = (intent: string, index: number, more: readonly [string, SlotValue][] = []): Command => ({
  intent,
  slots: new Map<string, SlotValue>([["name", { kind: "name", index }], ...more]),
});

export const done = ({ intent }: Deed, index: number, area?: number): Command =>
  named(intent, index, area === undefined ? [] : [["area", { kind: "name", index: area }]]);

const indexIn = (pattern: RegExp, text: string): number | undefined => {
  const index = pattern.exec(text)?.[1];
  return index === undefined ? undefined : Number(index);
};

/** The mention of a clause that only says how it is. */
export const statedIn = ({ text }: Clause): number | undefined =>
  STATED.map((pattern) => indexIn(pattern, text)).find((index) => index !== undefined);

/** The mention that is all of a clause. */
export const aloneIn = ({ text }: Clause): number | undefined => indexIn(ALONE, text);

/** Whether the deed can be done to what is named, which is named exactly and is of no other kind. */
export function fits({ domains, shared }: Deed, index: number, { mentions }: Reading): boolean {
  const { candidates, likeness } = mentions[index];
  const things = candidates.filter(({ kind }) => kind === "entity");
  const isOf = (candidate: (typeof candidates)[number]) =>
    candidate.kind === "entity" && domains.has(candidate.entity.domain);
  if (likeness < 1 || things.length === 0) return false;
  return shared ? things.some(isOf) : things.length === candidates.length && things.every(isOf);
}

export interface Done {
  readonly deed: Deed;
  /** The mention of what it is done to, and of the room that it is in where that is said. */
  readonly index: number;
  readonly area?: number;
}

const IN_PLACE = /^(.*@\d.*?) (?:in|on|at|from|of) (?:the |my |our )*@(\d)(.*)$/;

/** The deed of a clause. `text` as in the clause. */
export function deedIn(text: string, reading: Reading): Done | undefined {
  for (const [pattern, name] of FRAMES) {
    const index = indexIn(pattern, text);
    const deed: Deed = DEEDS[name];
    if (index !== undefined && fits(deed, index, reading)) return { deed, index };
  }
  const [, before, place, after] = IN_PLACE.exec(text) ?? [];
  const found = place === undefined ? undefined : deedIn(before + after, reading);
  return found && isIn(found.index, Number(place), reading) ? { ...found, area: Number(place) } : undefined;
}

/** Whether something that is called so stands in the room. */
function isIn(thing: number, place: number, { mentions }: Reading): boolean {
  const areas = mentions[place].candidates.flatMap((one) => (one.kind === "area" ? [one.area.id] : []));
  return mentions[thing].candidates.some(
    (one) => one.kind === "entity" && one.entity.area !== undefined && areas.includes(one.entity.area),
  );
}

/** A thing set to a number, or a person who is looked for. */
export function settingIn({ text, from, to }: Clause, reading: Reading): Command | undefined {
  const person = indexIn(WHERE, text);
  if (person !== undefined && fits({ intent: "", domains: set("person") }, person, reading))
    return named("HassGetState", person);
  for (const pattern of VALUES) {
    const found = pattern.exec(text);
    if (!found) continue;
    const { number, unit = "" } = found.groups!;
    const thing = Number(/@(\d)/.exec(text)![1]);
    const [domain] = Object.keys(SETTINGS).filter((one) => fits({ intent: "", domains: set(one) }, thing, reading));
    const setting = SETTINGS[domain ?? ""];
    const at = reading.numbers.findIndex((i) => i >= from && i < to && reading.words[i].text === number);
    if (!setting?.units.test(unit) || at < 0) return undefined;
    return named(setting.intent, thing, [[setting.slot, { kind: "number", index: at, minus: false }]]);
  }
  return undefined;
}
