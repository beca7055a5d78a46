/** Texts that are read without being continued: to have their keys and values, and to score them. */

import type { Score } from "../api.ts";
import type { Ask } from "../cache/pool.ts";
import type { Sequence } from "../cache/sequence.ts";
import { PiPhiError } from "../errors.ts";
import { logSoftmaxTop } from "../text/sampler.ts";
import type { Rows, Work } from "./work.ts";

/** Reads a text, of which what is cached need not be computed again. */
export class Reading implements Work {
  protected sequence!: Sequence;
  protected pending: readonly number[];
  private asked = 0;

  constructor(
    readonly ask: Ask,
    /** What is done with the sequence in the end, while no pass runs. */
    private readonly then?: (sequence: Sequence) => Promise<unknown>,
    /** Told after each pass how many tokens are left. */
    private readonly onRead: (left: number) => void = () => {},
  ) {
    this.pending = ask.ids;
  }

  get ended(): boolean {
    return this.pending.length === 0;
  }

  get wanted(): number {
    return this.pending.length;
  }

  begin(sequence: Sequence): void {
    this.sequence = sequence;
    this.pending = this.ask.ids.slice(sequence.length);
  }

  next(mostRows: number, _mostLogits: number): Rows {
    return { ids: this.piece(mostRows), logits: 0 };
  }

  take(_logits: readonly Float32Array[]): void {
    this.pending = this.pending.slice(this.asked);
    this.onRead(this.pending.length);
  }

  cancel(): void {
    if (!this.ended) throw new PiPhiError("E_CANCELLED", "Reading the text was cancelled. Try again.");
  }

  async finish(): Promise<void> {
    await this.then?.(this.sequence);
  }

  protected piece(mostRows: number): readonly number[] {
    this.sequence.makeRoom();
    const ids = this.pending.slice(0, Math.min(mostRows, this.sequence.room));
    this.asked = ids.length;
    return ids;
  }
}

/** Reads all of a text for the distribution after each of its tokens. */
export class Scoring extends Reading {
  readonly positions: Score["positions"] = [];
  private readonly arrivedMs = performance.now();
  queueMs = 0;

  constructor(
    ids: readonly number[],
    private readonly top: number,
  ) {
    super({ ids, exact: true, anew: true });
  }

  override begin(sequence: Sequence): void {
    super.begin(sequence);
    this.queueMs = performance.now() - this.arrivedMs;
  }

  override next(mostRows: number, mostLogits: number): Rows {
    const ids = this.piece(Math.min(mostRows, mostLogits));
    return { ids, logits: ids.length };
  }

  override take(logits: readonly Float32Array[]): void {
    for (const row of logits) {
      this.positions.push({ id: this.ask.ids[this.positions.length], top: logSoftmaxTop(row, this.top) });
    }
    super.take(logits);
  }
}
