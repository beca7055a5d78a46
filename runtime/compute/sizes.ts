/**
 * Bytes that the kernels read and write beside weights and caches. The plan is made before there are kernels to ask, so
 * the formulas stand here as well; a test asks both sides.
 */

/** A row of k activations, as the int4 and as the int8 kernels read it. */
export const activationBytes = { q4: (k: number) => 2 * k + k / 4, q8: (k: number) => 2 * k + k / 8 };

/** Scratch of the matrix kernels. */
export const MATMUL_SCRATCH_BYTES = 256;

/** Scratch of one head's attention for a batch of `tokens`; moving the first keys of a cache takes less. */
export function attentionScratchBytes(tokens: number, headDim: number): number {
  return 192 + tokens * (16 + 8 * headDim);
}

/** Scratch of the kernels that turn a file's blocks into tiles. */
export const RETILE_SCRATCH_BYTES = 8480;
