/** Phi-2 from its numbers, to be planned without its file. */

import type { Phi2Config } from "../api.ts";
import { shapeOf } from "../weights/shape.ts";
import { BLOCK_TYPES, rowBytes, type TileKind } from "../weights/tiles.ts";
import type { Subject } from "./layout.ts";

/** microsoft/phi-2. */
const PHI2: Phi2Config = {
  hiddenSize: 2560,
  intermediateSize: 10240,
  layers: 32,
  heads: 32,
  headDim: 80,
  rotaryDim: 32,
  ropeBase: 10000,
  layerNormEpsilon: 1e-5,
  contextLength: 2048,
  vocabSize: 51200,
};
/** ggml's number for Q4_0, in which the file keeps the embedding. */
const Q4_0 = 2;

export const KNOWN_MODEL = "Phi-2 in Q4_0 (2.78 billion weights, 1.6 GB)";

/** The pack of a Q4_0 file as they are found: int4 throughout, the head (Q6_K in the file) in int8. */
export function knownSubject(): Subject {
  const layer = { qkv: ["q4" as TileKind], attnOutput: "q4", ffnUp: "q4", ffnDown: "q4" } as const;
  const embedding = { type: Q4_0, rowBytes: rowBytes(BLOCK_TYPES.get(Q4_0)!, PHI2.hiddenSize) };
  const layers = Array.from({ length: PHI2.layers }, () => layer);
  return { config: PHI2, shape: shapeOf(PHI2, { layers, output: "q8", embedding }), stagingBytes: 0 };
}
