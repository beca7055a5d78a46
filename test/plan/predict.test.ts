/** What is predicted of plans: sane for whatever is planned, and right where it can be computed by hand. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PROFILES, speedOf } from "../../devices/profiles/profiles.ts";
import type { MachineSpeed } from "../../runtime/device.ts";
import { estimateLayout } from "../../runtime/plan/estimate.ts";
import { knownSubject } from "../../runtime/plan/known.ts";
import type { Layout } from "../../runtime/plan/layout.ts";
import { type PlanOptions, plan } from "../../runtime/plan/plan.ts";
import { predictTokensPerSecond } from "../../runtime/plan/predict.ts";
import { matrixBytes } from "../../runtime/weights/shape.ts";
import { options, subjects } from "./arbitraries.ts";

const MIB = 1 << 20;
const phi2 = knownSubject();

const machines = fc.record({
  figures: fc.constant("any"),
  cores: fc.integer({ min: 1, max: 16 }),
  memoryBytes: fc
    .tuple(fc.double({ min: 1e9, max: 5e10, noNaN: true }), fc.double({ min: 1, max: 4, noNaN: true }))
    .map(([one, times]) => ({ one, all: one * times })),
  storageBytes: fc.double({ min: 5e6, max: 1e10, noNaN: true }),
  instructions: fc.double({ min: 1e8, max: 2e10, noNaN: true }),
  instructionsPerWeight: fc.constant({ int4: 0.5, int8: 1 }),
});

const asked = (ramBytes: number | undefined, more: Partial<PlanOptions> = {}): PlanOptions => ({
  contextLength: 512,
  kv: "int8",
  threads: 4,
  batchTokens: 64,
  sequences: 1,
  ramBytes,
  streamable: true,
  ...more,
});

function planned(subject: typeof phi2, how: PlanOptions): Layout | undefined {
  try {
    return plan(subject, how);
  } catch {
    return undefined; // too little for any
  }
}

test("every plan's prediction is finite and positive, and a faster machine's is no lower", () => {
  fc.assert(
    fc.property(subjects, options, machines, (subject, how, speed) => {
      const layout = planned(subject, how);
      if (!layout) return;
      const rate = predictTokensPerSecond(layout, speed);
      expect(rate).toBeGreaterThan(0);
      expect(Number.isFinite(rate)).toBe(true);
      const { one, all } = speed.memoryBytes;
      for (const faster of [
        { memoryBytes: { one: 2 * one, all: 2 * all } },
        { storageBytes: 2 * speed.storageBytes },
        { instructions: 2 * speed.instructions },
        { cores: speed.cores + 1 },
      ]) {
        expect(predictTokensPerSecond(layout, { ...speed, ...faster })).toBeGreaterThanOrEqual(rate);
      }
    }),
    { numRuns: 300 },
  );
});

test("more memory never predicts fewer tokens a second; larger batches of a prompt may take a little of it", () => {
  const sizes = fc.integer({ min: 190, max: 2200 });
  let batches = new Set<number>();
  fc.assert(
    fc.property(sizes, sizes, machines, (a, b, speed) => {
      const [less, more] = [Math.min(a, b), Math.max(a, b)].map((mib) => planned(phi2, asked(mib * MIB)));
      if (!less || !more) return;
      batches = batches.add(less.batchTokens).add(more.batchTokens);
      const taken = Math.max(0, more.bytes.scratch - less.bytes.scratch) / matrixBytes(phi2.shape);
      // What activations take is no longer there for weights, rounded to units of some 20 MB.
      const tolerance = taken > 0 && more.mode === "streamed" ? taken + 0.02 : 1e-9;
      const ratio = predictTokensPerSecond(more, speed) / predictTokensPerSecond(less, speed);
      expect(ratio).toBeGreaterThanOrEqual(1 - 1.1 * tolerance);
    }),
    { numRuns: 300 },
  );
  expect([...batches].sort((a, b) => a - b)).toEqual([64, 128, 256]);
});

describe("by hand", () => {
  const speed: MachineSpeed = {
    figures: "by hand",
    cores: 4,
    memoryBytes: { one: 4e9, all: 10e9 },
    storageBytes: 90e6,
    instructions: 1e12,
    instructionsPerWeight: { int4: 0.5, int8: 1 },
  };
  const resident = plan(phi2, asked(undefined));

  test("Phi-2's shape has the size of its file", () => {
    expect(matrixBytes(phi2.shape) / 1e9).toBeCloseTo(1.55, 1);
    expect(phi2.shape.bytes / 1e9).toBeCloseTo(1.64, 1);
  });

  test("in memory: its weights and a short cache through the memory's bandwidth", () => {
    const kv = (resident.kvLayerBytes * 32 * 256) / 512;
    const bytes = matrixBytes(phi2.shape) + kv;
    expect(predictTokensPerSecond(resident, speed)).toBeCloseTo((0.85 * 10e9) / bytes, 3);
    const single = plan(phi2, asked(undefined, { threads: 1 }));
    expect(predictTokensPerSecond(single, speed)).toBeCloseTo((0.85 * 4e9) / bytes, 3);
  });

  test("slow cores: instructions for each weight", () => {
    const head = 2560 * 51200;
    const rest = 32 * (4 * 2560 * 2560 + 2 * 2560 * 10240);
    const slow = { ...speed, instructions: 1e9 };
    const seconds = (0.5 * rest + head) / 4e9 + 6e-3;
    expect(predictTokensPerSecond(resident, slow)).toBeCloseTo(1 / seconds, 4);
  });

  test("streamed from a card: what is streamed, at the card's speed, with the work hidden behind it", () => {
    const layout = plan(phi2, asked(900 * MIB));
    expect(layout.mode).toBe("streamed");
    expect(1 / predictTokensPerSecond(layout, speed)).toBeCloseTo(layout.streamedBytesPerToken / 90e6, 1);
  });

  test("streamed from something faster than memory: bound by memory, through which streamed weights pass twice", () => {
    const layout = plan(phi2, asked(900 * MIB));
    const bytes = matrixBytes(phi2.shape) + layout.streamedBytesPerToken + (layout.kvLayerBytes * 32 * 256) / 512;
    const fast = { ...speed, storageBytes: 1e12 };
    expect(predictTokensPerSecond(layout, fast)).toBeCloseTo((0.85 * 10e9) / bytes, 2);
  });
});

test("an estimate predicts what fits on a device whose speed is known, and nothing else", () => {
  const speed = speedOf(PROFILES[0]);
  const fits = estimateLayout(phi2, asked(900 * MIB), false, speed);
  expect(fits.predictedTokensPerSecond).toBe(predictTokensPerSecond(plan(phi2, asked(900 * MIB)), speed));
  expect(estimateLayout(phi2, asked(900 * MIB), false, undefined).predictedTokensPerSecond).toBeNull();
  expect(estimateLayout(phi2, asked(10 * MIB), false, speed)).toMatchObject({
    fits: false,
    predictedTokensPerSecond: null,
  });
});
