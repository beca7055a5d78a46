/**
 * Finds a house's names in a sentence: exactly, in any case and with any blanks ("bed room"), and as a recogniser or a
 * hurried hand may have written them ("reeding lamp"). What it finds is certain enough to be pointed at, not yet chosen from.
 */

import { COMMON_WORDS, FUNCTION_WORDS } from "./common-words.ts";
import { fold, type Word, wordsOf } from "./normalize.ts";
import type { Area, Entity, Floor, House } from "./types.ts";

export type Candidate =
  | { kind: "entity"; entity: Entity }
  | { kind: "area"; area: Area }
  | { kind: "floor"; floor: Floor };

export interface Mention {
  /** Words [from, to) of the sentence. */
  from: number;
  to: number;
  candidates: readonly Candidate[];
  /** 1 where it is said exactly, less where it is only alike. */
  likeness: number;
}

interface Name {
  /** Letters and digits of its words, run together. */
  joined: string;
  candidates: Candidate[];
}

interface Index {
  exact: Map<string, Name>;
  /** By the sound of a name, and by that sound with any one letter left out. */
  sounds: Map<string, Name[]>;
  longest: number;
}

/** A house has one index, made when it is first asked for. */
const indexes = new WeakMap<House, Index>();

const MOST_MENTIONS = 9;
/** Names shorter than this are found only where they are said exactly. */
const LEAST_ALIKE = 5;
const MOST_WORDS_ALIKE = 5;
/** Names that sound alike to compare with, at most: in a house of numbered lamps all do. */
const MOST_COMPARED = 400;
const LEAST_LIKENESS = 0.74;
/** What a name that is only alike must be worth more than. */
const DOUBT = 2.5;

const joinedOf = (words: readonly Word[]) => words.map(({ text }) => text.replaceAll("'", "")).join("");

function indexOf(house: House): Index {
  const known = indexes.get(house);
  if (known) return known;
  const index: Index = { exact: new Map(), sounds: new Map(), longest: 1 };
  const add = (said: string, candidate: Candidate) => {
    const words = wordsOf(said);
    const joined = joinedOf(words);
    if (joined === "") return;
    index.longest = Math.max(index.longest, Math.min(12, words.length + 1));
    const name = index.exact.get(joined);
    if (name) {
      if (!name.candidates.some((other) => sameThing(other, candidate))) name.candidates.push(candidate);
    } else index.exact.set(joined, { joined, candidates: [candidate] });
  };
  for (const floor of house.floors) {
    for (const name of [floor.name, ...floor.aliases]) {
      add(name, { kind: "floor", floor });
      if (!/floor|stairs|level|storey/i.test(name)) add(`${name} floor`, { kind: "floor", floor });
    }
  }
  for (const area of house.areas) for (const name of [area.name, ...area.aliases]) add(name, { kind: "area", area });
  for (const entity of house.entities) {
    for (const name of [entity.name, ...entity.aliases]) add(name, { kind: "entity", entity });
  }
  for (const name of index.exact.values()) {
    if (name.joined.length < LEAST_ALIKE) continue;
    for (const key of spread(soundOf(name.joined))) {
      const list = index.sounds.get(key);
      if (list) list.push(name);
      else index.sounds.set(key, [name]);
    }
  }
  indexes.set(house, index);
  return index;
}

function sameThing(a: Candidate, b: Candidate): boolean {
  return idOf(a) === idOf(b);
}

export function idOf(candidate: Candidate): string {
  if (candidate.kind === "entity") return candidate.entity.id;
  return candidate.kind === "area" ? `area ${candidate.area.id}` : `floor ${candidate.floor.id}`;
}

const SOUNDS: readonly [RegExp, string][] = [
  [/ph/g, "f"],
  [/gh|wh|h/g, ""],
  [/c(?=[eiy])/g, "s"],
  [/[ckqg]/g, "k"],
  [/[bp]/g, "p"],
  [/[dt]/g, "t"],
  [/[vfw]/g, "f"],
  [/[zxs]/g, "s"],
  [/[mn]/g, "n"],
  [/[aeiouy]/g, ""],
  [/(.)\1+/g, "$1"],
];

/** The consonants, those that sound alike made the same. */
function soundOf(joined: string): string {
  const vowel = /^[aeiou]/.test(joined) ? "a" : "";
  return vowel + SOUNDS.reduce((text, [from, to]) => text.replace(from, to), fold(joined));
}

/** A key and those that lack one of its letters: two keys that differ in one letter share one. */
function spread(key: string): string[] {
  if (key.length < 3) return [key];
  return [...new Set([key, ...Array.from(key, (_, i) => key.slice(0, i) + key.slice(i + 1))])];
}

/** Letters to insert, leave out, replace or swap with their neighbour to get from one to the other, at most `most` + 1. */
function distance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return most + 1;
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1] ? 0 : 1;
      let cost = Math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + same);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, before[j - 2] + 1);
      row.push(cost);
    }
    before = last;
    last = row;
  }
  return last[b.length];
}

interface Span extends Mention {
  worth: number;
}

