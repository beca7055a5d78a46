/** A vocabulary of all bytes and little else, so that many shapes can be tried quickly, also by tokens that cut characters. */

import { Shapes } from "../../runtime/shape/shapes.ts";
import type { Spelling } from "../../runtime/shape/vocabulary.ts";
import type { Random } from "../fixtures/random-blocks.ts";
import type { Ask } from "./corpus.ts";

const LONGER = ['":', '","', '{"', '"}', "}}", "true", "null", "00", "12", "ab", "bb", "é", "日本", "\n\n", "  "];
const CUT = [
  Uint8Array.of(0x22, 0xc3),
  Uint8Array.of(0xa9, 0x22),
  Uint8Array.of(0xe6, 0x97),
  Uint8Array.of(0x98, 0x80, 0x61),
];
/** Ends a text; token i before it is byte i. */
const END = 256;
const tokens: readonly Uint8Array[] = [
  ...Array.from({ length: END }, (_, byte) => Uint8Array.of(byte)),
  new Uint8Array(),
  ...LONGER.map((text) => new TextEncoder().encode(text)),
  ...CUT,
];

/** Spells a text by its bytes, as a tokenizer without merges would. */
const spelling: Spelling = {
  vocabSize: tokens.length,
  eosIds: new Set([END]),
  bytes: (id) => tokens[id],
  encode: (text) => [...new TextEncoder().encode(text)],
};

function idsOf(mask: Uint32Array): number[] {
  return tokens.flatMap((_, id) => (mask[id >> 5] & (1 << (id & 31)) ? [id] : []));
}

/** Shapes of this vocabulary; a new one for each shape forgets what it has learnt. */
export class ByteAnswers {
  private readonly shapes = new Shapes(spelling);

  /** Throws E_SHAPE as the runtime does. */
  constructor(private readonly ask: Ask) {
    this.shapes.constraint(ask as object);
  }

  /** Whether an answer may be this text. */
  allows(text: string): boolean {
    const constraint = this.shapes.constraint(this.ask as object)!;
    for (const byte of new TextEncoder().encode(text)) {
      if (constraint.complete || !idsOf(constraint.allowed()).includes(byte)) return false;
      constraint.push(byte);
    }
    return constraint.complete || idsOf(constraint.allowed()).includes(END);
  }

  /** A complete answer of tokens by chance; undefined where it has not ended after so many. Throws where it is no UTF-8. */
  answer(random: Random, most: number): string | undefined {
    const constraint = this.shapes.constraint(this.ask as object)!;
    const ids: number[] = [];
    while (!constraint.complete) {
      if (ids.length >= most) return undefined;
      const forced = constraint.forced();
      const allowed = forced.length > 0 ? forced : idsOf(constraint.allowed());
      if (allowed.length === 0) throw new Error(`nothing may follow ${JSON.stringify(textOf(ids, false))}`);
      if (allowed.includes(END) && random.uniform() < 0.3) break;
      const closing = allowed.filter((id) => id < END && '"}]'.includes(String.fromCharCode(id)));
      const some = closing.length > 0 && random.uniform() < 0.25 ? closing : allowed.filter((id) => id !== END);
      const chosen = forced.length > 0 ? forced : [some[Math.floor(random.uniform() * some.length)]];
      for (const id of chosen) constraint.push(id);
      ids.push(...chosen);
    }
    return textOf(ids, true);
  }
}

function textOf(ids: readonly number[], fatal: boolean): string {
  const bytes = Uint8Array.from(ids.flatMap((id) => [...tokens[id]]));
  return new TextDecoder("utf-8", { fatal, ignoreBOM: true }).decode(bytes);
}
