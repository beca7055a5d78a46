import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { SamplingOptions } from "../../runtime/api.ts";
import { logSoftmaxTop, logSumExp, Sampler, SamplingTable, validateSampling } from "../../runtime/text/sampler.ts";

const none = () => false;
const make = (options: SamplingOptions, size: number, isPadding: (id: number) => boolean = none) =>
  new Sampler(options, new SamplingTable(size, isPadding));
/** Everything that could cut the distribution is off. */
const open = { temperature: 1, topK: 0, topP: 1, minP: 0, seed: 1 };

/** How often each id is drawn. */
function histogram(options: SamplingOptions, logits: Float32Array, draws: number, recent: number[] = []): number[] {
  const sampler = make(options, logits.length);
  const counts = new Array<number>(logits.length).fill(0);
  for (let i = 0; i < draws; i++) counts[sampler.sample(logits, recent)]++;
  return counts;
}

const drawn = (options: SamplingOptions, logits: number[], recent: number[] = []) =>
  histogram({ ...open, ...options }, Float32Array.from(logits), 2000, recent).flatMap((n, id) => (n > 0 ? [id] : []));

const error = (code: string, details = {}) =>
  expect.objectContaining({ code, details: expect.objectContaining(details) });

describe("greedy", () => {
  it("takes the highest logit, the lowest id of equals", () => {
    expect(make({}, 4).sample(Float32Array.of(1, 3, 3, 2), [])).toBe(1);
    expect(make({}, 2).sample(Float32Array.of(-Infinity, -9), [])).toBe(1);
  });

  it("never takes padding", () => {
    expect(make({}, 4, (id) => id > 1).sample(Float32Array.of(1, 2, 9, 9), [])).toBe(1);
  });

  it("leaves the logits as they are, in shared memory too", () => {
    const logits = new Float32Array(new SharedArrayBuffer(16));
    logits.set([1, 2, 3, 4]);
    expect(make({ repeatPenalty: 10 }, 4, (id) => id === 2).sample(logits, [3])).toBe(1);
    expect([...logits]).toEqual([1, 2, 3, 4]);
  });
});

describe("the repeat penalty", () => {
  it("divides positive logits and multiplies negative ones, once for each token", () => {
    const sampler = make({ repeatPenalty: 2 }, 3);
    expect(sampler.sample(Float32Array.of(3, 1, 1.6), [0, 0, 0])).toBe(2);
    expect(sampler.sample(Float32Array.of(3, 1, 1.4), [0, 0, 0])).toBe(0);
    expect(sampler.sample(Float32Array.of(-1, -1.9, -3), [0])).toBe(1);
    expect(sampler.sample(Float32Array.of(-1, -2.1, -3), [0])).toBe(0);
  });

  it("looks at the last 64 tokens", () => {
    const sampler = make({ repeatPenalty: 2 }, 3);
    const logits = Float32Array.of(3, 2, 0);
    expect(sampler.sample(logits, [0, ...new Array(63).fill(2)])).toBe(1);
    expect(sampler.sample(logits, [0, ...new Array(64).fill(2)])).toBe(0);
  });
});

