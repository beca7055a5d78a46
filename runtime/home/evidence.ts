/**
 * What a sentence must say for a command to be meant. The model is small and sometimes sure of what was not said; a command
 * of which no word speaks is left out, whatever its probability.
 */

import type { Command } from "./answer.ts";
import { CATALOGUE } from "./catalogue.ts";

const LIGHT =
  /\b(l[ig]+[ght]{2,5}s?|lighi?n\w*|lights?|lamps?|lighting|lit|bulbs?|bright\w*|dark\w*|glow\w*|illuminat\w*|dim\w*|see|leds?|spots?|spotlights?|downlights?|chandelier)\b/;
/** What is said of lights beside other commands: "it's bright, close the blinds" says nothing of them. */
const LAMPS =
  /\b((?:make|get|whole|need|want)\b.*\bbright|dark|dim\w*|illuminat\w*|l[ig]+[ght]{2,5}s?|lights?|lamps?|lighting|lit|bulbs?|glow\w*|leds?|spots?|spotlights?|downlights?|chandelier)\b/;
const TIMED = /\b(timers?|alarms?|countdown|clock|remind\w*|minutes?|hours?|seconds?|left|remaining)\b/;
const LISTED =
  /\b(list|lists|shopping|grocer\w*|buy|add|need|out of|get|forget|pick|put|remember|remind|jot|note|write|run|running|low|no)\b/;
const UNLISTED =
  /\b(list|lists|shopping|grocer\w*|tick|check|cross|got|bought|have|done|complet\w*|finish\w*|mark|picked|off|strike|remove|delete|take|scratch|packed|sorted|need)\b/;
const SOUNDS =
  /\b(volume|sound|loud\w*|quiet\w*|mute\w*|unmute\w*|silen\w*|hush|hear|noise|music|audio|shut up|speakers?|tv|telly)\b/;

/** A command of the intent is meant only where this is said. */
const WORDS: Readonly<Record<string, RegExp>> = {
  HassGetWeather:
    /\b(weather|forecast|outlook|rain\w*|snow\w*|sunny|umbrella|coat|jacket|storm\w*|wind\w*|cloud\w*|outside|outdoors|out there|hail|sunglasses)\b/,
  HassSetVolumeRelative:
    /\b(up|down|loud\w*|quiet\w*|soft\w*|increase|decrease|raise|lower|reduce|more|less|boost|crank|drop|bump|hear|-?\d+)\b/,
  HassMediaPlayerMute: SOUNDS,
  HassMediaPlayerUnmute: SOUNDS,
  HassMediaPause: /\b(pause\w*|stop\w*|hold|halt|freeze|quiet|silence|interrupt)\b/,
  HassShoppingListAddItem: LISTED,
  HassShoppingListCompleteItem: UNLISTED,
  HassListCompleteItem: UNLISTED,
  HassMediaPrevious: /\b(previous|last|back|again|before|rewind|replay)\b/,
  HassBroadcast:
    /\b(broadcast|announce\w*|tell|everyone|everybody|say|speakers?|shout|know|call|message|inform|intercom)\b/,
  HassStartTimer: TIMED,
  HassMediaSearchAndPlay:
    /\b(play\w*|listen\w*|hear\w*|feel like|put|stick|pop|throw|watch|stream|queue|spin|blast|shuffle|music|songs?|albums?|tunes?|radio|something|some|want|show|find|fancy)\b/,
  HassTimerStatus: /\b(timers?|left|remaining|longer|countdown|until|much time|to go|status|clock)\b/,
  HassGetCurrentDate:
    /\b(dates?|days?|months?|years?|weeks?|today\w*|calendar|monday|tuesday|wednesday|thursday|friday|saturday|sunday)\b/,
  HassGetCurrentTime: /\b(time|late|clock|hour)\b/,
};

/** Words for classes beyond the catalogue's. */
const CLASS_WORDS: Readonly<Record<string, RegExp>> = {
  moisture: /\b(leak\w*|wet|water|damp|moist\w*|flood\w*|dry)\b/,
  occupancy: /\b(occup\w*|anyone|anybody|someone|somebody|people|presence|empty|present|there)\b/,
  motion: /\b(motion|mov\w*|walking|anyone|anybody|someone|somebody)\b/,
  presence: /\b(presence|present|anyone|anybody|someone|somebody|there)\b/,
  battery: /\b(batter\w*|charg\w*)\b/,
  smoke: /\b(smok\w*|fire)\b/,
  door: /\bdoors?\b/,
  humidity: /\b(humid\w*|damp\w*)\b/,
  aqi: /\bair quality\b/,
  curtain: /\b(curtains?|drapes?|sheers?|nets?)\b/,
  carbon_dioxide: /\b(co2|carbon dioxide)\b/,
  outlet: /\b(outlets?|sockets?|plugs?|switch\w*)\b/,
};

