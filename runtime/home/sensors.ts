/**
 * Questions about sensors that are not called by their whole name: "is the washing machine leaking" asks "Washing Machine Leak".
 * A sensor is meant where its class is spoken of and what is left of its name is said.
 */

import type { Command, SlotValue } from "./answer.ts";
import { CATALOGUE } from "./catalogue.ts";
import type { Clause } from "./clauses.ts";
import { classPattern, speaksOfClass } from "./evidence.ts";
import type { Mention } from "./mentions.ts";
import { wordsOf } from "./normalize.ts";
import type { Reading } from "./reading.ts";
import type { Entity, House } from "./types.ts";

const ASKING =
  /^(?:is|are|isn't|aren't|does|do|has|have|did|any|what's|what (?:\w+ )?(?:is|are|does)|how's|how (?:\w+ )?(?:is|are)|check|give me|tell me|read(?: me)?|show me)\b(?! (?:you|i|we|a|an|to|come|many|far|old|big|come|can|could|should|would)\b)/;
/** Questions about the past, about how things are done, or about what sensors do not tell. */
const NOT_NOW =
  /\b(?:was|were|yesterday|ago|last (?:night|week|month|year|time)|earlier|why|how (?:does|do|did|to|can|would|should)|should|could|would|will|tomorrow|work|works|mean|means|cost|broken|lights?|lamps?|blinds?|locked|unlocked|lock)\b/;
/** Of a sensor's name, what says nothing about what it measures. */
const GENERIC = new Set("sensor detector contact alarm monitor meter status state reading level probe the".split(" "));
/** Classes that may be asked of the whole house: "is there a leak anywhere". */
const ANYWHERE = new Set(["moisture", "smoke", "gas", "carbon_monoxide", "tamper", "problem", "safety"]);
const OPENINGS = new Set(["door", "window", "garage_door", "opening"]);
/** Several are asked about: the model reads which. */
const SEVERAL = /\b(?:windows|doors|batteries|sensors|leaks|detectors|all|every|each|which|both)\b/;
const NEGATED = /\b(?:not|n't|isn't|aren't|no longer)\b/;

/** The question of a clause, with the mention that it needs; undefined where it is none. */
export function asked(
  clause: Clause,
  reading: Reading,
  house: House,
): { commands: Command[]; reading?: Reading } | undefined {
  const { plain } = clause;
  const terse = reading.asked && !/^(?:can|could|will|would|who|when|where)\b/.test(plain);
  if (!(ASKING.test(plain) || terse) || NOT_NOW.test(plain)) return undefined;
  const entity = SEVERAL.test(plain) ? undefined : meantBy(clause, reading, house);
  if (!entity) return anywhere(clause, reading, house);
  const mention: Mention = {
    from: clause.from,
    to: clause.to,
    candidates: [{ kind: "entity", entity }],
    likeness: 1,
  };
  const slots = new Map<string, SlotValue>([["name", { kind: "name", index: reading.mentions.length }]]);
  if (entity.domain === "binary_sensor")
    slots.set("state", { kind: "choice", value: stateIn(plain, entity.deviceClass!) });
  return {
    commands: [{ intent: "HassGetState", slots }],
    reading: { ...reading, mentions: [...reading.mentions, mention] },
  };
}

function anywhere({ plain, text }: Clause, { mentions }: Reading, house: House) {
  if (mentions.length > 0 || text.includes("@") || !/\b(?:any|anywhere|there)\b/.test(plain)) return undefined;
  const classes = new Set(
    house.entities
      .filter(({ domain, deviceClass = "" }) => domain === "binary_sensor" && ANYWHERE.has(deviceClass))
      .map(({ deviceClass }) => deviceClass!)
      .filter((one) => speaksOfClass(plain, one)),
  );
  const [deviceClass] = classes;
  if (classes.size !== 1) return undefined;
  const choices = { domain: "binary_sensor", device_class: deviceClass, state: stateIn(plain, deviceClass) };
  const slots = new Map(
    Object.entries(choices).map(([slot, value]): [string, SlotValue] => [slot, { kind: "choice", value }]),
  );
  return { commands: [{ intent: "HassGetState", slots }] };
}

/** The only sensor whose class is spoken of and whose other words are said. */
function meantBy(clause: Clause, reading: Reading, house: House): Entity | undefined {
  const said = new Set(clause.plain.split(" ").map(stem));
  const inClause = reading.mentions.filter(({ from, to }) => from >= clause.from && to <= clause.to);
  const things = inClause.flatMap(({ candidates }) =>
    candidates.flatMap((candidate) => (candidate.kind === "entity" ? [candidate.entity] : [])),
  );
  let best: Entity | undefined;
  let most = 0;
  let twice = false;
  for (const entity of sensorsOf(house)) {
    const { deviceClass, domain } = entity;
    if (deviceClass === undefined || !speaksOfClass(clause.plain, deviceClass)) continue;
    // What moves by itself tells its own state; a lock does not know whether its door is open.
    if (OPENINGS.has(deviceClass) && things.some((thing) => thing.domain === "cover" || thing.domain === "valve"))
      continue;
    if (domain === "sensor" && deviceClass === "temperature" && !things.includes(entity)) continue;
    for (const words of subjectsOf(entity)) {
      const weight = words.length;
      if (weight === 0 || weight < most || !words.every((word) => said.has(word))) continue;
      twice = weight === most && best !== entity;
      most = weight;
      best = entity;
    }
  }
  return twice ? undefined : best;
}

const sensors = new WeakMap<House, Entity[]>();

function sensorsOf(house: House): Entity[] {
  let known = sensors.get(house);
  if (!known) {
    known = house.entities.filter(({ domain }) => domain === "sensor" || domain === "binary_sensor");
    sensors.set(house, known);
  }
  return known;
}

const subjects = new WeakMap<Entity, string[][]>();

/** What the names of a sensor say beside its class, as stems. */
function subjectsOf(entity: Entity): string[][] {
  let known = subjects.get(entity);
  if (!known) {
    const pattern = classPattern(entity.deviceClass!);
    known = [entity.name, ...entity.aliases].map((name) =>
      wordsOf(name)
        .map(({ text }) => text)
        .join(" ")
        .replace(pattern, " ")
        .split(" ")
        .filter((word) => word !== "" && !GENERIC.has(word))
        .map(stem),
    );
    subjects.set(entity, known);
  }
  return known;
}

function stem(word: string): string {
  return word.replace(/'s?$/, "").replace(/(?<=...)s$/, "");
}

/** "on" or "off", by the words of the class. */
function stateIn(plain: string, deviceClass: string): string {
  const { off = [], on = [] } = CATALOGUE.domains.binary_sensor.classes?.[deviceClass]?.states ?? {};
  const says = (words: readonly string[]) => words.some((word) => new RegExp(`\\b${word}\\b`).test(plain));
  const shut = /\b(?:shut|closed|off|clear|empty|dry)\b/.test(plain);
  const state = (says(off) || shut) && !says(on) ? "off" : "on";
  return NEGATED.test(plain) && !/^(?:isn't|aren't)/.test(plain) ? { on: "off", off: "on" }[state] : state;
}
