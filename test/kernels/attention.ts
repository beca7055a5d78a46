/**
 * Checks of attention. What it writes into the cache and how it turns queries and keys is stated here once more, in
 * TypeScript (head-cache.ts), and must agree bit for bit; its output is compared with plain softmax over the same cache.
 */

import type { Attention } from "../../runtime/compute/kernels.ts";
import {
  type Arena,
  type Extent,
  expectClose,
  expectSame,
  type FloatFill,
  floats,
  floatsOf,
  ROUNDOFF,
  type Subject,
} from "../checkasm.ts";
import { random } from "./blocks.ts";
import { addresses, type HeadCache, hadamard, loadRows, nearest, rotated, rotations, storeRow } from "./head-cache.ts";
import { EXP_ERROR } from "./pointwise.ts";

/** A token of a batch: which sequence it continues, and where. */
export type Token = readonly [sequence: number, position: number];

export interface AttentionCase {
  half: boolean;
  headDim: number;
  rotary: number;
  heads: number;
  head: number;
  tokens: readonly Token[];
  fill: FloatFill;
  /** Queries and keys are multiplied by this: larger numbers make sharper distributions. */
  sharpness: number;
  last: number;
}

const TILE = 32;
const LAYERS = 2;
const LAYER = 1;

/** Positions a cache has room for: whole tiles. */
const contextOf = ({ tokens }: AttentionCase): number =>
  (Math.floor(Math.max(...tokens.map(([, position]) => position)) / TILE) + 1) * TILE;

/** One sequence's cache of all layers and heads: rows up to the first token's position, 0xff (NaN) from there on. */
function sequenceCache(kase: AttentionCase, sequence: number, headBytes: number, next: () => number): Uint8Array {
  const { half, heads, head, headDim, tokens, sharpness } = kase;
  const bytes = new Uint8Array(LAYERS * heads * headBytes).fill(0xff);
  const view = new DataView(bytes.buffer, (LAYER * heads + head) * headBytes, headBytes);
  const cache: HeadCache = { half, context: contextOf(kase), headDim, view };
  const first = tokens.find((token) => token[0] === sequence)?.[1] ?? 0;
  for (let position = 0; position < first; position++) {
    const at = addresses(cache, position);
    const row = (scale: number) => floats(headDim, "random", next).map((x) => x * scale);
    storeRow(cache, row(sharpness), at.key, at.keyScale);
    storeRow(cache, row(1), at.value, at.valueScale);
  }
  return bytes;
}

interface Laid {
  at: Record<"qkv" | "positions" | "pointers" | "table" | "out" | "scratch" | "cache0" | "cache1" | "cache2", number>;
  caches: number[];
  qkv: Float32Array;
  table: Float32Array;
  headBytes: number;
  width: number;
  outputs: { queries: Extent[]; keys: Extent[]; values: Extent[]; caches: Extent[]; out: Extent[]; scratch: Extent };
}

const GAP = 12;

function layCase({ arena, kernels }: Subject, kase: AttentionCase, next: () => number): Laid {
  const { half, headDim, rotary, heads, head, tokens, fill, sharpness, last } = kase;
  const context = contextOf(kase);
  const width = heads * headDim;
  const stride = 3 * width + GAP;
  const headBytes = kernels.attention_cache_bytes(half, context, headDim);
  const qkv = floats(tokens.length * stride, fill, next).map((x, i) => (i % stride < 2 * width ? x * sharpness : x));
  const table = rotations(
    tokens.map(([, position]) => position),
    rotary,
  );
  const scratchBytes = kernels.attention_scratch_bytes(tokens.length, headDim);
  const [cache0, cache1, cache2] = [0, 1, 2].map((sequence) => sequenceCache(kase, sequence, headBytes, next));
  const at = arena.lay(
    {
      qkv,
      positions: Int32Array.from(tokens, ([, position]) => position),
      pointers: 4 * tokens.length,
      table,
      out: tokens.length * (width + GAP) * 4,
      scratch: Math.max(scratchBytes, 4 * context),
      cache0,
      cache1,
      cache2,
    },
    last,
  );
  const caches = [at.cache0, at.cache1, at.cache2];
  const view = new DataView(arena.memory.buffer);
  for (const [t, [sequence]] of tokens.entries()) view.setUint32(at.pointers + 4 * t, caches[sequence], true);
  const row = (t: number, part: number) => ({
    at: at.qkv + 4 * (t * stride + part * width + head * headDim),
    bytes: 4 * headDim,
  });
  const outputs = {
    queries: tokens.map((_, t) => row(t, 0)),
    keys: tokens.map((_, t) => row(t, 1)),
    values: tokens.map((_, t) => row(t, 2)),
    caches: caches.map((cache) => ({ at: cache + (LAYER * heads + head) * headBytes, bytes: headBytes })),
    out: tokens.map((_, t) => ({ at: at.out + 4 * (t * (width + GAP) + head * headDim), bytes: 4 * headDim })),
    scratch: { at: at.scratch, bytes: scratchBytes },
  };
  return { at, caches, qkv, table, headBytes, width, outputs };
}