const patterns = new Map<string, RegExp>();

/** Finds every word for a class: its own, those of its states, and what people say of it. */
export function classPattern(deviceClass: string): RegExp {
  const known = patterns.get(deviceClass);
  if (known) return known;
  const named = Object.values(CATALOGUE.domains).flatMap(({ classes }) => {
    const info = classes?.[deviceClass];
    return info ? [...info.words, ...Object.values(info.states ?? {}).flat()] : [];
  });
  const stems = [deviceClass.replaceAll("_", " "), ...named]
    .map((word) => word.toLowerCase().replace(/(es|s)$/, ""))
    .filter((stem) => stem.length > 2)
    .map((stem) => `\\b${stem.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}\\w*`);
  const own = CLASS_WORDS[deviceClass];
  const pattern = new RegExp([...(own ? [own.source] : []), ...stems].join("|"), "g");
  patterns.set(deviceClass, pattern);
  return pattern;
}

export function speaksOfClass(text: string, deviceClass: string): boolean {
  return text.search(classPattern(deviceClass)) >= 0;
}

const LOCKS = /\b(locks|doors?|gates?|everything|all|every|up)\b/;
const OPENINGS = /^(?:door|window|garage_door)$/;

/** The choice in a slot, if there is one. */
export const choiceOf = ({ slots }: Command, slot: string): string | undefined => {
  const value = slots.get(slot);
  return value?.kind === "choice" ? value.value : undefined;
};

/** Whether the sentence says what the command needs said. */
export function isEvident(command: Command, text: string, alone = true): boolean {
  const { intent, slots } = command;
  const player = intent === "HassMediaSearchAndPlay" && slots.has("name");
  if (!player && WORDS[intent] && !WORDS[intent].test(text)) return false;
  const color = choiceOf(command, "color");
  if (color !== undefined && /^(black|white)$/.test(color) && !text.includes(color)) return false;
  if (slots.has("name")) return true;
  if (/^HassTurn/.test(intent) && choiceOf(command, "domain") === "light") return (alone ? LIGHT : LAMPS).test(text);
  const deviceClass = choiceOf(command, "device_class");
  const domain = choiceOf(command, "domain");
  const placed = slots.has("area") || slots.has("floor");
  if (/^HassTurn/.test(intent) && domain === "lock" && !placed) return LOCKS.test(text);
  if (/^Hass(TurnOn|TurnOff|SetPosition)$/.test(intent) && domain === "cover" && deviceClass !== undefined && !placed)
    return speaksOfClass(text, deviceClass);
  if (intent === "HassGetState" && deviceClass !== undefined && OPENINGS.test(deviceClass) && !placed)
    return new RegExp(`\\b(?:${deviceClass.replaceAll("_", " ")}s?|doors?|open\\w*s)\\b`).test(text);
  return deviceClass === undefined || intent !== "HassGetState" || speaksOfClass(text, deviceClass);
}

const ACTING =
  "turn|switch|put|open|close|shut|lock|unlock|start|stop|set|play|pause|dim|raise|lower|run|activate|clean|vacuum|mow|add|remove|touch|make|kill|mute";
const FORBIDDEN = [
  /\b(don't|do not) let (?!me forget|us forget)/,
  new RegExp(
    `\\b(don't|do not|never|must not|mustn't|shouldn't|wouldn't|needn't|rather not)\\b(?! forget)(?: \\w+){0,4}? (${ACTING})\\b`,
  ),
  /^(?!.*\b(did|does|has|have|is|are|was)\b.*\bleave\b).*\bleave\b(?!.* timer).*\b(on|off|open|closed|shut|locked|unlocked|alone|running|where|as it is|be)\b/,
  /^(no|nope|nah)?,? ?not (the|my|our|that|this|in|on)\b/,
];
const STILL_MEANT =
  /\b(don't|do not) (let me forget|you dare forget|need|want (the|any|so much|it (so|too)))\b|\bwhy don't (you|we)\b|\bdon't you (think|want to)\b/;

/** Whether a sentence says that something is not to be done. */
export function isForbidden(text: string): boolean {
  return FORBIDDEN.some((pattern) => pattern.test(text)) && !STILL_MEANT.test(text);
}

/** Words for the whole house, against which the room where it was said does not count. */
export const WHOLE_HOME = /\b(entire|whole|everywhere|all over|throughout|each room|every room)\b/;

const QUESTION =
  /\b(is|are|isn't|aren't|am|was|were|any|anyone|anybody|what|what's|which|how|how's|did|does|do|has|have|whether|if|status|state|check|who|who's|where|where's|when|tell|know|value|level)\b/;

export function isQuestion(text: string): boolean {
  return QUESTION.test(text);
}
