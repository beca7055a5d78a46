/** What the plan says that kernels and caches take is what the kernels themselves say. */

import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import { activationBytes, attentionScratchBytes, RETILE_SCRATCH_BYTES } from "../../runtime/compute/sizes.ts";
import { cacheSize, TILE } from "../../runtime/plan/cache-size.ts";
import { instantiate, type Kernels } from "../kernels/instantiate.ts";

let kernels: Kernels["exports"];
beforeAll(async () => {
  kernels = (await instantiate("simd", 2)).exports;
});

const headDims = fc.integer({ min: 1, max: 16 }).map((n) => 16 * n);

test("activations and scratch", () => {
  expect(RETILE_SCRATCH_BYTES).toBe(kernels.retile_scratch_bytes());
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 512 }), headDims, (n, headDim) => {
      const k = 32 * n;
      expect(activationBytes.q4(k)).toBe(kernels.activation_bytes_q4(k));
      expect(activationBytes.q8(k)).toBe(kernels.activation_bytes_q8(k));
      expect(attentionScratchBytes(n, headDim)).toBe(kernels.attention_scratch_bytes(n, headDim));
    }),
  );
});

test.each(["int8", "f16"] as const)("a cache of %s", (kv) => {
  const half = kv === "f16" ? 1 : 0;
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4096 }),
      headDims,
      fc.integer({ min: 1, max: 8 }),
      (length, headDim, heads) => {
        const { positions, layerBytes, sequenceBytes } = cacheSize({ layers: 3, heads, headDim }, length, kv);
        expect([positions % TILE, positions - length < TILE]).toEqual([0, true]);
        expect(layerBytes).toBe(heads * kernels.attention_cache_bytes(half, positions, headDim));
        // Behind the layers, the first tile's keys as they were: with their scales, but without values.
        const values = kernels.attention_cache_bytes(half, TILE, headDim) / 2;
        expect(sequenceBytes - 3 * layerBytes - 3 * heads * values).toBeLessThan(64);
        expect(sequenceBytes).toBeGreaterThanOrEqual(3 * layerBytes + 3 * heads * values);
      },
    ),
  );
});