describe("drawing", () => {
  it.each([0.5, 1, 2])("follows the softmax at temperature %d", (temperature) => {
    const logits = Float32Array.of(0, 1, 2, -1);
    const weights = Array.from(logits, (logit) => Math.exp(logit / temperature));
    const sum = weights.reduce((a, b) => a + b);
    const draws = 40_000;
    histogram({ ...open, temperature }, logits, draws).forEach((count, id) => {
      const p = weights[id] / sum;
      expect(Math.abs(count - p * draws)).toBeLessThan(5 * Math.sqrt(p * (1 - p) * draws));
    });
  });

  it("keeps the topK most likely, the lower ids of equals", () => {
    expect(drawn({ topK: 2 }, [1, 3, 2, 2])).toEqual([1, 2]);
    expect(drawn({ topK: 1 }, [1, 3, 2])).toEqual([1]);
    expect(drawn({ topK: 99 }, [1, 1, 1])).toEqual([0, 1, 2]);
  });

  it.each([
    [0.45, [2]],
    [0.55, [1, 2]],
    [0.85, [1, 2, 3]],
    [0.95, [0, 1, 2, 3]],
  ])("keeps the smallest nucleus of topP %d", (topP, expected) => {
    const logits = [0.1, 0.3, 0.5, 0.1001].map(Math.log);
    expect(drawn({ topP }, logits)).toEqual(expected);
    expect(drawn({ topP, topK: 4 }, logits)).toEqual(expected);
  });

  it("takes the nucleus of what topK left", () => {
    expect(drawn({ topP: 0.6, topK: 2 }, [0.1, 0.3, 0.5, 0.1].map(Math.log))).toEqual([2]);
  });

  it("drops what is less likely than minP times the most likely", () => {
    const logits = [0.1, 0.3, 0.5, 0.1].map(Math.log);
    for (const cut of [{}, { topK: 4 }, { topP: 0.999 }]) {
      expect(drawn({ minP: 0.25, ...cut }, logits)).toEqual([1, 2]);
      expect(drawn({ minP: 1, ...cut }, logits)).toEqual([2]);
    }
  });

  it("never draws padding or the impossible", () => {
    const sampler = make(open, 5, (id) => id === 4);
    const ids = Array.from({ length: 500 }, () => sampler.sample(Float32Array.of(-Infinity, 0, 0, -Infinity, 50), []));
    expect(new Set(ids)).toEqual(new Set([1, 2]));
  });

  it("is the same for the same seed, and another for another", () => {
    const logits = new Float32Array(1000);
    const draw = (seed: number) => {
      const sampler = make({ ...open, seed }, logits.length);
      return Array.from({ length: 20 }, () => sampler.sample(logits, []));
    };
    expect(draw(7)).toEqual(draw(7));
    expect(new Set([draw(0), draw(1), draw(-1), draw(2 ** 32), draw(2 ** 40)].map(String)).size).toBe(5);
  });

  it("is the same in every version: these draws are part of the interface", () => {
    const sampler = make({ ...open, seed: 42 }, 1000);
    const draws = Array.from({ length: 6 }, () => sampler.sample(new Float32Array(1000), []));
    expect(draws).toEqual([294, 453, 912, 291, 152, 111]);
  });

  it("agrees with the definition on any distribution", () => {
    const logit = fc.double({ min: -8, max: 8, noNaN: true }).map(Math.fround);
    const options = fc.record({
      topK: fc.nat(12),
      topP: fc.double({ min: 0.05, max: 1, noNaN: true }),
      minP: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(
      fc.property(fc.array(logit, { minLength: 1, maxLength: 12 }), options, fc.integer(), (values, cut, seed) => {
        const sampler = make({ temperature: 1.5, seed, ...cut }, values.length);
        const allowed = reference(values, cut);
        for (let i = 0; i < 20; i++) expect(allowed).toContain(sampler.sample(Float32Array.from(values), []));
      }),
    );
  });

  it("draws from a vocabulary of 51200 without any cut by rank", () => {
    const logits = Float32Array.from({ length: 51200 }, (_, id) => Math.sin(id));
    const sampler = make({ temperature: 1, topK: 0, topP: 0.9, minP: 0 }, logits.length);
    const drawn = Array.from({ length: 10 }, () => sampler.sample(logits, []));
    expect(new Set(drawn).size).toBeGreaterThan(1);
    for (const id of drawn) expect(Math.sin(id)).toBeGreaterThan(-1);
  });
});

/** Which ids may be drawn, by full sort. A hair is added to the nucleus, since sums may round differently. */
function reference(values: number[], cut: { topK: number; topP: number; minP: number }): number[] {
  const sorted = values
    .map((value, id) => ({ id, value, p: Math.exp(value) }))
    .sort((a, b) => b.value - a.value || a.id - b.id);
  const top = cut.topK > 0 ? sorted.slice(0, cut.topK) : sorted;
  const sum = top.reduce((total, { p }) => total + p, 0);
  let mass = 0;
  const nucleus = top.filter(({ p }) => (mass += p) - p < cut.topP * sum * (1 + 1e-12));
  return nucleus.filter(({ p }) => p >= cut.minP * top[0].p * (1 - 1e-12)).map(({ id }) => id);
}

describe("what is allowed", () => {
  const bits = (ids: readonly number[], size: number) => {
    const words = new Uint32Array(Math.ceil(size / 32));
    for (const id of ids) words[id >> 5] |= 1 << (id % 32);
    return words;
  };
  const cases = fc.record({
    logits: fc.array(fc.float({ min: -20, max: 20, noNaN: true }), { minLength: 1, maxLength: 200 }),
    picks: fc.array(fc.nat(), { minLength: 1, maxLength: 40 }),
    temperature: fc.constantFrom(0, 0.7, 5),
    repeatPenalty: fc.constantFrom(1, 2),
  });

  it("is chosen as if nothing else were possible", () => {
    fc.assert(
      fc.property(cases, ({ logits, picks, ...options }) => {
        const size = logits.length;
        const allowed = picks.map((pick) => pick % size);
        const impossible = logits.map((logit, id) => (allowed.includes(id) ? logit : -Infinity));
        const settings = { ...open, ...options };
        const id = make(settings, size).sample(Float32Array.from(logits), [0, 1], bits(allowed, size));
        expect(allowed).toContain(id);
        expect(make(settings, size).sample(Float32Array.from(impossible), [0, 1])).toBe(id);
      }),
    );
  });

  it("is everything, or nothing", () => {
    const logits = Float32Array.from({ length: 70 }, (_, id) => id % 7);
    expect(make({}, 70).sample(logits, [], new Uint32Array(3).fill(0xffffffff))).toBe(6);
    expect(() => make({}, 70).sample(logits, [], new Uint32Array(3))).toThrow(/No token is possible/);
  });
});

describe("bad input", () => {
  it.each<[keyof SamplingOptions, number]>([
    ["temperature", -0.1],
    ["temperature", Number.NaN],
    ["temperature", Infinity],
    ["topK", -1],
    ["topK", 1.5],
    ["topP", 0],
    ["topP", 1.01],
    ["minP", -0.01],
    ["minP", 1.01],
    ["repeatPenalty", 0],
    ["repeatPenalty", Infinity],
    ["seed", 0.5],
    ["seed", 2 ** 53],
  ])("refuses %s %d by name", (option, value) => {
    expect(() => validateSampling({ [option]: value })).toThrow(error("E_USAGE", { option }));
    expect(() => make({ [option]: value }, 4)).toThrow(error("E_USAGE", { option }));
  });

  it("accepts the limits and what is left out", () => {
    validateSampling({});
    validateSampling({ temperature: undefined, topP: undefined });
    validateSampling({ temperature: 0, topK: 0, topP: 1, minP: 0, repeatPenalty: 0.5, seed: -1 });
    validateSampling({ minP: 1, seed: Number.MAX_SAFE_INTEGER });
    expect(make({ temperature: undefined }, 2).sample(Float32Array.of(0, 1), [])).toBe(1);
  });

  it.each([Number.NaN, Infinity])("reports the logit %d and its token", (bad) => {
    const logits = Float32Array.of(5, 1, bad, 2);
    for (const options of [{}, { temperature: 1 }, { repeatPenalty: 2 }]) {
      expect(() => make(options, 4).sample(logits, [])).toThrow(error("E_NUMERIC", { id: 2 }));
    }
    expect(() => logSoftmaxTop(logits, 2)).toThrow(error("E_NUMERIC", { id: 2 }));
  });

  it("reports that no token is possible", () => {
    expect(() => make({}, 2).sample(Float32Array.of(-Infinity, -Infinity), [])).toThrow(error("E_NUMERIC"));
    expect(() => make({}, 2, () => true).sample(Float32Array.of(1, 2), [])).toThrow(error("E_NUMERIC"));
  });

  it("refuses logits of another vocabulary", () => {
    expect(() => make({}, 4).sample(new Float32Array(5), [])).toThrow(error("E_USAGE", { logits: 5, vocabSize: 4 }));
  });
});

describe("logSoftmaxTop", () => {
  it("gives natural logarithms over the whole vocabulary, the most likely first, equals by id", () => {
    const logits = Float32Array.of(1, 2, 2, -Infinity, 0.5);
    const total = Math.log(Math.E + 2 * Math.exp(2) + Math.exp(0.5));
    const top = logSoftmaxTop(logits, 5);
    expect(top.map(([id]) => id)).toEqual([1, 2, 0, 4, 3]);
    expect(top.map(([, logprob]) => logprob)).toEqual(
      [2, 2, 1, 0.5, -Infinity].map((x) => expect.closeTo(x - total, 12)),
    );
  });

  it("does not overflow", () => {
    expect(logSumExp(Float32Array.of(1e4, 1e4))).toBeCloseTo(1e4 + Math.LN2, 8);
    expect(logSoftmaxTop(Float32Array.of(-1e4), 1)).toEqual([[0, 0]]);
  });

  it("gives as many as asked for, or all", () => {
    const logits = Float32Array.from({ length: 51200 }, (_, id) => (id * 7919) % 51200);
    expect(logSoftmaxTop(logits, 0)).toEqual([]);
    expect(logSoftmaxTop(logits, 3).map(([id]) => logits[id])).toEqual([51199, 51198, 51197]);
    expect(logSoftmaxTop(Float32Array.of(1, 2), 9)).toHaveLength(2);
    const all = logSoftmaxTop(logits, 51200).reduce((sum, [, logprob]) => sum + Math.exp(logprob), 0);
    expect(all).toBeCloseTo(1, 9);
  });

  it.each([-1, 1.5])("refuses %d entries", (top) => {
    expect(() => logSoftmaxTop(Float32Array.of(1), top)).toThrow(error("E_USAGE", { option: "top" }));
  });
});
