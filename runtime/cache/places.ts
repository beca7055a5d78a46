/**
 * The bytes of a sequence's cache: where its places lie, how the oldest go, and how all of them leave the memory and come
 * back. Places move and leave in whole tiles of 32 (kernels/cache.ts draws them).
 */

import type { Kernels } from "../compute/kernels.ts";
import { sinkBytes, TILE } from "../plan/cache-size.ts";
import type { Layout } from "../plan/layout.ts";
import { roundUp } from "../weights/shape.ts";
import { writeRotations } from "./rope.ts";

/** One kind of a head's bytes: keys, values, their scales. */
interface Stretch {
  /** From the head's first byte on. */
  offset: number;
  /** Of each place. */
  bytes: number;
  /** Whether rotation changes it. */
  ofKeys: boolean;
}

function stretchesOf({ kv, cachePositions, config }: Layout): Stretch[] {
  const rowBytes = config.headDim * (kv === "f16" ? 2 : 1);
  const rows = cachePositions * rowBytes;
  const keysAndValues = [
    { offset: 0, bytes: rowBytes, ofKeys: true },
    { offset: rows, bytes: rowBytes, ofKeys: false },
  ];
  if (kv === "f16") return keysAndValues;
  const scales = [
    { offset: 2 * rows, bytes: 2, ofKeys: true },
    { offset: 2 * rows + 2 * cachePositions, bytes: 2, ofKeys: false },
  ];
  return [...keysAndValues, ...scales];
}

export class Places {
  private readonly bytes: Uint8Array;
  private readonly stretches: readonly Stretch[];
  private readonly cache: number;
  private readonly headBytes: number;

  constructor(
    private readonly kernels: Pick<Kernels, "turn_keys">,
    private readonly layout: Layout,
    private readonly buffer: ArrayBufferLike,
    /** Which of the sequences. */
    index: number,
  ) {
    this.bytes = new Uint8Array(buffer);
    this.stretches = stretchesOf(layout);
    this.cache = layout.kvCache + index * layout.kvSequenceBytes;
    this.headBytes = layout.kvLayerBytes / layout.config.heads;
  }

  /**
   * Moves what lies behind `count` places after the first tile down over them; `used` places were taken. The first tile's
   * keys are turned to where they lie now, `dropped` tokens later than at first, from what they were at first: so
   * that they are rounded once more, however often this happens.
   */
  roll(used: number, count: number, dropped: number): void {
    const { layout, buffer, kernels } = this;
    const { config, cachePositions, rotations, threadScratch, attentionScratchOffset } = layout;
    const [from, end] = [TILE + count, roundUp(used, TILE)];
    const first = dropped === count;
    writeRotations(layout, buffer, [dropped]);
    let kept = this.sinks.byteOffset;
    for (let head = 0; head < config.layers * config.heads; head++) {
      const cache = this.cache + head * this.headBytes;
      for (const { offset, bytes, ofKeys } of this.stretches) {
        const at = cache + offset;
        this.bytes.copyWithin(at + TILE * bytes, at + from * bytes, at + end * bytes);
        if (!ofKeys) continue;
        if (first) this.bytes.copyWithin(kept, at, at + TILE * bytes);
        else this.bytes.copyWithin(at, kept, kept + TILE * bytes);
        kept += TILE * bytes;
      }
      kernels.turn_keys(
        ...([layout.kv === "f16", cache, cachePositions, config.headDim, config.rotaryDim] as const),
        ...([rotations, threadScratch + attentionScratchOffset] as const),
      );
    }
  }

  /** The first tile's keys as they were before any rotation; of use once something was dropped. */
  get sinks(): Uint8Array {
    const { kvLayerBytes, config, kv } = this.layout;
    const at = this.cache + config.layers * kvLayerBytes;
    return this.bytes.subarray(at, at + sinkBytes(config, kv));
  }

  /** Bytes of one layer's first `used` places. */
  layerBytes(used: number): number {
    const perPlace = this.stretches.reduce((sum, { bytes }) => sum + bytes, 0);
    return this.layout.config.heads * roundUp(used, TILE) * perPlace;
  }

  /** Copies a layer's first `used` places, [head][stretch], into layerBytes(used) bytes. */
  copyOut(layer: number, used: number, into: Uint8Array): void {
    const count = roundUp(used, TILE);
    let at = 0;
    for (const { start, bytes } of this.spans(layer)) {
      into.set(this.bytes.subarray(start, start + count * bytes), at);
      at += count * bytes;
    }
  }

  /** Copies the first `used` places back from where `copyOut` wrote the first `of`. */
  copyIn(layer: number, used: number, from: Uint8Array, of = used): void {
    const [count, stored] = [roundUp(used, TILE), roundUp(of, TILE)];
    let at = 0;
    for (const { start, bytes } of this.spans(layer)) {
      this.bytes.set(from.subarray(at, at + count * bytes), start);
      at += stored * bytes;
    }
  }

  /** Copies the first `used` places of another sequence's cache. */
  copyFrom(other: Places, used: number): void {
    const count = roundUp(used, TILE);
    for (let layer = 0; layer < this.layout.config.layers; layer++) {
      for (const { start, bytes } of this.spans(layer)) {
        const from = start - this.cache + other.cache;
        this.bytes.copyWithin(start, from, from + count * bytes);
      }
    }
  }

  /** Where each stretch of a layer begins, and the bytes of each of its places. */
  private *spans(layer: number): Generator<{ start: number; bytes: number }> {
    const { heads } = this.layout.config;
    for (let head = layer * heads; head < (layer + 1) * heads; head++) {
      for (const { offset, bytes } of this.stretches) {
        yield { start: this.cache + head * this.headBytes + offset, bytes };
      }
    }
  }
}
