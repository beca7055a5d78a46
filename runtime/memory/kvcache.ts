/**
 * Which tokens a sequence has in its key/value cache, and the batches that extend it.
 * The cache itself lies in linear memory (kernels/attention.ts draws it); here is only its bookkeeping.
 */

import type { Member } from "../compute/member.ts";
import type { PiPhiError } from "../errors.ts";
import type { Layout } from "./layout.ts";

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
  new Int32Array(buffer, positions, count).set(rows.map(({ position }) => position));
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
  /** The tokens whose keys and values are in the cache, position by position. */
  private readonly cached: number[] = [];

  constructor(
    private readonly compute: Compute,
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
    this.truncate(Math.max(0, same));
    return same;
  }

  /** Forgets all but the first `length` tokens. */
  truncate(length: number): void {
    this.cached.length = Math.min(this.cached.length, length);
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
    const { batchTokens, logitsRows: mostRows } = this.compute.layout;
    const step = logitsOf === "all" ? mostRows : batchTokens;
    for (let at = 0; at < ids.length; at += step) {
      const batch = ids.slice(at, at + step);
      const last = at + step >= ids.length;
      const from = logitsOf === "all" ? 0 : last ? batch.length - 1 : batch.length;
      const rows = batch.map((id, i) => ({ id, position: this.length + i, sequence: this.index }));
      if (!(await computeRows(this.compute, rows, from))) return false;
      this.cached.push(...batch);
      if (!(await pause())) return false;
      if (from < batch.length) onLogits(logitsRows(this.compute, batch.length - from));
    }
    return true;
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
    const rows = sequences.map(({ length, index }, i) => ({ id: ids[i], position: length, sequence: index }));
    if (!(await computeRows(compute, rows, 0))) return undefined;
    sequences.forEach(({ cached }, i) => {
      cached.push(ids[i]);
    });
    return logitsRows(compute, sequences.length);
  }
}
