/** Where a stretch of the sentence, such as an item or a timer's name, begins and ends: the model at times points at a part of it. */

import { COMMON_WORDS, FUNCTION_WORDS } from "./common-words.ts";
import type { Reading } from "./reading.ts";

interface Stretch {
  from: number;
  to: number;
  exact?: boolean;
}

const words = (text: string): ReadonlySet<string> => new Set(text.split(" "));
/** No name of a timer and no item goes on past these. */
const AFTER = words(
  "timer timers and on to from off onto into please now list lists in for at with by then before after left done doing running again up down time minutes minute hours hour seconds second going tonight today tomorrow or but thanks too also until till already playing thank okay ok",
);
/** Verbs, which are no part of what they put on a list. */
const VERBS = words(
  "add put chuck stick pop jot note scribble write throw toss grab tick cross strike scratch mark check remove delete drop get buy take pause stop cancel start resume bin scrub lose set freeze knock shave cut scrap ditch hold extend lengthen shorten abort called named nameed need needs item items new forget unpause continue carry",
);
const SORTED = words("done bought in sorted been finished packed gone here ordered got");

/** A stretch with what belongs to it; `text` is the sentence as given. */
export function whole(slot: string, { from, to, exact }: Stretch, text: string, reading: Reading): Stretch {
  if (exact) return { from, to };
  if (slot === "message") return { from, to: lastOf(reading) };
  if (slot !== "item" && slot !== "name" && slot !== "search_query") return { from, to };
  const gap = (i: number) => text.slice(reading.words[i - 1].to, reading.words[i].from);
  const inName = (i: number) => reading.mentions.some((mention) => i >= mention.from && i < mention.to);
  const ends = (i: number) =>
    AFTER.has(reading.words[i].text) ||
    FUNCTION_WORDS.has(reading.words[i].text) ||
    reading.words[i].value !== undefined;
  const hyphen = (i: number) => /^[-–/&]$/.test(gap(i));
  const close = (i: number) => /^\s+$/.test(gap(i)) && !inName(i);
  let begin = from;
  let end = to;
  while (end < reading.words.length && (hyphen(end) || (close(end) && !ends(end)))) end++;
  const joins = (i: number) => {
    const said = reading.words[i].text;
    return !COMMON_WORDS.has(said) && !VERBS.has(said) && reading.words[i].value === undefined && !inName(i);
  };
  while (slot !== "search_query" && begin > 0 && (hyphen(begin) || (/^\s+$/.test(gap(begin)) && joins(begin - 1))))
    begin--;
  return { from: begin, to: end };
}

function lastOf({ words: all }: Reading): number {
  const last = all.at(-1)?.text;
  return last === "please" || last === "thanks" ? all.length - 1 : all.length;
}

/** "Ironing's done": the ironing. */
export function withoutVerb(said: string, next: string | undefined): string {
  return next !== undefined && SORTED.has(next) ? said.replace(/['’]s$/, "") : said;
}
