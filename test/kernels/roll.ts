/**
 * Checks of turn_keys. What it does to each key is stated here once more, in TypeScript (head-cache.ts), and must agree
 * bit for bit; the f64 reference may round a number the other way.
 */

import { expectClose, expectSame, type FloatFill, floats, type Subject } from "../checkasm.ts";
import { addresses, type HeadCache, hadamard, loadRows, rotated, rotations, storeRow } from "./head-cache.ts";

export interface TurnCase {
  half: boolean;
  headDim: number;
  rotary: number;
  context: number;
  by: number;
  fill: FloatFill;
  last: number;
}

const TILE = 32;

/** A cache whose keys are all stored, and everything else of it 0x55. */
function filledCache({ half, headDim, context, fill }: TurnCase, headBytes: number, next: () => number): HeadCache {
  const cache = { half, context, headDim, view: new DataView(new Uint8Array(headBytes).fill(0x55).buffer) };
  for (let position = 0; position < context; position++) {
    const at = addresses(cache, position);
    storeRow(cache, floats(headDim, fill, next), at.key, at.keyScale);
  }
  return cache;
}

const bytesOf = ({ view }: HeadCache) => new Uint8Array(view.buffer);
const copyOf = (cache: HeadCache): HeadCache => ({ ...cache, view: new DataView(bytesOf(cache).slice().buffer) });

/** The keys of the first tile turned, and all other bytes of the cache as they were. */
export function checkTurn({ arena, kernels, reference }: Subject, kase: TurnCase, next: () => number): void {
  const { half, headDim, rotary, context, by, last } = kase;
  const headBytes = kernels.attention_cache_bytes(half, context, headDim);
  const before = filledCache(kase, headBytes, next);
  const rotation = rotations([by], rotary);
  const at = arena.lay({ cache: bytesOf(before), rotation, scratch: 8 * headDim }, last);
  const args = [half, at.cache, context, headDim, rotary, at.rotation, at.scratch] as const;
  const outputs = (scratchRows: number) => [
    { at: at.cache, bytes: headBytes },
    { at: at.scratch, bytes: 4 * headDim * scratchRows },
  ];
  const [actual] = arena.run(outputs(1), () => kernels.turn_keys(...args));
  const [scalar] = arena.run(outputs(2), () => reference.turn_keys_reference(...args));

  const expected = copyOf(before);
  for (let position = 0; position < TILE; position++) {
    const stored = Float32Array.from(loadRows(before, position).key);
    const row = rotated(half ? stored : Float32Array.from(hadamard(stored)), rotary, rotation, 0);
    const { key, keyScale } = addresses(expected, position);
    storeRow(expected, half ? row : Float32Array.from(hadamard(row)), key, keyScale);
  }
  expectSame([actual], [bytesOf(expected)], "cache");

  const plain = { ...before, view: new DataView(scalar.buffer) };
  for (let position = 0; position < TILE; position++) {
    const [a, e] = [loadRows(expected, position).key, loadRows(plain, position).key];
    // A step of the cache's numbers: of the row's scale, or of an f16 of this size.
    const largest = Math.max(...e.map(Math.abs));
    expectClose(a, e, (i) => (half ? Math.abs(e[i]) * 2 ** -10 + 2 ** -24 : (1.01 * largest) / 127), "key");
  }
}

export function turnCases(half: boolean): TurnCase[] {
  const cases: TurnCase[] = [];
  const add = (headDim: number, rotary: number, rest: Partial<TurnCase> = {}) =>
    cases.push({ half, headDim, rotary, context: 64, by: 32, fill: "random", last: cases.length, ...rest });
  for (const headDim of [16, 64, 80, 128]) {
    for (const rotary of [0, Math.min(32, headDim), headDim]) add(headDim, rotary);
  }
  for (const by of [0, 512, 1_000_000]) add(80, 32, { by });
  for (const context of [32, 96]) add(80, 32, { context });
  for (const fill of ["zeros", "largest", "alternating", "oneHot", "small", "spread"] as const) add(80, 32, { fill });
  return cases;
}
