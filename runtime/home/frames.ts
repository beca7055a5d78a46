/**
 * Sentences that words alone settle: every clause is a plain command whose thing is named exactly, or talk beside it ("kettle
 * on, I'm parched"). They need no model, which is small and at times unsure of the plainest ones.
 */

import type { Command, SlotValue } from "./answer.ts";
import { type Clause, clausesOf } from "./clauses.ts";
import { isForbidden } from "./evidence.ts";
import { listed } from "./lists.ts";
import type { Reading } from "./reading.ts";
import { asked } from "./sensors.ts";
import { timed } from "./timers.ts";
import type { House } from "./types.ts";

interface Deed {
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
const ALONE = frame("THING");
/** What no talk beside a command holds: it would be a command, a condition, an exception or a report. */
const NO_TALK =
  /@|\d|\b(?:turn\w*|switch\w*|put|open\w*|clos\w+|shut|lock\w*|unlock\w*|start|stop|set|play|pause|dim\w*|raise|lower|run|activate|clean|vacuum|mow|add|remove|make|kill|mute|press|push|tick|cross|cancel|leave|on|off|up|down|lights?|lamps?|blinds?|timers?|alarms?|lists?|weather|temperature|heating|volume|music|everything|all|every|each|both|other|others|another|instead|same|if|when|whenever|unless|until|till|while|after|before|once|only|not|never|don't|doesn't|didn't|shouldn't|except|without|apart|said|says|say|told|tells|tell|asked|asks|heard|tomorrow|later|tonight|wait|no|actually|forget|nevermind|mind|who|what|where|which|how|whether)\b/;
const QUOTES = /["“”„«»]/;

/** What a sentence that needs no model means; undefined for every other. */
export function framed(
  reading: Reading,
  text: string,
  house: House,
): { commands: Command[]; reading: Reading } | undefined {
  if (QUOTES.test(text) || isForbidden(reading.words.map((word) => word.text).join(" "))) return undefined;
  const clauses = clausesOf(reading, text);
  const items = listed(clauses, reading);
  if (items) return { commands: items, reading };
  const commands: Command[] = [];
  const things: number[] = [];
  let deed: Deed | undefined;
  let read = reading;
  for (const clause of clauses) {
    const here = readClause(clause, read, house);
    if (here?.deed) {
      if (things.some((index) => !fits(here.deed!, index, read))) return undefined;
      for (const index of [...things.splice(0), here.index!]) commands.push(done(here.deed, index));
      deed = here.deed;
    } else if (here) {
      if (here.reading) read = here.reading;
      commands.push(...here.commands!);
    } else {
      const index = indexIn(ALONE, clause);
      if (index !== undefined && deed && fits(deed, index, read)) commands.push(done(deed, index));
      else if (index !== undefined) things.push(index);
      else if (NO_TALK.test(clause.text)) return undefined;
    }
  }
  return commands.length > 0 && things.length === 0 ? { commands, reading: read } : undefined;
}

interface ReadClause {
  deed?: Deed;
  index?: number;
  commands?: Command[];
  /** With what the clause names without saying its whole name. */
  reading?: Reading;
}

function readClause(clause: Clause, reading: Reading, house: House): ReadClause | undefined {
  for (const [pattern, name] of FRAMES) {
    const index = indexIn(pattern, clause);
    const deed: Deed = DEEDS[name];
    if (index !== undefined && fits(deed, index, reading)) return { deed, index };
  }
  const commands = timed(clause, reading);
  return commands ? { commands } : asked(clause, reading, house);
}

const indexIn = (pattern: RegExp, { text }: Clause): number | undefined => {
  const index = pattern.exec(text)?.[1];
  return index === undefined ? undefined : Number(index);
};

const done = ({ intent }: Deed, index: number): Command => ({
  intent,
  slots: new Map<string, SlotValue>([["name", { kind: "name", index }]]),
});

/** Whether the deed can be done to what is named, which is named exactly and is of no other kind. */
function fits({ domains, shared }: Deed, index: number, { mentions }: Reading): boolean {
  const { candidates, likeness } = mentions[index];
  const things = candidates.filter(({ kind }) => kind === "entity");
  return (
    likeness === 1 &&
    things.length > 0 &&
    (shared || things.length === candidates.length) &&
    (shared ? things.some(isOf) : things.every(isOf))
  );
  function isOf(candidate: (typeof candidates)[number]): boolean {
    return candidate.kind === "entity" && domains.has(candidate.entity.domain);
  }
}
