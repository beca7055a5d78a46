/**
 * The tokens by which the embedded model is asked about a home, beside the pieces of words: they mark names in the sentence,
 * and the answer is made of them. They stand behind the words' tokens in the model's vocabulary, in this order; no text
 * becomes one.
 */

import tokens from "./tokens.json" with { type: "json" };

/** Ids below are pieces of words, this one ends an answer, and the tokens of tokens.json follow. */
export const END_ID = 1023;
const FIRST_ID = 1024;

export const HOME_TOKENS: readonly string[] = tokens;

const ids = new Map(HOME_TOKENS.map((token, i) => [token, FIRST_ID + i]));

/** The id of a token such as "<i:HassTurnOn>"; undefined where the model has none. */
export function tokenId(token: string): number | undefined {
  return ids.get(token);
}

/** For tokens that are there by construction. */
export function idFor(token: string): number {
  return ids.get(token)!;
}

/** "<i:HassTurnOn>", or undefined for a piece of a word. */
export function tokenOf(id: number): string | undefined {
  return HOME_TOKENS[id - FIRST_ID];
}
