/** What the schedule runs: whatever wants rows of passes. An answer, a text that is scored, and a prefix all are. */

import type { Ask } from "../cache/pool.ts";
import type { Sequence } from "../cache/sequence.ts";

/** Rows of a pass: the next tokens of a sequence, and of how many of them, the last ones, the logits are wanted. */
export interface Rows {
  ids: readonly number[];
  logits: number;
}

/** A pass that has ended. */
export interface Pass {
  /** Passes before it. */
  number: number;
  ms: number;
  /** Milliseconds of the leading thread by operation, where some work wants them. */
  profile?: Record<string, number>;
}

export interface Work {
  /** What sequence it needs. */
  readonly ask: Ask;
  /** Whether its passes shall be profiled. */
  readonly profiled?: boolean;
  /** Gets its sequence, whose tokens are the beginning of what was asked for. */
  begin(sequence: Sequence): void;
  /** Tokens that must be computed before it can go on: 1 for an answer that runs, many for one whose prompt is read. */
  readonly wanted: number;
  /** Its rows of the next pass, at least one; it may be asked again where a pass was stopped. */
  next(mostRows: number, mostLogits: number): Rows;
  /** The rows were computed, and the sequence has their tokens. The logits live until this returns. */
  take(logits: readonly Float32Array[], pass: Pass): void;
  /** It shall end before its time; may throw what its caller gets. */
  cancel(): void;
  readonly ended: boolean;
  /** After it has ended, and before its sequence goes to another: no pass runs meanwhile. */
  finish?(): Promise<void>;
}
