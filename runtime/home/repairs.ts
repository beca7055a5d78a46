/** More of what words know better than the model: where something is meant, how it is called, which value was said. */

import type { Command, SlotValue } from "./answer.ts";
import { CATALOGUE } from "./catalogue.ts";
import { clausesOf } from "./clauses.ts";
import { choiceOf, isForbidden, speaksOfClass } from "./evidence.ts";
import type { Reading } from "./reading.ts";
import { changed } from "./several.ts";
import type { House } from "./types.ts";

/** A sentence that commands are held against. */
export interface Said {
  readonly reading: Reading;
  readonly house: House;
  /** Its words. */
  readonly text: string;
}

const choice = (value: string): SlotValue => ({ kind: "choice", value });
const isPlaced = ({ slots }: Command) => slots.has("name") || slots.has("area") || slots.has("floor");

/** "Dim everything in here" is only here. */
export function here(command: Command, { reading, text }: Said): Command {
  const moves = /^Hass(TurnOn|TurnOff|LightSet|SetPosition|SetVolume|SetVolumeRelative|FanSetSpeed|GetState)$/;
  if (!reading.here || isPlaced(command) || !moves.test(command.intent)) return command;
  return /\b(?:in here|out here|in this room|this room|over here)\b/.test(text)
    ? changed(command, { area: choice("here") })
    : command;
}

const COVERS = Object.keys(CATALOGUE.domains.cover.classes ?? {});

/** "Drapes" are curtains, not shades: the class that is spoken of, where that of the model is not. */
export function spokenClass(command: Command, { house, text }: Said): Command {
  const deviceClass = choiceOf(command, "device_class");
  if (choiceOf(command, "domain") !== "cover" || deviceClass === undefined || speaksOfClass(text, deviceClass))
    return command;
  const spoken = COVERS.filter(
    (one) =>
      speaksOfClass(text, one) &&
      house.entities.some((entity) => entity.domain === "cover" && entity.deviceClass === one),
  );
  return spoken.length === 1 ? changed(command, { device_class: choice(spoken[0]) }) : command;
}

const WHITES: readonly (readonly [RegExp, string])[] = [
  [/\b(?:warm|soft) white\b/, "2700"],
  [/\b(?:cool|cold) white\b/, "4000"],
  [/\bcandle ?light\b/, "1900"],
  [/\bday ?light\b(?! (?:saving|lamp|sensor))/, "6500"],
];

/** "Warm white" is a temperature of light; a colour that no word says is none. */
export function colours(command: Command, { text }: Said): Command {
  if (command.intent !== "HassLightSet") return command;
  const white = WHITES.find(([pattern]) => pattern.test(text))?.[1];
  if (white !== undefined && !/^number$/.test(command.slots.get("brightness")?.kind ?? ""))
    return changed(command, { temperature: choice(white), color: undefined, brightness: undefined });
  const color = choiceOf(command, "color");
  const isSaid = color === undefined || (text.includes(color) && !/\bpitch black\b/.test(text));
  return isSaid ? command : changed(command, { color: undefined });
}

/** What runs through a valve says that it is open; "valves" have no class of covers. */
export function flowing(command: Command, { reading, text }: Said): Command {
  const name = command.slots.get("name");
  if (command.intent !== "HassGetState" || name?.kind !== "name" || choiceOf(command, "state") !== "opening")
    return command;
  const isValve = reading.mentions[name.index]?.candidates.some(
    (candidate) => candidate.kind === "entity" && candidate.entity.domain === "valve",
  );
  return isValve && /\b(?:on|running|flowing|open)\b/.test(text)
    ? changed(command, { state: choice("open") })
    : command;
}

/** "Music off" switches its player off where it was said. */
export function silenced(command: Command, { text }: Said): Command {
  const off =
    /\b(?:music|radio|media|playback|tunes?|stereo|tv|telly|television|speakers?) off\b|\boff (?:the |my |that )?(?:music|radio|media|playback|tunes?|stereo|tv|telly|television|speakers?)\b/;
  if (command.intent !== "HassMediaPause" || !off.test(text) || /\b(?:pause\w*|stop\w*)\b/.test(text)) return command;
  return changed(command, command.slots.has("name") ? {} : { domain: choice("media_player") }, "HassTurnOff");
}

/** "Both robots" are not the one that is called Robot. */
export function plural(command: Command, { reading, text }: Said): Command {
  const name = command.slots.get("name");
  if (name?.kind !== "name" || !/\b(?:both|all|every)\b/.test(text)) return command;
  const { likeness, from, to } = reading.mentions[name.index];
  const said = reading.words.slice(from, to).map((word) => word.text);
  const domain = CATALOGUE.intents[command.intent]?.domain;
  if (likeness === 1 || !said.at(-1)?.endsWith("s") || domain === "homeassistant") return command;
  return changed(command, { name: undefined });
}

/** "Sprinklers off in forty minutes" is a timer that says so when it ends. */
export function delayed(command: Command, { reading, text }: Said): Command {
  if (command.intent !== "HassStartTimer" || command.slots.has("conversation_command") || command.slots.has("name"))
    return command;
  if (/\b(?:timers?|alarm|countdown|remind\w*|wake)\b/.test(text)) return command;
  const span = "(?:\\d+ (?:hours?|minutes?|seconds?)(?: and)? ?)+";
  const first = new RegExp(`^(?:please )?in ${span} ?`).exec(text)?.[0];
  const last = new RegExp(` (?:in|after) ${span}(?:from now|please)?$`).exec(text)?.[0];
  const count = (part: string) => part.trim().split(" ").length;
  const from = first === undefined ? 0 : count(first);
  const to = reading.words.length - (first === undefined && last !== undefined ? count(last) : 0);
  const said = text.split(" ").slice(from, to).join(" ");
  if (
    (first === undefined) === (last === undefined) ||
    !/\b(?:on|off|up|down|open|close|shut|lock|unlock|start|stop|pause|turn|switch|set|dim)\b/.test(said)
  )
    return command;
  return changed(command, { conversation_command: { kind: "text", from, to, exact: true } });
}

