/**
 * Which tokens a sequence has in its key/value cache, and the batches that extend it.
 * The cache itself lies in linear memory (kernels/attention.ts draws it); here is only its bookkeeping.
 */

import type { Member } from "../compute/member.ts";
import type { Layout } from "./plan.ts";

/** Lets messages in between batches where a cancel cannot come through shared memory; false = stop. */
export type Pause = () => Promise<boolean>;

export class Sequence {
  /** The tokens whose keys and values are in the cache, position by position. */
  private readonly cached: number[] = [];

  constructor(
    private readonly leader: Member,
    private readonly layout: Layout,
    private readonly buffer: ArrayBufferLike,
    private readonly index = 0,
  ) {}

  get length(): number {
    return this.cached.length;
  }

  /** Forgets what `ids` does not begin with, and at least its last token. Returns how many tokens remain. */
  rewind(ids: readonly number[]): number {
    let same = 0;
    const most = Math.min(this.cached.length, ids.length - 1);
    while (same < most && this.cached[same] === ids[same]) same++;
    this.cached.length = Math.max(0, same);
    return same;
  }

  /**
   * Computes `ids` as the next tokens, in batches; `logitsOf` is "last" (of the last token only) or "all".
   * `onLogits` gets each batch's rows of the vocabulary's logits, which live only until it returns.
   * Returns false, with the finished batches cached, where the team was stopped or `pause` says so.
   */
  async extend(
    ids: readonly number[],
    logitsOf: "last" | "all",
    pause: Pause,
    onLogits: (rows: Float32Array[]) => void,
  ): Promise<boolean> {
    const { batchTokens, logitsRows } = this.layout;
    const step = logitsOf === "all" ? logitsRows : batchTokens;
    for (let at = 0; at < ids.length; at += step) {
      const batch = ids.slice(at, at + step);
      const last = at + step >= ids.length;
      const from = logitsOf === "all" ? 0 : last ? batch.length - 1 : batch.length;
      if (!this.compute(batch, from) || !(await pause())) return false;
      if (from < batch.length) onLogits(this.logits(batch.length - from));
    }
    return true;
  }

  private compute(batch: readonly number[], logitsFrom: number): boolean {
    const { ids, positions, caches, kvCache, kvSequenceBytes } = this.layout;
    const start = this.cached.length;
    new Int32Array(this.buffer, ids, batch.length).set(batch);
    new Int32Array(this.buffer, positions, batch.length).set(batch.map((_, i) => start + i));
    new Uint32Array(this.buffer, caches, batch.length).fill(kvCache + this.index * kvSequenceBytes);
    if (!this.leader.forward(batch.length, logitsFrom)) return false;
    this.cached.push(...batch);
    return true;
  }

  private logits(rows: number): Float32Array[] {
    const { logits, logitsStride, config } = this.layout;
    return Array.from({ length: rows }, (_, row) => {
      return new Float32Array(this.buffer, logits + row * logitsStride, config.vocabSize);
    });
  }
}
