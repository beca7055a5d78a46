/** Answers held to a shape: its network and a vocabulary, made once, and each answer's way through it. */

import { PiPhiError } from "../errors.ts";
import type { Constraint } from "../text/constraint.ts";
import { compileNetwork } from "./network.ts";
import type { Rules } from "./part.ts";
import type { Vocabulary } from "./vocabulary.ts";
import { type Place, Walk } from "./walk.ts";

/** Tokens that must follow are appended in pieces: a pass has room for a few dozen rows. */
const MOST_FORCED_BYTES = 256;
/** Masks that are remembered: 6 KB each for Phi-2's vocabulary. */
const MOST_MASKS = 1024;

/** A shape for one vocabulary; what it has found out serves all answers. */
export class Shape {
  readonly walk: Walk;
  private readonly masks = new Map<Place, Uint32Array>();
  private readonly followers = new Map<Place, readonly number[]>();

  constructor(
    rules: Rules,
    private readonly vocabulary: Vocabulary,
  ) {
    this.walk = new Walk(compileNetwork(rules));
  }

  constraint(): Constraint {
    return new HeldAnswer(this, this.vocabulary);
  }

  mask(place: Place): Uint32Array {
    return remembered(this.masks, place, () => this.vocabulary.mask(this.walk, place));
  }

  /** The tokens that must follow, spelled as the tokenizer spells them. */
  forced(place: Place): readonly number[] {
    return remembered(this.followers, place, () => this.follow(place));
  }

  private follow(from: Place): number[] {
    const bytes: number[] = [];
    let place = from;
    for (;;) {
      const byte = bytes.length < MOST_FORCED_BYTES ? this.walk.onlyByte(place) : undefined;
      if (byte === undefined) break;
      bytes.push(byte);
      place = this.walk.step(place, byte)!;
    }
    return bytes.length === 0 ? [] : this.spell(from, Uint8Array.from(bytes));
  }

  /** All up to a token that the model could have written longer, or that ends within a character. */
  private spell(from: Place, bytes: Uint8Array): number[] {
    const { spelling } = this.vocabulary;
    const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes, { stream: true });
    const ids = spelling.encode(text);
    // What follows can change only how the last run of letters, digits or signs is cut: `",` goes on as `","`.
    const [lastRun = ""] = /(?: ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+)$/u.exec(text) ?? [];
    const settled = bytes.length - new TextEncoder().encode(lastRun).length;
    const certain: number[] = [];
    let place = from;
    let at = 0;
    for (const id of ids) {
      const own = spelling.bytes(id);
      if (own.some((byte, j) => byte !== bytes[at + j])) break; // a character had begun before
      at += own.length;
      if (at > settled && this.vocabulary.canBeLonger(this.walk, place, own)) break;
      certain.push(id);
      for (const byte of own) place = this.walk.step(place, byte)!;
    }
    return certain;
  }
}

function remembered<T>(known: Map<Place, T>, place: Place, make: () => T): T {
  let value = known.get(place);
  if (value === undefined) {
    if (known.size >= MOST_MASKS) known.clear();
    known.set(place, (value = make()));
  }
  return value;
}

class HeldAnswer implements Constraint {
  private place: Place;

  constructor(
    private readonly shape: Shape,
    private readonly vocabulary: Vocabulary,
  ) {
    this.place = shape.walk.start;
  }

  get complete(): boolean {
    return this.place.accepts && !this.place.continues;
  }

  allowed(): Uint32Array {
    return this.shape.mask(this.place);
  }

  forced(): readonly number[] {
    return this.shape.forced(this.place);
  }

  push(id: number): void {
    let place: Place | undefined = this.place;
    const bytes = this.vocabulary.spelling.bytes(id);
    for (const byte of bytes) place &&= this.shape.walk.step(place, byte);
    if (!place || bytes.length === 0) {
      throw new PiPhiError("E_ENGINE", `Token ${id} is not allowed here. This is a fault of PiPhi; report it.`, { id });
    }
    this.place = place;
  }
}
