/**
 * Which tokens a sequence has read, which of them its cache still holds, and when the oldest go: the bookkeeping alone.
 *
 *   tokens   | first 32 | dropped … | the rest, to the end |
 *   cache    | first 32 | the rest  | room |                  at most `contextLength` places
 *
 * The first 32 tokens (one tile of the cache; kernels/roll.ts says why they stay) keep their places; any later token's
 * place is its number less `dropped`. Room is made only for a token that has none, so that what goes when depends on
 * the tokens alone, and not on how they were cut into batches.
 */

import { TILE } from "../plan/cache-size.ts";

/** The shortest context that can roll: the first tile, one that goes, and one to go on from. */
export const LEAST_ROLLING_CONTEXT = 3 * TILE;

/** Of a full context, what goes at once: a quarter, in whole tiles. */
const DROPPED_SHARE = 1 / 4;

export class Window {
  /** All tokens, also those that were dropped. */
  readonly tokens: number[] = [];
  private gone = 0;
  /** Tokens that go at once. */
  private readonly step: number;

  constructor(private readonly contextLength: number) {
    this.step = Math.max(TILE, Math.floor((contextLength * DROPPED_SHARE) / TILE) * TILE);
  }

  /** Tokens that are not in the cache any more: those after the first tile. */
  get dropped(): number {
    return this.gone;
  }

  /** Places of the cache that are taken. */
  get used(): number {
    return this.tokens.length - this.gone;
  }

  /** Tokens for which there is room. */
  get room(): number {
    return this.contextLength - this.used;
  }

  push(tokens: readonly number[]): void {
    for (const token of tokens) this.tokens.push(token);
  }

  /** Lets the oldest tokens after the first tile go; returns how many. The context is full, and can roll. */
  roll(): number {
    this.gone += this.step;
    return this.step;
  }

  /** Forgets all but the first `length` tokens; all of them where the cache does not hold those any more. */
  truncate(length: number): void {
    if (length >= this.tokens.length) return;
    if (this.gone > 0 && length < TILE + this.gone) this.restore([], 0);
    else this.tokens.length = length;
  }

  /**
   * Forgets what `ids` does not begin with, and at least its last token. `exact`: also forgets all where reading `ids`
   * anew would by now have dropped less. Returns how many tokens remain.
   */
  rewind(ids: readonly number[], exact: boolean): number {
    const most = Math.min(this.tokens.length, ids.length - 1);
    let same = 0;
    while (same < most && this.tokens[same] === ids[same]) same++;
    this.truncate(exact && this.gone > this.droppedBy(same + 1) ? 0 : same);
    return this.tokens.length;
  }

  /** Becomes another sequence's. */
  restore(tokens: readonly number[], dropped: number): void {
    this.tokens.length = 0;
    this.gone = dropped;
    this.push(tokens);
  }

  /** What has been dropped when the first `count` tokens have been read without a detour. */
  private droppedBy(count: number): number {
    return this.step * Math.ceil(Math.max(0, count - this.contextLength) / this.step);
  }
}
