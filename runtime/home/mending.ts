/**
 * What words and house know better than a small model: which of two kinds of thing the house has, which way something goes,
 * what is meant where one name is said and none was pointed at. Works on the model's commands, before names become entities.
 */

import type { Command, SlotValue } from "./answer.ts";
import { choiceOf, isEvident, isForbidden, isQuestion, speaksOfClass, WHOLE_HOME } from "./evidence.ts";
import type { Reading } from "./reading.ts";
import {
  allowed,
  colours,
  delayed,
  flowing,
  here,
  isNoCommand,
  plural,
  silenced,
  spokenClass,
  there,
  thermostat,
  units,
} from "./repairs.ts";
import { apart, changed, continued, docked, isRepeated, plain } from "./several.ts";
import type { Entity, House } from "./types.ts";

const choice = (value: string): SlotValue => ({ kind: "choice", value });
const AS_BINARY: Readonly<Record<string, string>> = { open: "on", closed: "off", opening: "on", closing: "off" };
/** Classes that are asked of sensors where a house has both sensors and covers. */
const WATCHED = new Set(["window", "door"]);
const LIGHTS_OFF = /\b(off|out|kill|douse)\b/;
const EVERYTHING = /\b(everything|whatever|all of it|the lot)\b/;
const MUSIC = /\b(music|playback|tv|telly|shows?|songs?|media|players?|radio|movie|podcast)\b/;
const LESS_THAN_A_TEMPERATURE = 10;

const REPAIRS = [here, spokenClass, colours, flowing, silenced, plural, delayed, thermostat, units];

/** Rules over one sentence: each takes a command and gives it back, or another. */
class Mending {
  readonly text: string;

  constructor(
    readonly reading: Reading,
    readonly house: House,
  ) {
    this.text = reading.words.map(({ text }) => text).join(" ");
  }

  mend(command: Command, alone: boolean): Command {
    const repaired = REPAIRS.reduce((one, repair) => repair(one, this), command);
    const steps = [
      this.timer,
      this.valve,
      this.moved,
      this.relative,
      this.namedPlace,
      this.absent,
      this.everything,
      this.windows,
      this.direction,
      this.humidity,
      this.wholeHome,
      this.brightness,
      this.resumed,
      this.removed,
    ];
    const mended = steps.reduce((one, step) => step.call(this, one), repaired);
    return alone ? this.pointed(mended) : mended;
  }

  /** "Bin the pasta timer", "cancel every timer". */
  private timer(command: Command): Command {
    const { text } = this;
    const music = /^HassMedia(Unpause|Pause)$/.exec(command.intent)?.[1];
    if (music && /\btimers?\b/.test(text) && !command.slots.has("name") && !MUSIC.test(text))
      return { intent: `Hass${music}Timer`, slots: new Map(), tokens: command.tokens };
    if (!/Timer/.test(command.intent) || !/\btimers?\b/.test(text)) return command;
    if (
      /^Hass(Un|)(P|p)auseTimer|^Hass(Start|Cancel|Increase)Timer/.test(command.intent) &&
      /\b(bin|lose|scrub|ditch|scrap|dump|axe|kill|delete|cancel|get rid of)\b/.test(text)
    ) {
      if (/\b(all|every|each|any|both)\b/.test(text))
        return { intent: "HassCancelAllTimers", slots: new Map(), tokens: command.tokens };
      const slots = new Map(
        [...command.slots].map(
          ([slot, value]) => [slot.replace(/^(hours|minutes|seconds)$/, "start_$1"), value] as const,
        ),
      );
      return { intent: "HassCancelTimer", slots, tokens: command.tokens };
    }
    return command;
  }

  /** "Valves" are valves, not covers. */
  private valve(command: Command): Command {
    const domain = choiceOf(command, "domain");
    if (domain === undefined || domain === "valve" || !/\bvalves?\b/.test(this.text) || !this.has("valve"))
      return command;
    const state = choiceOf(command, "state");
    const asState = state === undefined ? undefined : choice({ on: "open", off: "closed" }[state] ?? state);
    return changed(command, { domain: choice("valve"), device_class: undefined, state: asState });
  }

  /** "All blinds down" is no question. */
  private moved(command: Command): Command {
    const state = choiceOf(command, "state");
    if (command.intent !== "HassGetState" || isQuestion(this.text) || this.reading.asked) return command;
    const [, way = ""] = /\b(up|down)\b/.exec(this.text) ?? /\b(on|off)\b/.exec(this.text) ?? [];
    const said = { up: "HassTurnOn", on: "HassTurnOn", down: "HassTurnOff", off: "HassTurnOff" }[way];
    if (said === undefined || state === undefined || choiceOf(command, "domain") === "binary_sensor") return command;
    return changed(command, { state: undefined }, said);
  }

