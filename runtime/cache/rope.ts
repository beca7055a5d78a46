/** The rotary position embeddings that kernels/rope.ts reads: a row for each token of a batch. */

import type { Layout } from "../plan/layout.ts";

/**
 * Writes cos and sin of every rotated pair for each of `positions`, f32 [row][rotaryDim / 2][2]. Positions may be beyond
 * the context; the same position gives the same bits in any row.
 */
export function writeRotations(
  { config, rotations }: Pick<Layout, "config" | "rotations">,
  buffer: ArrayBufferLike,
  positions: readonly number[],
): void {
  const { rotaryDim, ropeBase } = config;
  const half = rotaryDim / 2;
  const table = new Float32Array(buffer, rotations, positions.length * rotaryDim);
  for (let i = 0; i < half; i++) {
    const frequency = ropeBase ** (-i / half);
    positions.forEach((position, row) => {
      const at = row * rotaryDim + 2 * i;
      table[at] = Math.cos(position * frequency);
      table[at + 1] = Math.sin(position * frequency);
    });
  }
}
