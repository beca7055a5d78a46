/**
 * A sequence of tokens and its key/value cache: the batches that extend it, and what happens when it is full. window.ts
 * knows which tokens the cache holds, places.ts where its bytes lie.
 */

import type { Member } from "../engine/member.ts";
import type { PiPhiError } from "../errors.ts";
import type { Layout } from "../plan/layout.ts";
import { Places } from "./places.ts";
import { writeRotations } from "./rope.ts";
import { Window } from "./window.ts";

/** Lets messages in between batches where a cancel cannot come through shared memory; false = stop. */
export type Pause = () => Promise<boolean>;

/** What sequences are computed with. */
export interface Compute {
  leader: Member;
  layout: Layout;
  buffer: ArrayBufferLike;
  /** Why weights could not be read, after a pass that ended so. */
  fault(): Promise<PiPhiError>;
}

/** One token of a batch. */
interface Row {
  id: number;
  /** Its place in its sequence's cache. */
  place: number;
  /** Tokens before it, also those that its cache does not hold any more. */
  position: number;
  sequence: number;
}

/** Runs a batch; false where it was stopped. Throws E_FILE_READ and the like where weights could not be read. */
async function computeRows(
  { leader, layout, buffer, fault }: Compute,
  rows: readonly Row[],
  logitsFrom: number,
): Promise<boolean> {
  const { ids, positions, caches, kvCache, kvSequenceBytes } = layout;
  const count = rows.length;
  new Int32Array(buffer, ids, count).set(rows.map(({ id }) => id));
  new Int32Array(buffer, positions, count).set(rows.map(({ place }) => place));
  writeRotations(
    layout,
    buffer,
    rows.map(({ position }) => position),
  );
  new Uint32Array(buffer, caches, count).set(rows.map(({ sequence }) => kvCache + sequence * kvSequenceBytes));
  const end = leader.forward(
    rows.map(({ id }) => id),
    logitsFrom,
  );
  if (end === "fault") throw await fault();
  return end === "done";
}

/** The last batch's logits, which live until the next batch. */
function logitsRows({ layout, buffer }: Compute, count: number): Float32Array[] {
  const { logits, logitsStride, config } = layout;
  return Array.from({ length: count }, (_, row) => {
    return new Float32Array(buffer, logits + row * logitsStride, config.vocabSize);
  });
}

export class Sequence {
  private readonly window: Window;
  private readonly places: Places;

  constructor(
    private readonly compute: Compute,
    private readonly index = 0,
  ) {
    const { leader, layout, buffer } = compute;
    this.window = new Window(layout.contextLength);
    this.places = new Places(leader.kernels, layout, buffer, index);
  }

  /** All tokens, also those that were dropped. */
  get tokens(): readonly number[] {
    return this.window.tokens;
  }

  get length(): number {
    return this.window.tokens.length;
  }

  /** Tokens that left the cache to make room. */
  get dropped(): number {
    return this.window.dropped;
  }

  /** Tokens that can follow before others must go. */
  get room(): number {
    return this.window.room;
  }

  /** See Window. */
  rewind(ids: readonly number[], exact = true): number {
    return this.window.rewind(ids, exact);
  }

  /** Forgets all but the first `length` tokens. */
  truncate(length: number): void {
    this.window.truncate(length);
  }

  /** Drops the oldest tokens if the cache is full. */
  makeRoom(): void {
    const { window, places } = this;
    if (window.room > 0) return;
    const { used } = window;
    const count = window.roll();
    places.roll(used, count, window.dropped);
  }

  /**
   * Computes `ids` as the next tokens, in batches, dropping the oldest where there is no room; `logitsOf` is "last" (of the
   * last token only) or "all".
   * `onLogits` gets each batch's rows of the vocabulary's logits, which live only until it returns.
   * Returns false, with the finished batches cached, where the team was stopped or `pause` says so.
   */
  async extend(
    ids: readonly number[],
    logitsOf: "last" | "all",
    pause: Pause,
    onLogits: (rows: Float32Array[]) => void,
  ): Promise<boolean> {
    const { batchTokens, logitsRows: mostRows } = this.compute.layout;
    const step = logitsOf === "all" ? mostRows : batchTokens;
    for (let at = 0; at < ids.length; ) {
      this.makeRoom();
      const batch = ids.slice(at, at + Math.min(step, this.room));
      at += batch.length;
      const from = logitsOf === "all" ? 0 : at === ids.length ? batch.length - 1 : batch.length;
      const rows = batch.map((id, i) => this.row(id, i));
      if (!(await computeRows(this.compute, rows, from))) return false;
      this.window.push(batch);
      if (!(await pause())) return false;
      if (from < batch.length) onLogits(logitsRows(this.compute, batch.length - from));
    }
    return true;
  }

  /** Bytes of what the cache holds: that of this sequence, or of another in such a cache. */
  cacheBytes(used = this.window.used, dropped = this.dropped): number {
    const { layers } = this.compute.layout.config;
    return layers * this.places.layerBytes(used) + (dropped > 0 ? this.places.sinks.length : 0);
  }

  /** What the cache holds: each layer's places, then, if tokens were dropped, the first keys. A piece lives until the next. */
  *pieces(): Generator<Uint8Array> {
    const { used } = this.window;
    const piece = new Uint8Array(this.places.layerBytes(used));
    for (let layer = 0; layer < this.compute.layout.config.layers; layer++) {
      this.places.copyOut(layer, used, piece);
      yield piece;
    }
    if (this.dropped > 0) yield this.places.sinks.slice();
  }

  /** Becomes a sequence that `pieces` took out: `read` fills one after the other. What it throws leaves no tokens. */
  restore(tokens: readonly number[], dropped: number, read: (into: Uint8Array) => void): void {
    this.window.truncate(0);
    const used = tokens.length - dropped;
    const piece = new Uint8Array(this.places.layerBytes(used));
    for (let layer = 0; layer < this.compute.layout.config.layers; layer++) {
      read(piece);
      this.places.copyIn(layer, used, piece);
    }
    if (dropped > 0) {
      const sinks = new Uint8Array(this.places.sinks.length);
      read(sinks);
      this.places.sinks.set(sinks);
    }
    this.window.restore(tokens, dropped);
  }

  /**
   * Computes the next token of several sequences in one pass over the weights. Returns their logits, which live until
   * the next pass; undefined where the team was stopped.
   */
  static async advance(
    compute: Compute,
    sequences: readonly Sequence[],
    ids: readonly number[],
  ): Promise<Float32Array[] | undefined> {
    for (const sequence of sequences) sequence.makeRoom();
    const rows = sequences.map((sequence, i) => sequence.row(ids[i], 0));
    if (!(await computeRows(compute, rows, 0))) return undefined;
    sequences.forEach(({ window }, i) => {
      window.push([ids[i]]);
    });
    return logitsRows(compute, sequences.length);
  }

  /** The token that comes `after` the next one. */
  private row(id: number, after: number): Row {
    const { used, tokens } = this.window;
    return { id, place: used + after, position: tokens.length + after, sequence: this.index };
  }
}