/** Whether words may be a name that was misheard: one of them is no everyday word, and they begin with no function word. */
function doubtful(words: readonly Word[]): boolean {
  if (FUNCTION_WORDS.has(words[0].text) || FUNCTION_WORDS.has(words[words.length - 1].text)) return false;
  return words.some(({ text, value }) => value === undefined && !COMMON_WORDS.has(text));
}

function alike(index: Index, joined: string): { name: Name; likeness: number } | undefined {
  const most = Math.floor(joined.length * (1 - LEAST_LIKENESS));
  if (most < 1) return undefined;
  const tried = new Set<Name>();
  let best: { name: Name; likeness: number } | undefined;
  for (const key of spread(soundOf(joined))) {
    for (const name of index.sounds.get(key) ?? []) {
      if (tried.size >= MOST_COMPARED) return best;
      if (tried.has(name)) continue;
      tried.add(name);
      const steps = distance(joined, name.joined, most);
      const likeness = 1 - steps / Math.max(joined.length, name.joined.length);
      if (steps <= most && likeness >= LEAST_LIKENESS && likeness > (best?.likeness ?? 0)) best = { name, likeness };
    }
  }
  return best;
}

/** Of the letters that must be right where only the sound is. */
const LEAST_LETTERS = 0.4;
/** Two names that are about as near are none. */
const NEARER = 0.05;

/** The thing whose name sounds most like some words, though it is written otherwise: "stow bee" is Staubi. */
export function soundingLike(
  words: readonly Word[],
  house: House,
): Pick<Mention, "candidates" | "likeness"> | undefined {
  const joined = joinedOf(words);
  const sound = soundOf(joined);
  const found = new Map<Name, number>();
  for (const key of spread(sound)) {
    for (const name of indexOf(house).sounds.get(key) ?? []) {
      if (found.size >= MOST_COMPARED) break;
      if (found.has(name)) continue;
      const longest = Math.max(joined.length, name.joined.length);
      const letters = 1 - distance(joined, name.joined, longest) / longest;
      const same = soundOf(name.joined) === sound;
      // Few consonants say little.
      const least = sound.length >= 4 ? LEAST_LETTERS : same ? LEAST_LETTERS + 0.15 : 1;
      found.set(name, letters >= least ? letters + (same ? 0.2 : 0) : 0);
    }
  }
  const [best, next] = [...found].filter(([, worth]) => worth > 0).sort(([, a], [, b]) => b - a);
  if (!best || (next && best[1] - next[1] < NEARER)) return undefined;
  const candidates = best[0].candidates.filter(({ kind }) => kind === "entity");
  return candidates.length > 0 ? { candidates, likeness: Math.min(0.99, best[1]) } : undefined;
}

const VERBS = new Set(
  "stop start open close lock unlock pause play resume mute unmute cancel set add next previous".split(" "),
);

/** Whether a name that is also a command is one: "Stop" in "stop the radio", but not in "stop" and "stop please". */
function isVerbHere(words: readonly Word[], from: number, to: number): boolean {
  const begins = from === 0 || /^(?:and|then|please)$/.test(words[from - 1].text);
  const next = words[to]?.text;
  return (
    to - from === 1 &&
    begins &&
    VERBS.has(words[from].text) &&
    next !== undefined &&
    !/^(?:please|now|on|off)$/.test(next)
  );
}

function spansOf(words: readonly Word[], index: Index): Span[] {
  const spans: Span[] = [];
  for (let from = 0; from < words.length; from++) {
    for (let to = from + 1; to <= Math.min(words.length, from + index.longest); to++) {
      const part = words.slice(from, to);
      const joined = joinedOf(part);
      const name = index.exact.get(joined);
      if (name && isVerbHere(words, from, to)) continue;
      if (name) spans.push({ from, to, candidates: name.candidates, likeness: 1, worth: joined.length ** 1.2 + 1 });
      else if (to - from <= MOST_WORDS_ALIKE && joined.length >= LEAST_ALIKE && doubtful(part)) {
        const found = alike(index, joined);
        if (!found) continue;
        const worth = (found.likeness * joined.length) ** 1.2 - DOUBT - (to - from) * 0.5;
        spans.push({ from, to, candidates: found.name.candidates, likeness: found.likeness, worth });
      }
    }
  }
  return spans;
}

/** The mentions that together are worth most and do not overlap, in order. */
export function mentionsIn(words: readonly Word[], house: House): Mention[] {
  const ending = new Map<number, Span[]>();
  for (const span of spansOf(words, indexOf(house))) {
    const list = ending.get(span.to);
    if (list) list.push(span);
    else ending.set(span.to, [span]);
  }
  const best: { worth: number; spans: readonly Span[] }[] = [{ worth: 0, spans: [] }];
  for (let to = 1; to <= words.length; to++) {
    best[to] = best[to - 1];
    for (const span of ending.get(to) ?? []) {
      const worth = best[span.from].worth + span.worth;
      if (span.worth > 0 && worth > best[to].worth) best[to] = { worth, spans: [...best[span.from].spans, span] };
    }
  }
  const chosen = [...best[words.length].spans].sort((a, b) => b.worth - a.worth).slice(0, MOST_MENTIONS);
  return chosen
    .sort((a, b) => a.from - b.from)
    .map(({ from, to, candidates, likeness }) => ({ from, to, candidates, likeness }));
}
