/** The planner's promises, for many models, budgets and contexts. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PiPhiError } from "../../runtime/errors.ts";
import { type Layout, READ_ALIGNMENT, type Subject } from "../../runtime/plan/layout.ts";
import { choosePinned } from "../../runtime/plan/pinning.ts";
import { type PlanOptions, plan } from "../../runtime/plan/plan.ts";
import { matrixBytes } from "../../runtime/weights/shape.ts";
import { options, subjects } from "./arbitraries.ts";

const MIB = 1 << 20;

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
        // So much more is enough.
        const ramBytes = asked.ramBytes! + (details.lackingBytes as number);
        check(subject, { ...asked, ramBytes }, plan(subject, { ...asked, ramBytes }));
        const contextLength = details.fittingContext as number;
        if (contextLength === 0) return;
        // The next step would not fit.
        expect(() => plan(subject, { ...asked, contextLength: contextLength + 32 })).toThrow();
        expect(message).toContain(`contextLength: ${contextLength}`);
        layout = plan(subject, { ...asked, contextLength });
        check(subject, asked, layout);
        return;
      }
      outcomes += layout.mode[0];
      check(subject, asked, layout);
    }),
    { numRuns: 400, seed: 83 },
  );
  // Each kind of answer was among them.
  for (const kind of "rse") expect(outcomes).toContain(kind);
});

test("a context that was not asked for gives way before the model is refused", () => {
  fc.assert(
    fc.property(subjects, options, (subject, asked) => {
      const shorterContexts = [64, 32].filter((one) => one < asked.contextLength);
      const tries = [asked.contextLength, ...shorterContexts].map((contextLength) => {
        try {
          return plan(subject, { ...asked, contextLength }).contextLength;
        } catch {
          return undefined;
        }
      });
      const expected = tries.find((one) => one !== undefined);
      const flexible = () => plan(subject, { ...asked, shorterContexts });
      if (expected === undefined) expect(flexible).toThrow(PiPhiError);
      else expect(flexible().contextLength).toBe(expected);
    }),
    { numRuns: 100 },
  );
});

describe("a refusal advises what can be done", () => {
  const asked = { contextLength: 32, kv: "int8", threads: 1, batchTokens: 32, sequences: 1 } as const;
  /** A subject that takes less memory when it is streamed, and how much that is. */
  const [[subject, streamedBytes]] = fc.sample(subjects, { numRuns: 100, seed: 1 }).flatMap((one) => {
    const bytes = need(one, { ...asked, streamable: true });
    return bytes < need({ ...one, stagingBytes: 0 }, { ...asked, streamable: false }) ? [[one, bytes] as const] : [];
  });

  function need(one: Subject, options: Omit<PlanOptions, "ramBytes">): number {
    try {
      plan(one, { ...options, ramBytes: 1 });
      return 0;
    } catch (error) {
      return (error as PiPhiError).details.needBytes as number;
    }
  }

  test.each([
    { streamable: false, packable: true, ramBytes: streamedBytes, says: /Packed \(piphi pack\), it fits\. Free/ },
    { streamable: false, packable: true, ramBytes: streamedBytes - 1, says: /used\. Free .* smaller quantization\.$/ },
    { streamable: false, packable: false, ramBytes: streamedBytes, says: /used\. Free .* smaller quantization\.$/ },
    { streamable: true, packable: false, ramBytes: 65536, says: /used\. Free .* smaller model\.$/ },
    { streamable: true, ramAsked: true, ramBytes: 65536, says: /used\. Allow .* more \(ram\), or use a smaller/ },
    {
      streamable: true,
      overheadBytes: 5 << 20,
      ramBytes: -1,
      says: /Free .* more: whatever the model.*takes 5 MiB\.$/,
    },
  ])("%j", ({ says, ...able }) => {
    expect(() => plan(subject, { ...asked, ...able })).toThrow(says);
  });
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
