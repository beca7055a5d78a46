/** The table of rotary position embeddings that kernels/rope.ts reads. */

import type { Layout } from "./layout.ts";

/** cos and sin for every position and rotated pair, f32 [position][rotaryDim / 2][2]. */
export function writeRopeTable(layout: Layout, buffer: ArrayBufferLike): void {
  const { rotaryDim, ropeBase } = layout.config;
  const half = rotaryDim / 2;
  const table = new Float32Array(buffer, layout.ropeTable, layout.cachePositions * rotaryDim);
  for (let i = 0; i < half; i++) {
    const frequency = ropeBase ** (-i / half);
    for (let position = 0; position < layout.cachePositions; position++) {
      const at = position * rotaryDim + 2 * i;
      table[at] = Math.cos(position * frequency);
      table[at + 1] = Math.sin(position * frequency);
    }
  }
}
