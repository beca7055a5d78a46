/** One pass over the weights: rows of any sequences in, the logits of the last ones out. */

import { writeRotations } from "../cache/rope.ts";
import type { Row } from "../cache/sequence.ts";
import type { JobEnd } from "../compute/team.ts";
import { demand, type PiPhiError } from "../errors.ts";
import type { Layout } from "../plan/layout.ts";

/** What passes are computed with. */
export interface Compute {
  layout: Layout;
  buffer: ArrayBufferLike;
  /** Runs the forward pass of a batch with all threads. */
  forward(ids: readonly number[], logitsFrom: number): JobEnd | Promise<JobEnd>;
  /** Why weights could not be read, after a pass that ended so. */
  fault(): Promise<PiPhiError>;
}

/**
 * Computes rows, those of one sequence in rising position; the logits of all from `logitsFrom` on are kept. False where the
 * team was stopped: then nothing has changed. Throws E_FILE_READ and the like where weights could not be read.
 */
export async function runPass(compute: Compute, rows: readonly Row[], logitsFrom: number): Promise<boolean> {
  const { layout, buffer } = compute;
  const { ids, positions, caches, kvCache, kvSequenceBytes } = layout;
  const count = rows.length;
  demand(count > 0 && count <= layout.batchTokens, "a pass has as many rows as there is room for");
  demand(logitsFrom >= 0 && count - logitsFrom <= layout.logitsRows, "a pass has room for all logits");
  demand(
    rows.every(({ place, sequence }) => place < layout.contextLength && sequence < layout.sequences),
    "each row has its place in a cache",
  );
  const tokens = rows.map(({ id }) => id);
  new Int32Array(buffer, ids, count).set(tokens);
  new Int32Array(buffer, positions, count).set(rows.map(({ place }) => place));
  writeRotations(
    layout,
    buffer,
    rows.map(({ position }) => position),
  );
  new Uint32Array(buffer, caches, count).set(rows.map(({ sequence }) => kvCache + sequence * kvSequenceBytes));
  const end = await compute.forward(tokens, logitsFrom);
  if (end === "fault") throw await compute.fault();
  return end === "done";
}

/** The last pass's logits, which live until the next pass. */
export function logitsRows({ layout, buffer }: Compute, count: number): Float32Array[] {
  const { logits, logitsStride, config } = layout;
  return Array.from({ length: count }, (_, row) => {
    return new Float32Array(buffer, logits + row * logitsStride, config.vocabSize);
  });
}
