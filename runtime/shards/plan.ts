/** How many shards a model is cut into, and what each of them lays out. Pure. */

import { PiPhiError } from "../errors.ts";
import { type Layout, layOutResident, type Subject } from "../plan/layout.ts";
import { type PlanOptions, plan } from "../plan/plan.ts";
import { matrixBytes, type WeightShape } from "../weights/shape.ts";
import { cutWeights, mostShares } from "./cut.ts";

/** Smaller models are computed before the messages of a token have come and gone. */
const SMALLEST_BYTES = 128 << 20;
/** Positions that the caches of those without a sequence have room for. */
const NO_CONTEXT = 32;

/** Shards for `threads` that were asked for, or that the device has. */
export function shardCount(shape: WeightShape, threads: number, asked: boolean): number {
  if (!asked && matrixBytes(shape) < SMALLEST_BYTES) return 1;
  return Math.max(1, Math.min(threads, mostShares(shape)));
}

/** The layouts of all shards, the leader's first; throws what plan throws. */
export function planShards(whole: Subject, options: PlanOptions, count: number): Layout[] {
  const subjects = Array.from({ length: count }, (_, index): Subject => {
    return { ...whole, shape: cutWeights(whole.shape, { index, count }).shape, stagingBytes: 0 };
  });
  const own = (index: number): PlanOptions => {
    return index === 0 ? options : { ...options, contextLength: NO_CONTEXT, shorterContexts: [], sequences: 1 };
  };
  const bases = subjects.map((subject, index) => {
    return layOutResident(subject, own(index)).totalBytes - subject.shape.bytes;
  });
  const { ramBytes } = options;
  const room = ramBytes === undefined ? undefined : (ramBytes - bases.reduce((sum, bytes) => sum + bytes, 0)) / count;
  const limit = (index: number) => (room === undefined ? undefined : Math.floor(bases[index] + room));
  const planned = (index: number, more: Partial<PlanOptions> = {}) => {
    return plan(subjects[index], { ...own(index), ...more, ramBytes: limit(index) });
  };
  try {
    const leader = planned(0);
    // All compute the same batch.
    const batches = [leader.batchTokens];
    const others = subjects.slice(1).map((_, i) => planned(i + 1, { batchTokens: batches[0], batches }));
    return [leader, ...others];
  } catch (error) {
    if (!(error instanceof PiPhiError) || error.code !== "E_MEMORY") throw error;
    plan(whole, options); // the error in figures of the whole, where it does not fit at all
    throw error;
  }
}
