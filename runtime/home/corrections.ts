/**
 * What a speaker takes back: "put the kettle on no wait turn it off" is "turn the kettle off", "lock the door, oh wait, don't"
 * is nothing. A small model obeys the first words; here they are withdrawn before it reads any.
 */

import type { Word } from "./normalize.ts";

/** Words by which a speaker corrects what was just said. */
const MARKS = [
  "oh no wait no",
  "no wait no",
  "oh no wait",
  "oh wait no",
  "no sorry i mean",
  "sorry i mean",
  "sorry i meant",
  "no i mean",
  "no i meant",
  "or rather",
  "actually no wait",
  "no wait actually",
  "wait actually",
  "actually no",
  "actually wait",
  "no actually",
  "on second thought",
  "on second thoughts",
  "scratch that",
  "strike that",
  "correction",
  "no make that",
  "no make it",
  "or make that",
  "i mean",
  "i meant",
  "no wait",
  "wait no",
  "oh wait",
  "no no",
  "hang on",
  "hold on",
  "wait",
  "actually",
]
  .map((mark) => mark.split(" "))
  .sort((a, b) => b.length - a.length);
/** What stands behind a mark and says that nothing is to be done at all. */
const WITHDRAWN =
  /^(?:(?:oh|no|please|just|actually|wait) )*(?:(?:don't|do not|stop|never ?mind|cancel(?: that| it)?|forget (?:it|that|about it)|leave (?:it|that|them)(?: alone| be| as (?:it is|they are))?|not (?:yet|now)|no|nothing|scratch that|don't (?:do|bother|touch) ?(?:that|it|them)?)(?: please| thanks| yet| now)*)?$/;
const WITHDRAWN_AT_THE_END = /(?:^| )(?:never ?mind|scratch that|strike that|forget (?:it|that)|cancel that)$/;
const VERB =
  /^(?:please |just |rather )*(?:turn|switch|put|open|close|shut|lock|unlock|start|stop|set|play|pause|dim|raise|lower|run|activate|clean|mow|add|remove|make|mute|unmute|cancel|resume|tell|announce|press|increase|decrease|brighten|vacuum)\b/;
/** Marks that are everyday words, which take nothing back unless they stand behind a command. */
const WEAK = /^(?:wait|actually|hang on|hold on|oh wait|i mean|i meant|correction|no no)$/;
/** Before words of one's own, which may be anything. */
const FREE = /^(?:please )?(?:announce|broadcast|tell|say|play|add|remind|note|write)\b/;
const TITLE = /^(?:please )?play(?: \w+)?$/;
const PRONOUN = /^(?:it|that|them|this|those|these)$/;
const ARTICLE = /^(?:the|my|our|a|an)$/;
const LEADING = /^(?:please|no|oh|uh|um|the|make|it|that|to|just|actually|sorry)$/;

const textOf = (words: readonly Word[]) => words.map(({ text }) => text).join(" ");

interface Mark {
  from: number;
  to: number;
}

/** The last mark behind some words; a weak one only where what precedes it says what is to be done. */
function lastMark(words: readonly Word[]): Mark | undefined {
  const isSaid = (parts: readonly string[], from: number) => parts.every((part, i) => words[from + i]?.text === part);
  let last: Mark | undefined;
  for (let from = 1; from < words.length; ) {
    const mark = MARKS.find((parts) => isSaid(parts, from));
    const number = isSaid(["no"], from) && [from - 1, from + 1].every((at) => words[at]?.value !== undefined);
    const to = from + (mark?.length ?? 1);
    const before = textOf(words.slice(last?.to ?? 0, from));
    const begun = from > 1 && !FREE.test(before) && (VERB.test(before) || / (?:on|off|up|down)$/.test(before));
    if (number || (mark && (begun || !WEAK.test(mark.join(" "))) && !TITLE.test(before))) last = { from, to };
    from = mark ? to : from + 1;
  }
  return last;
}

/** The words of a thing: what stands behind the last article, up to a particle. */
function objectIn(words: readonly Word[]): Mark | undefined {
  const at = words.findLastIndex(({ text }) => ARTICLE.test(text));
  if (at < 0) return undefined;
  let to = at + 1;
  while (to < words.length && !/^(?:on|off|up|down|to|at|in|please|now|for)$/.test(words[to].text)) to++;
  return to > at + 1 ? { from: at, to } : undefined;
}

/** What is said in place of a part of what was said before: a number for a number, a thing for a thing. */
function replaced(before: readonly Word[], after: readonly Word[]): readonly Word[] | undefined {
  const skipped = after.findIndex(({ text }) => !LEADING.test(text));
  const rest = skipped < 0 ? [] : after.slice(skipped);
  if (rest.length === 0) return undefined;
  const number = before.findLastIndex(({ value }) => value !== undefined);
  if (rest[0].value !== undefined) {
    if (number < 0) return undefined;
    const unit = rest.length > 1 ? 2 : 1;
    return [...before.slice(0, number), ...rest.slice(0, unit), ...before.slice(number + unit)];
  }
  const object = objectIn(before);
  if (!object || !ARTICLE.test(after[skipped - 1]?.text ?? "")) return undefined;
  return [...before.slice(0, object.from + 1), ...rest, ...before.slice(object.to)];
}

/**
 * The words that count; none where all was taken back. The words before a correction go; "it" behind it is the thing that was
 * spoken of. A correction that cannot be understood takes everything back: nothing is safer than the wrong thing.
 */
export function corrected(words: readonly Word[]): readonly Word[] {
  const mark = lastMark(words);
  if (!mark) return WITHDRAWN_AT_THE_END.test(textOf(words)) && VERB.test(textOf(words)) ? [] : words;
  const before = corrected(words.slice(0, mark.from));
  const after = words.slice(mark.to);
  const said = textOf(after);
  if (said === "" && words[mark.from].text === "actually") return before;
  if (WITHDRAWN.test(said)) return [];
  if (!VERB.test(said) || /^make (?:it|that) \d/.test(said)) return replaced(before, after) ?? [];
  const pronoun = after.findIndex(({ text }, i) => i > 0 && PRONOUN.test(text));
  const object = objectIn(before);
  if (pronoun < 0 || !object) return after;
  return [...after.slice(0, pronoun), ...before.slice(object.from, object.to), ...after.slice(pronoun + 1)];
}