  /** "Drop it four degrees" cannot be said as an intent: four degrees is no temperature. */
  private relative(command: Command): Command {
    const number = command.slots.get("temperature");
    if (command.intent !== "HassClimateSetTemperature" || number?.kind !== "number") return command;
    const value = this.reading.words[this.reading.numbers[number.index]]?.value ?? 0;
    const by = /\bby\b|\b(warmer|cooler|colder|hotter)\b/.test(this.text);
    const moved =
      /\b(drop|raise|lower|increase|decrease|reduce|bump|nudge|up|down)\b/.test(this.text) &&
      !/\b(to|at)\b/.test(this.text);
    return value <= LESS_THAN_A_TEMPERATURE && (by || moved) ? { intent: "", slots: new Map() } : command;
  }

  /** "Open the garage", where that is a room and a door: the door. */
  private namedPlace(command: Command): Command {
    const area = command.slots.get("area");
    const deviceClass = choiceOf(command, "device_class");
    if (
      !/^Hass(TurnOn|TurnOff|SetPosition|GetState)$/.test(command.intent) ||
      area?.kind !== "name" ||
      command.slots.has("name")
    )
      return command;
    const mention = this.reading.mentions[area.index];
    const isCover = mention?.candidates.some(
      (candidate) => candidate.kind === "entity" && candidate.entity.domain === "cover",
    );
    if (!isCover || choiceOf(command, "domain") !== "cover") return command;
    if (deviceClass !== undefined && speaksOfClass(this.textWithout(area.index), deviceClass)) return command;
    return changed(command, { name: area, area: undefined, domain: undefined, device_class: undefined });
  }

  /** A class that the house has not, where a thing of that kind is called so: "the garage door", which is called "Garage". */
  private absent(command: Command): Command {
    const deviceClass = choiceOf(command, "device_class");
    if (
      !/^Hass(TurnOn|TurnOff|SetPosition)$/.test(command.intent) ||
      deviceClass === undefined ||
      choiceOf(command, "domain") !== "cover"
    )
      return command;
    if (this.house.entities.some((entity) => entity.domain === "cover" && entity.deviceClass === deviceClass))
      return command;
    const index = this.reading.mentions.findIndex(({ candidates }) =>
      candidates.some((candidate) => candidate.kind === "entity" && candidate.entity.domain === "cover"),
    );
    if (index < 0) return command;
    return changed(command, {
      name: { kind: "name", index },
      area: undefined,
      domain: undefined,
      device_class: undefined,
    });
  }

  /** "Everything off in here". */
  private everything(command: Command): Command {
    if (!/^HassTurn/.test(command.intent) || choiceOf(command, "domain") === undefined) return command;
    const switches =
      choiceOf(command, "domain") === "switch" && !/\b(switches|plugs?|sockets?|outlets?)\b/.test(this.text);
    if (isEvident(command, this.text) && !switches) return command;
    const placed = command.slots.has("area") || command.slots.has("floor");
    if (!EVERYTHING.test(this.text) || !(placed || this.reading.here)) return command;
    return changed(command, { domain: undefined, device_class: undefined, ...(!placed && { area: choice("here") }) });
  }

  /** Windows and doors that the house watches but does not move: sensors of that class. */
  private windows(command: Command): Command {
    const deviceClass = choiceOf(command, "device_class");
    if (command.intent !== "HassGetState" || choiceOf(command, "domain") !== "cover" || deviceClass === undefined)
      return command;
    const place = command.slots.get("area") ?? command.slots.get("floor");
    const has = (domain: string) =>
      this.house.entities.some(
        (entity) => entity.domain === domain && entity.deviceClass === deviceClass && this.isIn(entity, place),
      );
    if (!has("binary_sensor") || (has("cover") && !WATCHED.has(deviceClass))) return command;
    const state = choiceOf(command, "state");
    return changed(command, {
      domain: choice("binary_sensor"),
      ...(state !== undefined && { state: choice(AS_BINARY[state] ?? state) }),
    });
  }

  /** Lights that go off do not go on; an awning that goes out is opened. */
  private direction(command: Command): Command {
    const awning = this.isAwning(command) && /\bout\b/.test(this.text) && !/\b(in|close|shut)\b/.test(this.text);
    if (awning && command.intent === "HassTurnOff") return changed(command, {}, "HassTurnOn");
    if (choiceOf(command, "domain") !== "light" || !/\blights? (\w+ )*?(off|out)\b/.test(this.text)) return command;
    if (command.intent !== "HassTurnOn" || /\bon\b/.test(this.text) || !LIGHTS_OFF.test(this.text)) return command;
    return changed(command, {}, "HassTurnOff");
  }

  /** A damp room asks for another figure than a warm one; `resolve` finds the sensor. */
  private humidity(command: Command): Command {
    if (
      command.intent !== "HassClimateGetTemperature" ||
      !/\b(humid\w*|damp\w*)\b/.test(this.text) ||
      /\b(warm|cold|temperature|degrees)\b/.test(this.text)
    )
      return command;
    return changed(command, { domain: choice("sensor"), device_class: choice("humidity") }, "HassGetState");
  }

  private isAwning(command: Command): boolean {
    const name = command.slots.get("name");
    if (name?.kind !== "name") return choiceOf(command, "device_class") === "awning";
    const mention = this.reading.mentions[name.index];
    return mention.candidates.some(
      (candidate) => candidate.kind === "entity" && candidate.entity.deviceClass === "awning",
    );
  }

