/**
 * Prompt lookup: what followed the last time that the text ended like this? Drafts cost nothing to make, and where an
 * answer copies or edits its prompt they are often right. (Saxena 2023, "Prompt Lookup Decoding".)
 */

/** Ends of this many tokens are looked up, the longest first. */
const NGRAMS = [3, 2, 1];

export class PromptLookup {
  private readonly ids: number[] = [];
  /** For each n-gram, where what follows its latest occurrence begins; by length. */
  private readonly following = NGRAMS.map(() => new Map<string, number>());

  constructor(ids: readonly number[]) {
    for (const id of ids) this.push(id);
  }

  /** Adds a token of the text. */
  push(id: number): void {
    // Of the n-grams before this token it is now known what follows; the end itself must not find itself.
    const { length } = this.ids;
    NGRAMS.forEach((n, i) => {
      if (length >= n) this.following[i].set(this.end(n), length);
    });
    this.ids.push(id);
  }

  /** At most `most` tokens that may come next; often none. */
  draft(most: number): number[] {
    for (const [i, n] of NGRAMS.entries()) {
      const at = this.ids.length >= n ? this.following[i].get(this.end(n)) : undefined;
      if (at !== undefined) return this.ids.slice(at, at + most);
    }
    return [];
  }

  private end(n: number): string {
    return this.ids.slice(-n).join(" ");
  }
}
