/**
 * A sequence of tokens and its key/value cache: the rows of a pass that extend it, and what happens when it is full.
 * window.ts knows which tokens the cache holds, places.ts where its bytes lie.
 */

import type { Kernels } from "../compute/kernels.ts";
import type { Layout } from "../plan/layout.ts";
import { Places } from "./places.ts";
import { Window } from "./window.ts";

/** What caches lie in. */
export interface CacheMemory {
  layout: Layout;
  buffer: ArrayBufferLike;
  kernels: Pick<Kernels, "turn_keys">;
}

/** One token of a pass. */
export interface Row {
  id: number;
  /** Its place in its sequence's cache. */
  place: number;
  /** Tokens before it, also those that its cache does not hold any more. */
  position: number;
  sequence: number;
}

export class Sequence {
  private readonly window: Window;
  private readonly places: Places;

  constructor(
    private readonly memory: CacheMemory,
    private readonly index = 0,
  ) {
    const { kernels, layout, buffer } = memory;
    this.window = new Window(layout.contextLength);
    this.places = new Places(kernels, layout, buffer, index);
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

  /** The rows of a pass for `ids` as the next tokens; there is room for them. */
  rows(ids: readonly number[]): Row[] {
    const { used, tokens } = this.window;
    return ids.map((id, i) => ({ id, place: used + i, position: tokens.length + i, sequence: this.index }));
  }

  /** A pass has computed `ids` as the next tokens. */
  push(ids: readonly number[]): void {
    this.window.push(ids);
  }

  /** Bytes of what the cache holds: that of this sequence, or of another in such a cache. */
  cacheBytes(used = this.window.used, dropped = this.dropped): number {
    const { layers } = this.memory.layout.config;
    return layers * this.places.layerBytes(used) + (dropped > 0 ? this.places.sinks.length : 0);
  }

  /** What the cache holds: each layer's places, then, if tokens were dropped, the first keys. A piece lives until the next. */
  *pieces(): Generator<Uint8Array> {
    const { used } = this.window;
    const piece = new Uint8Array(this.places.layerBytes(used));
    for (let layer = 0; layer < this.memory.layout.config.layers; layer++) {
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
    for (let layer = 0; layer < this.memory.layout.config.layers; layer++) {
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

  /** Becomes the first `length` tokens of a sequence that has dropped none, whose `pieces` are `cache`, one after the other. */
  restoreStart(tokens: readonly number[], length: number, cache: Uint8Array): void {
    const layerBytes = this.places.layerBytes(tokens.length);
    for (let layer = 0; layer < this.memory.layout.config.layers; layer++) {
      const piece = cache.subarray(layer * layerBytes, (layer + 1) * layerBytes);
      this.places.copyIn(layer, length, piece, tokens.length);
    }
    this.window.restore(tokens.slice(0, length), 0);
  }

  /** Becomes the first `length` tokens of another sequence, which has dropped none. */
  copyStart(other: Sequence, length: number): void {
    this.places.copyFrom(other.places, length);
    this.window.restore(other.tokens.slice(0, length), 0);
  }
}