  /** "In the entire house" is not only here. */
  private wholeHome(command: Command): Command {
    return choiceOf(command, "area") === "here" && WHOLE_HOME.test(this.text)
      ? changed(command, { area: undefined })
      : command;
  }

  /** "The lamp to half", "the lamp to full". */
  private brightness(command: Command): Command {
    const set = ["brightness", "color", "temperature"].some((slot) => command.slots.has(slot));
    if (command.intent !== "HassLightSet" || set) return command;
    if (/\b(full|max|maximum|brightest)\b/.test(this.text)) return changed(command, { brightness: choice("max") });
    const [at, ...more] = this.reading.numbers;
    const value = at === undefined ? undefined : this.reading.words[at].value;
    if (value === undefined || more.length > 0 || value < 0 || value > 100) return command;
    return changed(command, { brightness: { kind: "number", index: 0, minus: false } });
  }

  /** What plays again goes on, it is not switched on. */
  private resumed(command: Command): Command {
    const name = command.slots.get("name");
    if (
      command.intent !== "HassTurnOn" ||
      name?.kind !== "name" ||
      !/\b(playing again|left off|resume|continue)\b/.test(this.text)
    )
      return command;
    const plays = this.reading.mentions[name.index]?.candidates.some(
      ({ kind, ...one }) => kind === "entity" && "entity" in one && one.entity.domain === "media_player",
    );
    return plays ? changed(command, {}, "HassMediaUnpause") : command;
  }

  /** What is no longer needed is removed, not done. */
  private removed(command: Command): Command {
    const unneeded =
      command.intent === "HassListCompleteItem" && /\b(remove|delete|don't need|no longer)\b/.test(this.text);
    return unneeded ? changed(command, {}, "HassListRemoveItem") : command;
  }

  /** Where the only command points at nothing, but one name is said exactly: that. */
  private pointed(command: Command): Command {
    const { mentions } = this.reading;
    if (
      !/^Hass(TurnOn|TurnOff|GetState|SetPosition|LightSet)$/.test(command.intent) ||
      mentions.some(({ likeness }) => likeness < 1)
    )
      return command;
    const used = new Set([...command.slots.values()].flatMap((value) => (value.kind === "name" ? [value.index] : [])));
    const places = mentions.flatMap(({ candidates }, index) => {
      const place = used.has(index) ? undefined : candidates.find(({ kind }) => kind !== "entity");
      return place && candidates.length === 1 ? [{ index, kind: place.kind }] : [];
    });
    const [place] = places;
    if (
      place &&
      places.length === 1 &&
      ![...command.slots.keys()].some((slot) => slot === "area" || slot === "floor" || slot === "name")
    ) {
      return changed(command, { [place.kind]: { kind: "name", index: place.index } });
    }
    const domain = choiceOf(command, "domain");
    const [mention] = mentions;
    if (
      mentions.length !== 1 ||
      used.size > 0 ||
      domain === undefined ||
      EVERYTHING.test(this.text) ||
      /\b(all|every)\b/.test(this.text)
    )
      return command;
    if (!mention.candidates.some((candidate) => candidate.kind === "entity" && candidate.entity.domain === domain))
      return command;
    return changed(command, {
      name: { kind: "name", index: 0 },
      domain: undefined,
      device_class: undefined,
      area: undefined,
    });
  }

  private isIn(entity: Entity, place: SlotValue | undefined): boolean {
    if (place?.kind !== "name") return true;
    const area = this.house.areas.find(({ id }) => id === entity.area);
    return this.reading.mentions[place.index].candidates.some(
      (candidate) =>
        (candidate.kind === "area" && candidate.area.id === area?.id) ||
        (candidate.kind === "floor" && candidate.floor.id === area?.floor),
    );
  }

  private has(domain: string): boolean {
    return this.house.entities.some((entity) => entity.domain === domain);
  }

  private textWithout(mention: number): string {
    const { from, to } = this.reading.mentions[mention];
    return this.reading.words.flatMap(({ text }, i) => (i >= from && i < to ? [] : [text])).join(" ");
  }
}

/** The commands that are meant; empty where none is. */
export function mend(commands: readonly Command[], reading: Reading, house: House): Command[] {
  const mending = new Mending(reading, house);
  const evident = plain(mending.text, reading);
  if (evident) return [evident];
  const excepted = commands.some(({ slots }) => slots.has("except"));
  if (commands.length === 1 && !excepted && isForbidden(mending.text) && commands[0].intent !== "HassNevermind")
    return [];
  if (isNoCommand(commands, mending)) return [];
  const kept = allowed(commands, reading);
  const mended = there(docked(continued(apart(kept, reading)), mending.text), mending.text).map((command) =>
    mending.mend(command, kept.length === 1),
  );
  return mended.filter(
    (command, i) =>
      command.intent !== "" &&
      isEvident(command, mending.text, mended.length === 1) &&
      !mended.slice(0, i).some((earlier) => isRepeated(command, earlier)),
  );
}