const UNIT = /^(hours?|minutes?|seconds?)$/;

/** A number of a duration is of the unit behind it, or behind the next one: "for 5 and 10 minutes" is no command of one timer. */
export function units(command: Command, { reading }: Said): Command {
  if (!/^Hass(Start|Increase|Decrease)Timer$/.test(command.intent)) return command;
  const { words, numbers } = reading;
  const given = new Map<string, SlotValue | undefined>();
  for (const slot of ["hours", "minutes", "seconds"]) {
    const value = command.slots.get(slot);
    if (value?.kind !== "number") continue;
    const at = numbers[value.index];
    const behind = words[at + (/^(?:more|extra|additional|whole)$/.test(words[at + 1]?.text) ? 2 : 1)]?.text ?? "";
    // "An hour and ten."
    if (!UNIT.test(behind) && words[at - 1]?.text === "and" && UNIT.test(words[at - 2]?.text ?? "")) continue;
    const unit = UNIT.exec(behind)?.[1]?.replace(/s?$/, "s");
    if (unit === slot) continue;
    if (unit === undefined || command.slots.has(unit) || given.has(unit)) return { intent: "", slots: new Map() };
    given.set(slot, undefined);
    given.set(unit, value);
  }
  return given.size === 0 ? command : changed(command, Object.fromEntries(given));
}

/** A thermostat that is named exactly, where the command names none; the only one where the room has none. */
export function thermostat(command: Command, { reading, house }: Said): Command {
  if (command.intent !== "HassClimateSetTemperature") return command;
  const index = reading.mentions.findIndex(
    ({ likeness, candidates }) =>
      likeness === 1 && candidates.some((one) => one.kind === "entity" && one.entity.domain === "climate"),
  );
  if (!isPlaced(command) && index >= 0 && reading.mentions.length === 1)
    return changed(command, { name: { kind: "name", index } });
  const climates = house.entities.filter(({ domain }) => domain === "climate");
  return climates.length === 1 && choiceOf(command, "area") === "here"
    ? changed(command, { area: undefined })
    : command;
}

/** "Kill every lamp there" is done where the command before it was. */
export function there(commands: readonly Command[], text: string): Command[] {
  return commands.map((command, i) => {
    const before = commands[i - 1];
    if (!before || isPlaced(command) || !/\bthere\b(?! (?:is|are))/.test(text)) return command;
    return changed(command, { area: before.slots.get("area"), floor: before.slots.get("floor") });
  });
}

const QUOTED = /["“„«][^"”“»]*\b(?:turn|switch|open|close|shut|lock|unlock|start|stop|set|on|off|dim)\b[^"”“»]*["”“»]/i;
/** Who tells what was done, tells it to nobody who should do it. */
const TOLD =
  /^(?:i|we|you|he|she|they|somebody|someone)(?:'ve|'d)? (?:(?:have|had|has|just|already|only|once) )*(?:turned|switched|locked|unlocked|opened|closed|dimmed|lowered|raised|started|stopped|paused|plugged)\b/;
const SURE_PLACES =
  /^(?:house|home|whole|entire|flat|apartment|place|building|morning|evening|afternoon|night|dark|background|meantime|middle|world|hour|minute|moment|room|area|zone|spot|same|way|least|list|shade|blinds?|curtains?|lights?)$/;

/** Whether nothing of it may be done: it is quoted, told of, or about a place that the house does not have. */
export function isNoCommand(commands: readonly Command[], { reading, text }: Said): boolean {
  const free = commands.some(({ intent }) =>
    /^Hass(Broadcast|MediaSearch|ListAdd|ShoppingListAdd|StartTimer)/.test(intent),
  );
  const quote = free ? undefined : QUOTED.exec(reading.text)?.[0];
  if (quote !== undefined && reading.text.replace(quote, "").split(/\s+/).filter(Boolean).length > 1) return true;
  if (TOLD.test(text) && clausesOf(reading).length === 1) return true;
  const everywhere = commands.some(
    (command) => /^Hass(TurnOn|TurnOff|LightSet|SetPosition)$/.test(command.intent) && !isPlaced(command),
  );
  if (!everywhere) return false;
  return [...text.matchAll(/\b(?:in|on) (?:the|my|our) ([\p{L}']+)/gu)].some(([, word]) => {
    const at = reading.words.findIndex((one) => one.text === word);
    const named = reading.mentions.some(({ from, to }) => at >= from && at < to);
    return !named && !SURE_PLACES.test(word);
  });
}

/** The commands without those whose thing stands in a clause that forbids them. */
export function allowed(commands: readonly Command[], reading: Reading): Command[] {
  const forbidden = clausesOf(reading).filter(({ plain }) => isForbidden(plain));
  if (forbidden.length === 0) return [...commands];
  return commands.filter(({ slots }) => {
    if (slots.has("except")) return true;
    const pointed = [...slots.values()].flatMap((value) => (value.kind === "name" ? [value.index] : []));
    return !pointed.some((index) =>
      forbidden.some(({ from, to }) => reading.mentions[index].from >= from && reading.mentions[index].to <= to),
    );
  });
}