/** The arguments for tokens [from, to) of a laid out case. */
function argumentsOf(kase: AttentionCase, laid: Laid, from: number, to: number): Parameters<Attention> {
  const { at, width, headBytes } = laid;
  const { heads, head, headDim, rotary } = kase;
  const stride = 4 * (3 * width + GAP);
  const outStride = 4 * (width + GAP);
  const layer = LAYER * heads * headBytes;
  return [
    ...([at.qkv + from * stride, stride, to - from, at.positions + 4 * from, at.pointers + 4 * from, layer] as const),
    ...([head, heads, headDim, rotary, at.table + 4 * from * rotary, contextOf(kase)] as const),
    ...([at.out + from * outStride, outStride, at.scratch] as const),
  ];
}

interface Result {
  queries: Uint8Array[];
  keys: Uint8Array[];
  values: Uint8Array[];
  caches: Uint8Array[];
  out: Uint8Array[];
}

function collect(
  arena: Arena,
  { queries, keys, values, caches, out, scratch }: Laid["outputs"],
  call: () => void,
): Result {
  const results = arena.run([...queries, ...keys, ...values, ...caches, ...out, scratch], call);
  const take = (extents: readonly Extent[]) => results.splice(0, extents.length);
  return { queries: take(queries), keys: take(keys), values: take(values), caches: take(caches), out: take(out) };
}

/** What rounding a query to 16 bits, relative to its largest number, adds to each of its numbers. */
function queryErrors(query: Float32Array): Float64Array {
  const f = Math.fround;
  const scaled = query.map((x) => f(x * f(1 / f(Math.sqrt(query.length)))));
  const largest = scaled.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
  if (largest <= 1e-30) return Float64Array.from(scaled, Math.abs);
  return Float64Array.from(scaled, (x) => nearest(f(x * f(32767 / largest))) * f(largest / 32767) - x);
}

/**
 * How far an output may be from the reference's. delta is the largest error of a score and moves probabilities by
 * e^2delta: the query's rounding to 16 bits as it is (int8), adding, and rounding the score. int8 values are weighted by
 * 16-bit probabilities, half a unit off for each position of a tile, relative to its largest.
 */
function outputBound(
  { half, headDim }: AttentionCase,
  cache: HeadCache,
  query: Float32Array,
  position: number,
): number {
  const root = Math.sqrt(headDim);
  const errors = half ? new Float64Array(headDim) : queryErrors(query);
  const additions = half ? headDim / 4 + 4 : 6;
  let delta = 0;
  let valueMaximum = 0;
  for (let j = 0; j <= position; j++) {
    const rows = loadRows(cache, j);
    let [rounding, sum, score] = [0, 0, 0];
    for (const [i, key] of rows.key.entries()) {
      rounding += errors[i] * key;
      sum += Math.abs(query[i] * key) / root;
      score += (query[i] * key) / root;
    }
    delta = Math.max(delta, Math.abs(rounding) + (additions * sum + 3 * Math.abs(score)) * ROUNDOFF);
    valueMaximum = Math.max(valueMaximum, rows.valueMaximum);
  }
  const summing = 2 * EXP_ERROR + (position + 60) * ROUNDOFF;
  const weighting = half || position === 0 ? 0 : (0.5 * Math.min(TILE, position + 1)) / 32767;
  return valueMaximum * (Math.expm1(2 * delta) + summing + weighting) + 1e-30;
}

