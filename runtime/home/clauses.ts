/** The clauses of a sentence, in which every name of the house is only a mark: "kettle on" is "@0 on". */

import type { Reading } from "./reading.ts";

export interface Clause {
  /** Its words, politeness and joiners left out, names as "@" and their number. */
  readonly text: string;
  /** The same without marks. */
  readonly plain: string;
  /** Words [from, to) of the sentence. */
  readonly from: number;
  readonly to: number;
  /** Whether it goes on from the one before with "and". */
  readonly joined: boolean;
}

const JOINERS = new Set(["and", "then", "plus", "but", "also"]);
const PAUSE = /[,;:!?–—…]|\.(?:\s|$)|\s-\s/;
const LEADING =
  /^(?:please|ok|okay|alright|hey|hi|oh|um|uh|er|hmm|so|well|right|now|just|kindly|quickly|quick|also|then|and|could you|can you|would you|will you|i want you to|i need you to|i'd like you to|go ahead and|would you mind|do me a favou?r|be a dear|be so kind and)(?: |$)/;
const TRAILING =
  /(?:^| )(?:please|now|thanks|thank you|for me|will you|would you|could you|can you|right now|right away|at once|straight away|immediately|then|too|as well|if you would|if you don't mind|quickly|cheers|ta|mate|love|dear|again)$/;

/** The clauses, in order; none for a sentence of nothing but politeness. */
export function clausesOf(reading: Reading): Clause[] {
  const { text, words, mentions } = reading;
  const marked: string[] = words.map((word) => word.text);
  const inside = new Set<number>();
  mentions.forEach(({ from, to }, index) => {
    for (let i = from; i < to; i++) {
      marked[i] = i === from ? `@${index}` : "";
      if (i > from) inside.add(i);
    }
  });
  const clauses: Clause[] = [];
  let from = 0;
  const end = (to: number) => {
    const polite = stripped(marked.slice(from, to).filter(Boolean).join(" "));
    const plain = stripped(
      words
        .slice(from, to)
        .map((word) => word.text)
        .join(" "),
    );
    const joined = from > 0 && /^(?:and|plus|also)$/.test(words[from].text);
    if (plain !== "") clauses.push({ text: polite, plain, from, to, joined });
    from = to;
  };
  for (let i = 1; i < words.length; i++) {
    if (inside.has(i)) continue;
    if (PAUSE.test(text.slice(words[i - 1].to, words[i].from)) || JOINERS.has(words[i].text)) end(i);
  }
  end(words.length);
  return clauses;
}

function stripped(text: string): string {
  let out = text.trim();
  for (let before = ""; before !== out; ) {
    before = out;
    out = out
      .replace(LEADING, "")
      .replace(/^(?:but|plus) /, "")
      .replace(TRAILING, "")
      .trim();
  }
  return out;
}
