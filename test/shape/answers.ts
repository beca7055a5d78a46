/** Answers as a model without sense gives them: any token that the shape allows, with a liking for ends. */

import type { ShapeOptions } from "../../runtime/api.ts";
import { Shapes } from "../../runtime/shape/shapes.ts";
import { createTokenizer, type Tokenizer } from "../../runtime/text/tokenizer.ts";
import { phi2Vocabulary } from "../fixtures/phi2-vocabulary.ts";
import { Random } from "../fixtures/random-blocks.ts";

export const phi2: Tokenizer = createTokenizer(phi2Vocabulary());
export const shapesOfPhi2 = new Shapes(phi2);

const ENDS = new Set(['"', "}", "]", ",", ")", '"}', '"]', "0", "."]);

/** The text, and whether it is complete. */
export function randomAnswer(
  options: ShapeOptions,
  seed: number,
  { most = 400, shapes = shapesOfPhi2, tokenizer = phi2 } = {},
): { text: string; complete: boolean; tokens: number; sampled: number } {
  const random = new Random(seed);
  const constraint = shapes.constraint(options)!;
  const endings = endingsOf(tokenizer);
  const ids: number[] = [];
  let sampled = 0;
  while (ids.length < most) {
    if (constraint.complete) return { text: tokenizer.decode(ids), complete: true, tokens: ids.length, sampled };
    const forced = constraint.forced();
    if (forced.length > 0) {
      for (const id of forced) constraint.push(id);
      ids.push(...forced);
      continue;
    }
    const allowed = allowedIds(constraint.allowed());
    const ends = allowed.filter((id) => endings.has(id));
    const from = ends.length > 0 && random.uniform() < 0.1 + ids.length / most ? ends : allowed;
    const id = from[Math.floor(random.uniform() * from.length)];
    sampled++;
    if (tokenizer.eosIds.has(id)) return { text: tokenizer.decode(ids), complete: true, tokens: ids.length, sampled };
    constraint.push(id);
    ids.push(id);
  }
  return { text: tokenizer.decode(ids), complete: false, tokens: ids.length, sampled };
}

const known = new Map<Tokenizer, Set<number>>();

/** Tokens that end a value, or the answer. */
function endingsOf(tokenizer: Tokenizer): Set<number> {
  let endings = known.get(tokenizer);
  if (!endings) {
    const all = Array.from({ length: tokenizer.vocabSize }, (_, id) => id);
    endings = new Set(all.filter((id) => tokenizer.eosIds.has(id) || ENDS.has(tokenizer.pieces([id])[0])));
    known.set(tokenizer, endings);
  }
  return endings;
}

/** Whether an answer may be this text, as far as its bytes go, and end with it. */
export function takes(options: ShapeOptions, text: string, shapes = shapesOfPhi2): boolean {
  const constraint = shapes.constraint(options)!;
  for (const byte of new TextEncoder().encode(text)) {
    const id = byteId(byte);
    if (constraint.complete || !(constraint.allowed()[id >> 5] & (1 << (id & 31)))) return false;
    constraint.push(id);
  }
  const [end] = phi2.eosIds;
  return constraint.complete || (constraint.allowed()[end >> 5] & (1 << (end & 31))) !== 0;
}

/** The token of one byte. */
function byteId(byte: number): number {
  const alone = (id: number) => phi2.bytes(id).length === 1;
  byteIds ??= new Map(
    Array.from({ length: phi2.vocabSize }, (_, id) => id)
      .filter(alone)
      .map((id) => [phi2.bytes(id)[0], id]),
  );
  return byteIds.get(byte)!;
}
let byteIds: Map<number, number> | undefined;

export function allowedIds(mask: Uint32Array): number[] {
  const ids: number[] = [];
  mask.forEach((word, i) => {
    for (let rest = word; rest !== 0; rest &= rest - 1) ids.push(i * 32 + 31 - Math.clz32(rest & -rest));
  });
  return ids;
}
