/** The planner's promises, for many models, budgets and contexts. */

import fc from "fast-check";
import { expect, test } from "vitest";
import type { Phi2Config } from "../../runtime/api.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { type Layout, READ_ALIGNMENT, type Subject } from "../../runtime/memory/layout.ts";
import { choosePinned } from "../../runtime/memory/pinning.ts";
import { type PlanOptions, plan } from "../../runtime/memory/plan.ts";
import { matrixBytes, shapeOf } from "../../runtime/weights/shape.ts";
import { TILE_KINDS, type TileKind } from "../../runtime/weights/tiles.ts";

const MIB = 1 << 20;

const subjects = fc
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

const options = fc.record({
  contextLength: fc.integer({ min: 1, max: 2048 }),
  kv: fc.constantFrom("int8" as const, "f16" as const),
  threads: fc.integer({ min: 1, max: 8 }),
  batchTokens: fc.constantFrom(1, 64),
  sequences: fc.integer({ min: 1, max: 3 }),
  ramBytes: fc.option(fc.integer({ min: MIB, max: 400 * MIB }), { nil: undefined }),
  streamable: fc.boolean(),
});

/** Every stretch of memory that a layout hands out, as [from, to). */
function stretches(layout: Layout): [number, number][] {
  const { config, shape, batchTokens: T } = layout;
  const { hiddenSize: d, intermediateSize: ff } = config;
  const activations = ({ plain, q4, q8 }: Layout["hidden"], k: number): [number, number][] => [
    [plain, plain + T * k * 4],
    [q4, q4 + T * (2 * k + k / 4)],
    [q8, q8 + T * (2 * k + k / 8)],
  ];
  const resident = layout.mode === "resident";
  const weights: [number, number][] = resident
    ? [[layout.vectors, layout.vectors + shape.bytes]]
    : [
        [layout.vectors, layout.vectors + shape.vectors.bytes],
        [layout.embedding, layout.embedding + T * shape.embedding.rowBytes],
        [layout.ring.address, layout.ring.address + layout.ring.slots * layout.ring.slotBytes],
        ...layout.units
          .filter(({ address }) => address > 0)
          .map(({ address, bytes }): [number, number] => [address, address + bytes]),
      ];
  return [
    [0, 65536],
    [layout.control, layout.control + 448],
    [layout.job, layout.job + 64],
    [layout.stream, layout.stream + 192],
    [layout.ids, layout.ids + T * 4],
    [layout.positions, layout.positions + T * 4],
    [layout.caches, layout.caches + T * 4],
    [layout.rotations, layout.rotations + T * config.rotaryDim * 4],
    [layout.x, layout.x + T * d * 4],
    ...activations(layout.hidden, d),
    [layout.qkv, layout.qkv + T * 3 * d * 4],
    ...activations(layout.ffn, ff),
    [layout.logits, layout.logits + layout.logitsRows * layout.logitsStride],
    [layout.threadScratch, layout.threadScratch + layout.threads * layout.threadScratchBytes],
    [layout.kvCache, layout.kvCache + layout.sequences * layout.kvSequenceBytes],
    ...weights,
  ];
}

