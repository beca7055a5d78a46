/** The policy: what is given up for what was seen. */

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Pressure } from "../../runtime/device.ts";
import { initialState, type Response, respond } from "../../runtime/residence/pressure.ts";

const MIB = 1 << 20;
const GIB = 1 << 30;

/** Plays samples, a second apart unless said otherwise, and returns the responses. */
function play(samples: readonly Pressure[], { threads = 4, returnableBytes = 0, stepMs = 1000 } = {}): Response[] {
  let state = initialState(threads);
  return samples.map((sample, i) => {
    const response = respond(state, sample, { threads, returnableBytes }, i * stepMs);
    state = response.state;
    return response;
  });
}

const times = (count: number, sample: Pressure): Pressure[] => Array(count).fill(sample);

describe("memory", () => {
  test("plenty, or unknown: nothing is given up", () => {
    for (const { letGoBytes } of play([{}, { availableBytes: GIB }, { availableBytes: 300 * MIB }, {}])) {
      expect(letGoBytes).toBe(0);
    }
  });

  test("short: enough is given back to have some free", () => {
    const [{ letGoBytes }] = play([{ availableBytes: 10 * MIB }]);
    expect(10 * MIB + letGoBytes).toBe(64 * MIB);
  });

  test("taken so fast that it would be short the next time: before it is", () => {
    const slow = play([{ availableBytes: 400 * MIB }, { availableBytes: 300 * MIB }]);
    expect(slow[1].letGoBytes).toBe(0);
    const [, fast] = play([{ availableBytes: 400 * MIB }, { availableBytes: 205 * MIB }]);
    expect(fast.letGoBytes).toBe(64 * MIB - 10 * MIB);
  });

  test("waited for much of the time and not plenty: short, too", () => {
    const stalledShare = 0.5;
    expect(play([{ availableBytes: 100 * MIB, stalledShare }])[0].letGoBytes).toBeGreaterThan(0);
    expect(play([{ availableBytes: GIB, stalledShare }])[0].letGoBytes).toBe(0);
    expect(play([{ availableBytes: 100 * MIB, stalledShare: 0.1 }])[0].letGoBytes).toBe(0);
  });

  test("what went returns after half a minute of calm, if it leaves enough", () => {
    const samples = [{ availableBytes: 10 * MIB }, ...times(40, { availableBytes: GIB })];
    const back = (returnableBytes: number) => play(samples, { returnableBytes }).findIndex(({ takeBack }) => takeBack);
    expect(back(20 * MIB)).toBe(30);
    expect(back(0)).toBe(-1);
    expect(back(950 * MIB)).toBe(-1);
    const unknown = play([{ availableBytes: MIB }, ...times(40, {})], { returnableBytes: MIB });
    expect(unknown.some(({ takeBack }) => takeBack)).toBe(false);
  });
});

describe("heat", () => {
  const hot = { throttled: "hot" };
  const threadsOf = (responses: readonly Response[]) => responses.map(({ state }) => state.threads);

  test("one thread less after three seconds each, never none; they return more slowly", () => {
    expect(threadsOf(play(times(13, hot)))).toEqual([4, 4, 4, 3, 3, 3, 2, 2, 2, 1, 1, 1, 1]);
    const cooled = threadsOf(play([...times(7, hot), ...times(60, {})])).slice(7);
    expect(cooled.indexOf(3)).toBe(20);
    expect(cooled.indexOf(4)).toBe(40);
    expect(Math.max(...cooled)).toBe(4);
  });

  test("a moment of heat changes nothing", () => {
    expect(new Set(threadsOf(play([hot, hot, {}, hot, hot, {}, hot])))).toEqual(new Set([4]));
  });
});

test("whatever comes: threads stay in range, and what is to go is never negative nor much", () => {
  const sample = fc.record(
    {
      availableBytes: fc.integer({ min: 0, max: 2 ** 34 }),
      stalledShare: fc.double({ min: 0, max: 1, noNaN: true }),
      throttled: fc.constant("hot"),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(fc.array(sample), fc.integer({ min: 1, max: 8 }), (samples, threads) => {
      for (const [i, { state, letGoBytes, takeBack }] of play(samples, { threads, returnableBytes: MIB }).entries()) {
        expect(state.threads).toBeGreaterThanOrEqual(1);
        expect(state.threads).toBeLessThanOrEqual(threads);
        expect(letGoBytes).toBeGreaterThanOrEqual(0);
        expect(letGoBytes).toBeLessThanOrEqual((64 + 256) * MIB);
        if (letGoBytes > 0) expect([takeBack, samples[i].availableBytes]).toEqual([false, expect.any(Number)]);
      }
    }),
  );
});
