/**
 * What the key/value cache of one sequence takes, in bytes. kernels/cache.ts draws a head's part and roll.ts the first keys;
 * a test asks both sides.
 */

import type { Phi2Config } from "../api.ts";
import { roundUp } from "../weights/shape.ts";

/** Positions of a cache that move together. */
export const TILE = 32;

type CacheConfig = Pick<Phi2Config, "layers" | "heads" | "headDim">;

/** Of one position in one head: its key and value, and for int8 their scales. */
export function positionBytes(headDim: number, kv: "int8" | "f16"): number {
  return kv === "f16" ? 4 * headDim : 2 * headDim + 4;
}

/** Of what one sequence keeps of its first tile's keys as they were before any rotation. */
export function sinkBytes({ layers, heads, headDim }: CacheConfig, kv: "int8" | "f16"): number {
  return layers * heads * TILE * (kv === "f16" ? 2 * headDim : headDim + 2);
}

/** Of a cache for `contextLength` positions, which come in whole tiles: of each layer, and of all with the first keys. */
export function cacheSize(config: CacheConfig, contextLength: number, kv: "int8" | "f16") {
  const { layers, heads, headDim } = config;
  const positions = roundUp(contextLength, TILE);
  const layerBytes = heads * positions * positionBytes(headDim, kv);
  return { positions, layerBytes, sequenceBytes: roundUp(layers * layerBytes + sinkBytes(config, kv), 64) };
}
