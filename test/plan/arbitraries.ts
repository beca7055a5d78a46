/** What the planner is tried with. */

import fc from "fast-check";
import type { Phi2Config } from "../../runtime/api.ts";
import type { Subject } from "../../runtime/plan/layout.ts";
import { shapeOf } from "../../runtime/weights/shape.ts";
import { TILE_KINDS, type TileKind } from "../../runtime/weights/tiles.ts";

const MIB = 1 << 20;

/** Models of many shapes and kinds. */
export const subjects = fc
  .record({
    layers: fc.integer({ min: 1, max: 12 }),
    heads: fc.integer({ min: 1, max: 8 }),
    headDim: fc.constantFrom(32, 64, 80),
    vocabSize: fc.integer({ min: 300, max: 9000 }),
    fused: fc.boolean(),
    kinds: fc.array(fc.constantFrom(...TILE_KINDS), { minLength: 5, maxLength: 5 }),
    stagingBytes: fc.constantFrom(0, MIB),
  })
  .map(({ layers, heads, headDim, vocabSize, fused, kinds, stagingBytes }): Subject => {
    const hiddenSize = Math.ceil((heads * headDim) / 32) * 32;
    const config: Phi2Config = {
      hiddenSize,
      intermediateSize: 4 * hiddenSize,
      layers,
      heads,
      headDim,
      rotaryDim: 32,
      ropeBase: 10000,
      layerNormEpsilon: 1e-5,
      contextLength: 2048,
      vocabSize,
    };
    const qkv: TileKind[] = fused ? [kinds[0]] : [kinds[0], kinds[0], kinds[0]];
    const layer = { qkv, attnOutput: kinds[1], ffnUp: kinds[2], ffnDown: kinds[3] };
    const embedding = { type: 2, rowBytes: (hiddenSize / 32) * 18 };
    return {
      config,
      stagingBytes,
      shape: shapeOf(config, { layers: Array(layers).fill(layer), output: kinds[4], embedding }),
    };
  });

/** What may be asked of the planner. */
export const options = fc.record({
  contextLength: fc.integer({ min: 1, max: 2048 }),
  kv: fc.constantFrom("int8" as const, "f16" as const),
  threads: fc.integer({ min: 1, max: 8 }),
  batchTokens: fc.constantFrom(1, 64),
  sequences: fc.integer({ min: 1, max: 3 }),
  ramBytes: fc.option(fc.integer({ min: MIB, max: 400 * MIB }), { nil: undefined }),
  streamable: fc.boolean(),
});