const bytesOf = (row: Float32Array): Uint8Array => new Uint8Array(row.buffer, row.byteOffset, row.byteLength);

/** The three rows of each token as attention must leave them; stores them into `caches` on the way. */
function expectedRows(kase: AttentionCase, laid: Laid, caches: readonly HeadCache[]) {
  const { half, headDim, rotary, head, tokens } = kase;
  const spread = (row: Float32Array): Float32Array => (half ? row : Float32Array.from(hadamard(row)));
  return tokens.map(([sequence, position], t) => {
    const part = (p: number): Float32Array => {
      const from = t * (3 * laid.width + GAP) + p * laid.width + head * headDim;
      return laid.qkv.slice(from, from + headDim);
    };
    const query = spread(rotated(part(0), rotary, laid.table, t));
    const key = spread(rotated(part(1), rotary, laid.table, t));
    const value = spread(part(2));
    const at = addresses(caches[sequence], position);
    storeRow(caches[sequence], key, at.key, at.keyScale);
    storeRow(caches[sequence], value, at.value, at.valueScale);
    return { query, key, value };
  });
}

/** Queries, keys and values turned and stored, outputs close to plain softmax, nothing else touched. */
export function checkAttention(subject: Subject, kase: AttentionCase, next: () => number): void {
  const laid = layCase(subject, kase, next);
  const { half, headDim, tokens } = kase;
  const { arena, kernels, reference } = subject;
  const context = contextOf(kase);
  const expectedCaches = arena.run(laid.outputs.caches, () => {});
  const args = argumentsOf(kase, laid, 0, tokens.length);
  const actual = collect(arena, laid.outputs, () => kernels[half ? "attention_f16" : "attention_int8"](...args));
  const scratchBytes = Math.max(4 * context, laid.outputs.scratch.bytes);
  const plain = { ...laid.outputs, scratch: { at: laid.at.scratch, bytes: scratchBytes } };
  const expected = collect(arena, plain, () => reference.attention_reference(half, ...args));

  const caches = expectedCaches.map(({ buffer }) => ({ half, context, headDim, view: new DataView(buffer) }));
  const rows = expectedRows(kase, laid, caches);
  const rowsOf = (part: "query" | "key" | "value") => rows.map((row) => bytesOf(row[part]));
  expectSame(actual.queries, rowsOf("query"), "turned query");
  expectSame(actual.keys, rowsOf("key"), "turned key");
  expectSame(actual.values, rowsOf("value"), "turned value");
  expectSame(actual.caches, expectedCaches, "cache of sequence");
  for (const [t, [sequence, position]] of tokens.entries()) {
    const bound = outputBound(kase, caches[sequence], rows[t].query, position);
    // Where errors arise: int8 outputs are transformed back at the end, which would smear a bound over 16 numbers.
    const [a, e] = [actual, expected].map(({ out }) => (half ? floatsOf(out[t]) : hadamard(floatsOf(out[t]), Number)));
    expectClose(a, e, () => bound, `token ${t}, dimension`);
  }
}

/** A batch leaves the bits that its tokens, one by one, leave. */
export function checkBatch(subject: Subject, kase: AttentionCase, next: () => number): void {
  const laid = layCase(subject, kase, next);
  const attention = subject.kernels[kase.half ? "attention_f16" : "attention_int8"];
  const count = kase.tokens.length;
  const together = collect(subject.arena, laid.outputs, () => attention(...argumentsOf(kase, laid, 0, count)));
  const alone = collect(subject.arena, laid.outputs, () => {
    for (let t = 0; t < count; t++) attention(...argumentsOf(kase, laid, t, t + 1));
  });
  for (const part of ["queries", "keys", "values", "caches", "out"] as const)
    expectSame(together[part], alone[part], part);
}

