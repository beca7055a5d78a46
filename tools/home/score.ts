/** From answers to figures: how many are right, by intent and by kind of fault, how honest the confidence is, how long it takes. */

import type { House } from "../../devices/node/home/index.ts";
import { type Intent, sameEffect } from "./effect.ts";
import type { Answer } from "./readers.ts";
import { isCommand, isSmallTalk, rightAnswers, type Sentence } from "./sentences.ts";

export interface Verdict {
  readonly sentence: Sentence;
  readonly answer: Answer;
  /** The slots are the label's own, letter for letter. */
  readonly exact: boolean;
  /** It does the same in the house. */
  readonly same: boolean;
}
/** `right` of `count`. */
export interface Share {
  readonly right: number;
  readonly count: number;
}
/** Answers whose confidence lies in one tenth. */
export interface Tenth extends Share {
  readonly from: number;
  readonly confidence: number;
}
export interface Score {
  readonly exact: Share;
  readonly same: Share;
  readonly commands: Share;
  /** Sentences that are no command and that it does nothing for. */
  readonly leftAlone: Share;
  /** Commands that it does nothing for. */
  readonly refused: Share;
  readonly intents: Readonly<Record<string, Share>>;
  readonly kinds: Readonly<Record<string, Share>>;
  readonly tenths: readonly Tenth[];
  /** Mean distance between confidence and share of right answers; undefined where the reader gives no confidence. */
  readonly calibrationError?: number;
  readonly medianMs: number;
  readonly p95Ms: number;
}

const canonical = (intents: readonly Intent[]): string =>
  JSON.stringify(intents.map(({ name, slots }) => [name, Object.entries(slots).sort(([a], [b]) => (a < b ? -1 : 1))]));

export function judge(house: House, sentence: Sentence, answer: Answer): Verdict {
  const right = rightAnswers(sentence);
  return {
    sentence,
    answer,
    exact: right.some((intents) => canonical(intents) === canonical(answer.intents)),
    same: right.some((intents) => sameEffect(house, intents, answer.intents, sentence.area)),
  };
}

function share(verdicts: readonly Verdict[], test: (verdict: Verdict) => boolean = ({ same }) => same): Share {
  return { right: verdicts.filter(test).length, count: verdicts.length };
}

/** A share for every group that a verdict belongs to, the largest first. */
function shares(
  verdicts: readonly Verdict[],
  groupsOf: (verdict: Verdict) => readonly string[],
): Record<string, Share> {
  const groups = new Map<string, Verdict[]>();
  for (const verdict of verdicts)
    for (const group of new Set(groupsOf(verdict))) groups.set(group, [...(groups.get(group) ?? []), verdict]);
  return Object.fromEntries(
    [...groups]
      .sort(([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1))
      .map(([name, own]) => [name, share(own)]),
  );
}

/** The value below which a part of the sorted values lies. */
const quantile = (sorted: readonly number[], part: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];

function tenthsOf(verdicts: readonly Verdict[]): Tenth[] {
  return Array.from({ length: 10 }, (_, i) => {
    const own = verdicts.filter(({ answer }) => Math.min(9, Math.floor(answer.confidence! * 10)) === i);
    const sum = own.reduce((total, { answer }) => total + answer.confidence!, 0);
    return { from: i / 10, confidence: own.length === 0 ? 0 : sum / own.length, ...share(own) };
  });
}

export function score(verdicts: readonly Verdict[]): Score {
  const commands = verdicts.filter(({ sentence }) => isCommand(sentence));
  const times = verdicts.map(({ answer }) => answer.ms).sort((a, b) => a - b);
  const confident = verdicts.filter(({ answer }) => answer.confidence !== undefined);
  const tenths = tenthsOf(confident);
  const error = tenths.reduce((sum, { confidence, right, count }) => sum + Math.abs(confidence * count - right), 0);
  return {
    exact: share(verdicts, ({ exact }) => exact),
    same: share(verdicts),
    commands: share(commands),
    leftAlone: share(verdicts.filter(({ sentence }) => isSmallTalk(sentence))),
    refused: share(commands, ({ answer }) => answer.intents.length === 0),
    intents: shares(
      verdicts.filter(({ sentence }) => sentence.intents.length > 0),
      ({ sentence }) => sentence.intents.map(({ name }) => name),
    ),
    kinds: shares(verdicts, ({ sentence }) => sentence.kinds),
    tenths,
    calibrationError: confident.length === 0 ? undefined : error / confident.length,
    medianMs: quantile(times, 0.5),
    p95Ms: quantile(times, 0.95),
  };
}
