/** Where a micro-benchmark's data lies, and data that is harmless to compute with: no NaN, no subnormal numbers. */

import { STATIC_BYTES } from "./engine.mjs";

/** Phi-2's shape. */
export const WIDTH = 2560;
export const FFN = 10240;
export const HEADS = 32;
export const HEAD_DIM = 80;
export const ROTARY = 32;
/** Tokens of a batch, for GEMM and prefill. */
export const BATCH = 64;
export const CONTEXT = 1024;

const MEBIBYTE = 1 << 20;

/** Addresses; `weights` comes last and reaches to the memory's end. */
export const AT = {
  positions: STATIC_BYTES,
  caches: STATIC_BYTES + 4096,
  bias: STATIC_BYTES + 8192,
  table: STATIC_BYTES + 65536,
  x: 1 * MEBIBYTE,
  activations: 4 * MEBIBYTE,
  out: 8 * MEBIBYTE,
  scratch: 10 * MEBIBYTE,
  qkv: 12 * MEBIBYTE,
  weights: 16 * MEBIBYTE,
};

/** Numbers in [0, 1), the same ones each time. */
export function generator(seed = 12345) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

export function fillFloats(memory, at, count, next, low = -1, high = 1) {
  const floats = new Float32Array(memory.buffer, at, count);
  for (let i = 0; i < count; i++) floats[i] = low + next() * (high - low);
}

/** Fills `bytes` at AT.weights with tiles of a kind: integers, then f16 scales about 2^-6 (f32 tiles: numbers). */
export function fillTiles(memory, { kind, tileBytes, scalesAt }, bytes, next) {
  const pattern = Math.min(bytes, tileBytes * 512);
  if (kind === "f32") fillFloats(memory, AT.weights, pattern / 4, next);
  else {
    const tiles = new Uint8Array(memory.buffer, AT.weights, pattern);
    for (let i = 0; i < pattern; i++) tiles[i] = next() * 256;
    const view = new DataView(memory.buffer, AT.weights, pattern);
    for (let tile = 0; tile < pattern; tile += tileBytes) {
      for (let i = scalesAt; i < tileBytes; i += 2) view.setUint16(tile + i, 0x2400 + Math.floor(next() * 512), true);
    }
  }
  const all = new Uint8Array(memory.buffer, AT.weights, bytes);
  for (let filled = pattern; filled < bytes; filled *= 2) all.copyWithin(filled, 0, Math.min(filled, bytes - filled));
}
