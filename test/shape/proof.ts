/**
 * Asks a model for answers of every shape of the corpora, and has each that is complete judged. An answer depends on its
 * number and the seed alone, so that each can be asked for again.
 */

import { type Ask, type Case, CHOICES, EXPRESSIONS, GRAMMARS, SCHEMAS } from "./corpus.ts";
import { type Judge, judgeOf } from "./judges.ts";

/** A request for one answer, and what comes of it. */
export type Answerer = (ask: Ask, seed: number) => Promise<{ text: string; stopReason: string }>;

export interface Report {
  answers: number;
  complete: number;
  /** Cut by the limit of tokens: what they would have become is not known. */
  cut: number;
  /** Shapes of which no answer was complete. */
  neverComplete: string[];
}

/** Kinds take turns, so that a short proof has some of each; most are schemas, as there are most of them. */
const KINDS: readonly (readonly [kind: string, cases: readonly Case[]])[] = [
  ["schema", SCHEMAS],
  ["regex", EXPRESSIONS],
  ["schema", SCHEMAS],
  ["grammar", GRAMMARS],
  ["schema", SCHEMAS],
  ["choices", CHOICES],
];

/** The case of an answer's number, the same for any count of answers. */
export function caseOf(number: number): { kind: string; name: string; ask: Ask } {
  const turn = number % KINDS.length;
  const round = Math.floor(number / KINDS.length);
  const [kind, cases] = KINDS[turn];
  const turnsOfKind = KINDS.flatMap(([other], i) => (other === kind ? [i] : []));
  const { name, ask } = cases[(round * turnsOfKind.length + turnsOfKind.indexOf(turn)) % cases.length];
  return { kind, name, ask };
}

/** Asked for side by side: as many as an engine takes, and some that wait. */
const AT_ONCE = 8;

/** Answers `from` to `to`. Throws for the first that is wrong, and says how to ask for it again. */
export async function prove(answer: Answerer, seed: number, from: number, to: number): Promise<Report> {
  const judges = new Map<Ask, Judge>();
  const complete = new Map<string, number>();
  let cut = 0;
  const proveOne = async (number: number) => {
    const { kind, name, ask } = caseOf(number);
    let judge = judges.get(ask);
    if (!judge) judges.set(ask, (judge = judgeOf(ask)));
    const again = `SHAPES_SEED=${seed} SHAPES_FROM=${number} (${kind}: ${name})`;
    const { text, stopReason } = await answer(ask, seed + number).catch((error) => {
      throw new Error(`${again}: ${error}`, { cause: error });
    });
    const isCut = stopReason === "length";
    if (!isCut && stopReason !== "eos") throw new Error(`${again}: ended by ${stopReason}`);
    const wrong = isCut ? undefined : judge(text);
    if (wrong) throw new Error(`${again}: ${wrong}`);
    const shape = `${kind}: ${name}`;
    complete.set(shape, (complete.get(shape) ?? 0) + (isCut ? 0 : 1));
    if (isCut) cut++;
  };
  for (let first = from; first < to; first += AT_ONCE) {
    const numbers = Array.from({ length: Math.min(AT_ONCE, to - first) }, (_, i) => first + i);
    await Promise.all(numbers.map(proveOne));
  }
  const answers = to - from;
  const neverComplete = [...complete].flatMap(([name, count]) => (count === 0 ? [name] : []));
  return { answers, complete: answers - cut, cut, neverComplete };
}
