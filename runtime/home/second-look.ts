/**
 * A second look at a sentence that seemed to be no command, but has the form of one whose thing is called as nothing in the
 * house: "turn the loof tongue off". What sounds most like it may be meant; whether it is, the model says.
 */

import { clausesOf } from "./clauses.ts";
import { COMMON_WORDS } from "./common-words.ts";
import { soundingLike } from "./mentions.ts";
import type { Reading } from "./reading.ts";
import type { House } from "./types.ts";

const THING = "(?:the |my |our |that )?(?<thing>[a-z' ]+?)";
const DO = "(?:turn|switch|put|flick|flip|power|stick|pop)";
const FORMS = [
  `${DO} (?:on|off) THING`,
  `${DO} THING (?:on|off|up|down)`,
  "(?:open|close|shut|lock|unlock|start|stop|run|activate|dim|pause|mute|unmute|lower|raise|send|return) THING(?: home| back)?",
  "(?:set|make|turn|dim|send|put) THING (?:back )?to .+",
  "THING (?:back |return )?to (?:the|its|your) (?:dock|base|charger)",
  "THING (?:on|off)",
  "(?:is|are) THING (?:still )?(?:on|off|open|closed|shut|locked|unlocked|home|running)",
  "where(?:'s| is) THING",
].map((form) => new RegExp(`^${form.replace("THING", THING)}$`));
const MOST_WORDS = 5;

/** The sentence read with a name that its thing sounds like; undefined where there is nothing to look for. */
export function secondLook(reading: Reading, house: House): Reading | undefined {
  const [clause, ...others] = clausesOf(reading);
  if (!clause || others.length > 0) return undefined;
  for (const form of FORMS) {
    const thing = form.exec(clause.plain)?.groups?.thing.split(" ");
    if (!thing || thing.length > MOST_WORDS || thing.every((word) => COMMON_WORDS.has(word))) continue;
    const from = reading.words.findIndex((_, i) => thing.every((word, j) => reading.words[i + j]?.text === word));
    const to = from + thing.length;
    // What is called so exactly was read already.
    if (from < 0 || reading.mentions.some((one) => one.likeness === 1 && one.from === from && one.to === to)) continue;
    const mention = soundingLike(reading.words.slice(from, to), house);
    if (!mention) continue;
    const others = reading.mentions.filter((one) => one.to <= from || one.from >= to);
    const mentions = [...others, { from, to, ...mention }].sort((a, b) => a.from - b.from);
    return { ...reading, mentions };
  }
  return undefined;
}
