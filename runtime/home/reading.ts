/**
 * What the model reads: the sentence's words, with a mark before every name of the house and every number. A mark says what
 * is named, so that the model need not know the house, and has a number, so that the answer can point at it:
 *
 *   <home> turn off the <p1> <d:light> lamp <)> in the <p2> <area> office <)> <answer>
 */

import { corrected } from "./corrections.ts";
import { type Candidate, type Mention, mentionsIn } from "./mentions.ts";
import { type Word, wordsOf } from "./normalize.ts";
import { idFor, tokenId } from "./tokens.ts";
import type { House } from "./types.ts";

export interface Reading {
  /** The sentence as given. */
  text: string;
  words: readonly Word[];
  /** In order; the first is <p1>. */
  mentions: readonly Mention[];
  /** Indexes of the words that are numbers; the first is <n1>. */
  numbers: readonly number[];
  /** Whether it is known in which room the sentence was heard. */
  here: boolean;
  /** Whether it ends with a question mark. */
  asked: boolean;
}

/** Turns a word with the blank before it into ids; the model's own tokenizer. */
export type Encode = (text: string) => readonly number[];

const MOST_WORDS = 64;
const MOST_NUMBERS = 9;
const MOST_KINDS = 3;

/** Reads a sentence in a house; what is longer than the model can read is left out. */
export function read(text: string, house: House, here: boolean): Reading {
  const words = corrected(wordsOf(text)).slice(0, MOST_WORDS);
  const numbers = words.flatMap(({ value }, i) => (value === undefined ? [] : [i])).slice(0, MOST_NUMBERS);
  return { text, words, mentions: mentionsIn(words, house), numbers, here, asked: /\?\s*$/.test(text) };
}

/** What the candidates of a name are, at most three kinds: "<d:cover> <c:garage>", "<area>". */
function kindsOf(candidates: readonly Candidate[]): number[] {
  const kinds = candidates.map((candidate) => {
    if (candidate.kind !== "entity") return `<${candidate.kind}>`;
    const { domain, deviceClass } = candidate.entity;
    const named = deviceClass === undefined ? undefined : `<c:${deviceClass}>`;
    return named !== undefined && tokenId(named) !== undefined ? `<d:${domain}> ${named}` : `<d:${domain}>`;
  });
  const distinct = [...new Set(kinds)].slice(0, MOST_KINDS);
  return distinct.flatMap((kind) => kind.split(" ").map((token) => tokenId(token) ?? idFor("<d:switch>")));
}

/** The ids of each word, without marks. */
export function wordIds({ words }: Reading, encode: Encode): number[][] {
  return words.map(({ text }) => [...encode(` ${text}`)]);
}

/** The prompt. */
export function promptOf(reading: Reading, pieces: readonly (readonly number[])[]): number[] {
  const { mentions, numbers, here } = reading;
  const ids = [idFor("<home>"), ...(here ? [idFor("<here>")] : [])];
  const begins = new Map(mentions.map((mention, i) => [mention.from, i]));
  const ends = new Set(mentions.map(({ to }) => to - 1));
  pieces.forEach((piece, i) => {
    const mention = begins.get(i);
    if (mention !== undefined) ids.push(idFor(`<p${mention + 1}>`), ...kindsOf(mentions[mention].candidates));
    const number = numbers.indexOf(i);
    if (number >= 0) ids.push(idFor(`<n${number + 1}>`));
    ids.push(...piece);
    if (ends.has(i)) ids.push(idFor("<)>"));
  });
  ids.push(idFor("<answer>"));
  return ids;
}
