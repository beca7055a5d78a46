/** The held-out sentences: one JSON document a line, with the intents that are right. `tools/home/README.md` describes them. */

import { readFileSync } from "node:fs";
import type { Intent } from "./effect.ts";

export interface Sentence {
  readonly text: string;
  /** Where it was said: the area of the satellite that heard it. */
  readonly area?: string;
  /** The intents that are right; none where it is no command. */
  readonly intents: readonly Intent[];
  /** Other answers that are as right. */
  readonly alternatives?: readonly (readonly Intent[])[];
  /** The kinds of fault that it looks for. */
  readonly kinds: readonly string[];
  /** The house that it was said in, where a file holds those of several. */
  readonly house?: string;
}

export const readSentences = (file: string): Sentence[] =>
  readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map((line) => JSON.parse(line) as Sentence);

/** Every answer that is right. */
export const rightAnswers = ({ intents, alternatives = [] }: Sentence): (readonly Intent[])[] => [
  intents,
  ...alternatives,
];

export const isCommand = (sentence: Sentence): boolean => rightAnswers(sentence).every(({ length }) => length > 0);
export const isSmallTalk = (sentence: Sentence): boolean => rightAnswers(sentence).every(({ length }) => length === 0);
