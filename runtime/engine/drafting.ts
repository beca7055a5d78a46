/** Guesses at the tokens that come next, and how they fare. */

import { PromptLookup } from "../text/lookup.ts";

/** Drafts by prompt lookup. */
export class Drafting {
  readonly counts = { passes: 0, proposed: 0, accepted: 0 };
  private readonly lookup: PromptLookup;
  private seen = 0;

  constructor(
    prompt: readonly number[],
    private readonly most: number,
  ) {
    this.lookup = new PromptLookup(prompt);
  }

  draft(room: number): number[] {
    return this.lookup.draft(Math.min(this.most, room));
  }

  /** After a pass: `tokens` of the answer so far. */
  pass(proposed: number, accepted: number, tokens: readonly number[]): void {
    this.counts.passes++;
    this.counts.proposed += proposed;
    this.counts.accepted += accepted;
    while (this.seen < tokens.length) this.lookup.push(tokens[this.seen++]);
  }
}
