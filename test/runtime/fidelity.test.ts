/**
 * What the engine computes, against an exact float64 evaluation of the same file: every block type, fused and split,
 * head sizes 80 and 64, both caches, every kernel build, any number of threads.
 */

import { describe, expect, test } from "vitest";
import { type LoadOptions, load } from "../../devices/node/index.ts";
import { BLOCK_TYPES } from "../../runtime/weights/tiles.ts";
import { writeGguf } from "../fixtures/gguf-writer.ts";
import { type RandomModelOptions, randomModel, randomModelParts } from "../fixtures/random-model.ts";
import { temporaryFile } from "../fixtures/temporary.ts";
import { klFromTop, referenceLogits } from "../reference/phi.ts";

const IDS = Array.from({ length: 44 }, (_, i) => (i * 37 + 11) % 250);
const VOCABULARY = 320;

const NARROW = { hiddenSize: 160, heads: 2, intermediateSize: 320, rotaryDim: 32 } as const; // head size 80
const BLOCKS_OF_256 = { hiddenSize: 256, heads: 4, intermediateSize: 512, rotaryDim: 32 } as const; // head size 64

let files = 0;

function model(options: Partial<RandomModelOptions>): { path: string; bytes: Uint8Array } {
  const bytes = randomModel({ seed: 1, layers: 2, vocabSize: VOCABULARY, peaked: 5, ...options });
  return { path: temporaryFile(`model-${files++}.gguf`, bytes), bytes };
}

async function tops(path: string, options: LoadOptions): Promise<[number, number][][]> {
  const phi = await load(path, { threads: 2, ...options });
  try {
    return (await phi.score(IDS, { top: VOCABULARY })).positions.map((position) => position.top);
  } finally {
    await phi.close();
  }
}

describe("mean KL from an exact evaluation", () => {
  const cases = [...BLOCK_TYPES.values()].map(({ name, elements }, i) => {
    const shape = elements === 256 ? BLOCKS_OF_256 : i % 2 === 0 ? NARROW : BLOCKS_OF_256;
    return { name, options: { ...shape, type: name, fused: i % 3 !== 0, pre: i % 2 === 0, seed: 100 + i } };
  });

  test.each(cases)("$name: at most 3e-3, and int8 keys and values add at most 2e-3", async ({ name, options }) => {
    const { path, bytes } = model(options);
    const exact = referenceLogits(bytes, IDS);
    const half = klFromTop(exact, await tops(path, { kv: "f16" }));
    const int8 = klFromTop(exact, await tops(path, { kv: "int8" }));
    console.log(`${name}: KL ${half.toExponential(2)} with f16 cache, ${(int8 - half).toExponential(2)} added by int8`);
    expect(half).toBeLessThanOrEqual(3e-3);
    expect(int8 - half).toBeLessThanOrEqual(2e-3);
  });

  test.each(["F32", "F16", "BF16"])("%s carried exactly: at most 1e-5", async (type) => {
    const { path, bytes } = model({ ...NARROW, type, outputType: type, seed: 7 });
    const exact = referenceLogits(bytes, IDS);
    expect(klFromTop(exact, await tops(path, { kv: "f16", dense: "exact" }))).toBeLessThanOrEqual(1e-5);
  });
});

test("keys and values with a few large dimensions, as Phi-2 has them: int8 adds at most 5e-4", async () => {
  const parts = randomModelParts({ ...NARROW, seed: 1, type: "Q8_0", vocabSize: VOCABULARY, peaked: 5 });
  const d = NARROW.hiddenSize;
  for (const { name, data } of parts.tensors) {
    if (!name.endsWith("attn_qkv.bias")) continue;
    const bias = new Float32Array(data.buffer, data.byteOffset, 3 * d);
    for (let i = d; i < 2 * d; i += 37) bias[i] = 20;
    for (let i = 2 * d + 5; i < 3 * d; i += 41) bias[i] = 5;
  }
  const bytes = writeGguf(parts);
  const path = temporaryFile("outliers.gguf", bytes);
  const exact = referenceLogits(bytes, IDS);
  const half = klFromTop(exact, await tops(path, { kv: "f16" }));
  const int8 = klFromTop(exact, await tops(path, { kv: "int8" }));
  expect(int8 - half).toBeLessThanOrEqual(5e-4);
});

describe("the same bits", () => {
  test.each(["Q4_0", "Q4_K", "Q8_0", "F16"])("%s: 1, 2, 3 and 5 threads; simd and relaxed kernels", async (type) => {
    const { path } = model({ ...BLOCKS_OF_256, type, seed: 3 });
    const one = await tops(path, { threads: 1, kernel: "simd" });
    for (const threads of [2, 3, 5]) expect(await tops(path, { threads, kernel: "simd" })).toEqual(one);
    for (const threads of [1, 4]) expect(await tops(path, { threads, kernel: "relaxed" })).toEqual(one);
  });

  test.each(["int8", "f16"] as const)("a prompt in batches equals token by token (%s cache)", async (kv) => {
    const { path } = model({ ...NARROW, type: "Q4_0", seed: 4, contextLength: 256 });
    const phi = await load(path, { kv, threads: 2 });
    const ids = Array.from({ length: 150 }, (_, i) => (i * 91 + 3) % 250);
    const batch = await phi.generate(ids, { maxTokens: 12, ignoreEos: true });
    await phi.score([1]); // empties the cache
    for (let i = 1; i < ids.length; i++) await phi.generate(ids.slice(0, i), { maxTokens: 1, ignoreEos: true });
    const stepwise = await phi.generate(ids, { maxTokens: 12, ignoreEos: true });
    expect(stepwise.cachedTokens).toBe(ids.length - 1);
    expect(stepwise.tokens).toEqual(batch.tokens);
    const scores = (await phi.score(ids, { top: 5 })).positions.at(-1)!.top;
    expect(scores[0][0]).toBe(batch.tokens[0]);
    await phi.close();
  });
});