function check(subject: Subject, asked: PlanOptions, layout: Layout): void {
  const sorted = stretches(layout).sort(([a], [b]) => a - b);
  for (const [i, [from, to]] of sorted.entries()) {
    expect(to).toBeGreaterThanOrEqual(from);
    if (i > 0) expect(from).toBeGreaterThanOrEqual(sorted[i - 1][1]);
  }
  expect(sorted[sorted.length - 1][1]).toBeLessThanOrEqual(layout.totalBytes);
  expect(layout.totalBytes).toBeLessThanOrEqual(asked.ramBytes ?? 2 ** 32);
  expect(layout.totalBytes % 65536).toBe(0);
  const { shape } = subject;
  const covered = layout.units.reduce((sum, { bytes }) => sum + bytes, 0);
  expect(covered).toBeGreaterThanOrEqual(matrixBytes(shape));
  if (layout.mode === "resident") {
    expect(layout.vectors % 65536).toBe(0);
    expect(layout.streamedBytesPerToken).toBe(0);
    for (const { address, offset } of layout.units) expect(address - offset).toBe(layout.vectors);
    return;
  }
  expect(asked.streamable).toBe(true);
  const streamed = layout.units.filter(({ streamIndex }) => streamIndex >= 0);
  expect(streamed.map(({ streamIndex }) => streamIndex)).toEqual(streamed.map((_, i) => i));
  expect(layout.streamedBytesPerToken).toBe(streamed.reduce((sum, { bytes }) => sum + bytes, 0));
  for (const { offset, bytes, address, streamIndex } of layout.units) {
    expect([offset % READ_ALIGNMENT, bytes % READ_ALIGNMENT, address % READ_ALIGNMENT]).toEqual([0, 0, 0]);
    if (streamIndex >= 0) expect(bytes).toBeLessThanOrEqual(layout.ring.slotBytes);
    expect(address > 0).toBe(streamIndex < 0);
  }
}

test("nothing overlaps, everything is inside, and the budget holds; what does not fit says what would", () => {
  let outcomes = "";
  fc.assert(
    fc.property(subjects, options, (subject, asked) => {
      let layout: Layout;
      try {
        layout = plan(subject, asked);
      } catch (error) {
        expect(error).toBeInstanceOf(PiPhiError);
        const { code, details, message } = error as PiPhiError;
        expect(code).toBe("E_MEMORY");
        outcomes += "e";
        const contextLength = details.fittingContext as number;
        if (contextLength === 0) return;
        expect(message).toContain(`--ctx ${contextLength}`);
        layout = plan(subject, { ...asked, contextLength });
        check(subject, asked, layout);
        return;
      }
      outcomes += layout.mode[0];
      check(subject, asked, layout);
    }),
    { numRuns: 400 },
  );
  // Each kind of answer was among them.
  for (const kind of "rse") expect(outcomes).toContain(kind);
});

test("the head's pieces are its row groups, each once", () => {
  fc.assert(
    fc.property(subjects, fc.integer({ min: 1, max: 64 }), (subject, contextLength) => {
      const asked = { contextLength, kv: "int8", threads: 1, batchTokens: 1, sequences: 1, streamable: true } as const;
      const { totalBytes } = plan(subject, asked);
      for (const ramBytes of [totalBytes - 1, totalBytes >> 1]) {
        let layout: Layout;
        try {
          layout = plan(subject, { ...asked, ramBytes });
        } catch {
          continue; // too little for any
        }
        let next = 0;
        for (const { fromGroup, toGroup } of layout.headPieces) {
          expect(fromGroup).toBe(next);
          expect(toGroup).toBeGreaterThan(fromGroup);
          next = toGroup;
        }
        expect(next).toBe(subject.shape.output.parts[0].rows / 16);
        expect(layout.units).toHaveLength(2 * subject.config.layers + layout.headPieces.length);
      }
    }),
    { numRuns: 60 },
  );
});

test("what stays fits, and no other unit would have fitted beside it", () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 2, maxLength: 40 });
  fc.assert(
    fc.property(sizes, fc.integer({ min: -5, max: 900 }), (given, capacity) => {
      const units = given.map((size) => ({ offset: 0, bytes: size * MIB }));
      const kept = choosePinned(units, given.length >> 1, capacity * MIB);
      const bytes = [...kept].reduce((sum, unit) => sum + units[unit].bytes, 0);
      expect(bytes).toBeLessThanOrEqual(Math.max(0, capacity * MIB));
      for (const [i, unit] of units.entries()) {
        if (!kept.has(i)) expect(bytes + unit.bytes).toBeGreaterThan(capacity * MIB);
      }
    }),
  );
});