/** The outputs of a case, one row a token; `spoil` may change its rows of queries, keys and values (parts 0, 1, 2). */
export function attend(
  subject: Subject,
  kase: AttentionCase,
  next: () => number,
  spoil: (row: Float32Array, t: number, part: number) => void = () => {},
): Float32Array[] {
  const { arena, kernels } = subject;
  const laid = layCase(subject, kase, next);
  const { queries, keys, values } = laid.outputs;
  for (const [part, rows] of [queries, keys, values].entries()) {
    for (const [t, { at }] of rows.entries()) spoil(new Float32Array(arena.memory.buffer, at, kase.headDim), t, part);
  }
  const args = argumentsOf(kase, laid, 0, kase.tokens.length);
  const attention = kernels[kase.half ? "attention_f16" : "attention_int8"];
  return collect(arena, laid.outputs, () => attention(...args)).out.map(floatsOf);
}

/** One NaN or infinity in a token's query, key or value makes its output NaN, and no other sequence's. */
export function checkSpoiled(subject: Subject, half: boolean): void {
  const kase: AttentionCase = {
    ...attentionCases(half)[0],
    headDim: 80,
    tokens: [
      [0, 3],
      [1, 0],
      [0, 4],
    ],
  };
  for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
    for (const spoiled of [0, 1, 2]) {
      for (const dimension of [0, 21, 38, 79]) {
        const out = attend(subject, kase, random(dimension + 1), (row, t, part) => {
          if (t === 1 && part === spoiled) row[dimension] = value;
        });
        const finite = out.map((row) => row.filter(Number.isFinite).length).join();
        if (finite !== "80,0,80") throw new Error(`${value} in part ${spoiled}: ${finite} numbers are finite`);
      }
    }
  }
}

/** Head sizes and rotary widths, positions around the borders of tiles, batches of several sequences. */
export function attentionCases(half: boolean): AttentionCase[] {
  const cases: AttentionCase[] = [];
  const add = (headDim: number, rotary: number, tokens: readonly Token[], rest: Partial<AttentionCase> = {}) => {
    const n = cases.length;
    const usual = { fill: "random" as const, sharpness: 2, heads: 1 + (n % 3), head: n % (1 + (n % 3)), last: n };
    cases.push({ half, headDim, rotary, tokens, ...usual, ...rest });
  };
  for (const headDim of [16, 64, 80, 96, 128]) {
    for (const rotary of [0, Math.min(32, headDim), headDim]) {
      add(headDim, rotary, [[0, 0]]);
      add(headDim, rotary, [
        [1, 33],
        [1, 34],
      ]);
    }
  }
  // Two positions only: the least rounding, at ever larger differences of their scores.
  for (let i = 0; i < 8; i++) add(16, 16, [[0, 1]], { sharpness: 1 + i });
  // One position alone in the second tile, which outweighs the first by ever more.
  for (let i = 0; i < 8; i++) add(16, 16, [[0, 32]], { fill: "largest", sharpness: 0.1 * 1.5 ** i });
  for (const position of [0, 1, 31, 32, 33, 63, 64, 100]) add(80, 32, [[0, position]]);
  add(
    80,
    32,
    Array.from({ length: 40 }, (_, i) => [2, i] as const),
  );
  add(80, 32, [
    [0, 100],
    [1, 0],
    [2, 31],
    [1, 1],
    [2, 32],
    [2, 33],
    [0, 101],
  ]);
  add(64, 32, [
    [2, 63],
    [0, 63],
    [1, 64],
    [2, 64],
  ]);
  for (const sharpness of [0.01, 12, 80])
    add(
      80,
      32,
      [
        [0, 70],
        [1, 5],
      ],
      { sharpness },
    );
  for (const fill of ["zeros", "largest", "alternating", "lanes", "oneHot", "small", "tiny", "spread"] as const) {
    add(
      80,
      32,
      [
        [0, 33],
        [1, 0],
        [0, 34],
      ],
      { fill, sharpness: 1 },
    );
  }
  add(80, 32, [[0, 1]], { fill: "huge", sharpness: 12 }); // beyond the largest f16
  return cases;
}
