/**
 * Finds stop texts in a stream, wherever token borders fall. The match that is complete first ends the stream; of
 * those that end with the same character the longest counts. How the stream is cut into pushes makes no difference.
 */

import { PiPhiError } from "../errors.ts";

/** One stop text with its Knuth-Morris-Pratt automaton: linear time, and `matched` is what must be held back. */
class Pattern {
  matched = 0;
  readonly #text: string;
  /** borders[i]: length of the longest proper prefix of text[0..i] that is also its suffix. */
  readonly #borders: Int32Array;

  constructor(text: string) {
    this.#text = text;
    this.#borders = new Int32Array(text.length);
    for (let i = 1, border = 0; i < text.length; i++) {
      while (border > 0 && text[i] !== text[border]) border = this.#borders[border - 1];
      if (text[i] === text[border]) border++;
      this.#borders[i] = border;
    }
  }

  /** Advances by one UTF-16 unit; true when the text is complete. */
  step(unit: string): boolean {
    while (this.matched > 0 && unit !== this.#text[this.matched]) this.matched = this.#borders[this.matched - 1];
    if (unit === this.#text[this.matched]) this.matched++;
    return this.matched === this.#text.length;
  }
}

export class StopMatcher {
  readonly #patterns: readonly Pattern[];
  #held = "";
  #stopped = false;

  /** Throws E_USAGE for what is no text, and for an empty one, which would end every answer before it begins. */
  constructor(stops: readonly string[]) {
    if (!Array.isArray(stops) || stops.some((stop) => typeof stop !== "string")) {
      throw new PiPhiError("E_USAGE", 'The stop texts must be an array of texts. Pass one, such as ["\\n"].', {
        option: "stop",
      });
    }
    const empty = stops.indexOf("");
    if (empty >= 0) {
      throw new PiPhiError("E_USAGE", `Stop text ${empty} is empty. Leave it out.`, { option: "stop", index: empty });
    }
    this.#patterns = stops.map((stop) => new Pattern(stop));
  }

  /** Takes the next text and returns what is certain not to belong to a stop text. Nothing follows once `stopped`. */
  push(text: string): { text: string; stopped: boolean } {
    if (this.#stopped) return { text: "", stopped: true };
    const heldLength = this.#held.length;
    const seen = this.#held + text;
    for (let i = 0; i < text.length; i++) {
      let complete = 0;
      for (const pattern of this.#patterns) {
        if (pattern.step(text[i])) complete = Math.max(complete, pattern.matched);
      }
      if (complete === 0) continue;
      this.#stopped = true;
      this.#held = "";
      return { text: seen.slice(0, heldLength + i + 1 - complete), stopped: true };
    }
    const safe = seen.length - this.#patterns.reduce((most, { matched }) => Math.max(most, matched), 0);
    this.#held = seen.slice(safe);
    return { text: seen.slice(0, safe), stopped: false };
  }

  /** At the end of the stream: what was held back in case a stop text would follow. */
  flush(): string {
    const held = this.#held;
    this.#held = "";
    this.#stopped = true;
    return held;
  }
}
