/** Chooses the next token from logits. All arithmetic on probabilities is in f64. */

import type { SamplingOptions } from "../api.ts";
import { PiPhiError } from "../errors.ts";

/** The repeat penalty looks this many tokens back. */
export const REPEAT_WINDOW = 64;

const DEFAULTS = { temperature: 0, topK: 40, topP: 0.95, minP: 0.05, repeatPenalty: 1 } as const;

type Settings = Required<SamplingOptions>;

const RANGES: Record<keyof Settings, { allows: (value: number) => boolean; text: string }> = {
  temperature: { allows: (value) => value >= 0 && value < Infinity, text: "a number of at least 0" },
  topK: { allows: (value) => Number.isSafeInteger(value) && value >= 0, text: "a whole number of at least 0" },
  topP: { allows: (value) => value > 0 && value <= 1, text: "above 0 and at most 1" },
  minP: { allows: (value) => value >= 0 && value <= 1, text: "from 0 to 1" },
  repeatPenalty: { allows: (value) => value > 0 && value < Infinity, text: "a number above 0" },
  seed: { allows: Number.isSafeInteger, text: "a whole number" },
};

/** Throws E_USAGE naming the first option that is out of its range. */
export function validateSampling(options: SamplingOptions): void {
  for (const option of Object.keys(RANGES) as (keyof Settings)[]) {
    const value = options[option];
    if (value === undefined || (typeof value === "number" && RANGES[option].allows(value))) continue;
    const message = `${option} is ${value}. It must be ${RANGES[option].text}.`;
    throw new PiPhiError("E_USAGE", message, { option, value: String(value) });
  }
}

/** Which tokens of a vocabulary can be chosen at all, and room to rank them: one for all samplers of a model. */
export class SamplingTable {
  /** [vocabSize], 1 for ids that must not be chosen. */
  readonly padding: Uint8Array;
  /** The others. */
  readonly ids: Int32Array;
  /** [vocabSize], the scores of the token that is being chosen. */
  readonly scores: Float32Array;

  constructor(vocabSize: number, isPadding: (id: number) => boolean) {
    this.padding = Uint8Array.from({ length: vocabSize }, (_, id) => (isPadding(id) ? 1 : 0));
    this.ids = Int32Array.from(this.padding.keys()).filter((id) => this.padding[id] === 0);
    this.scores = new Float32Array(vocabSize);
  }
}

/**
 * Repeat penalty, then top-k, top-p, min-p, each on the model's own probabilities among those that are left, then
 * temperature: llama.cpp's order, so that settings found there carry over.
 */
export class Sampler {
  readonly #settings: Settings;
  readonly #random: () => number;
  readonly #table: SamplingTable;
  /** The penalized logits; the caller's may be shared memory and stay as they are. */
  readonly #scores: Float32Array;

  /** Throws E_USAGE for options out of range. */
  constructor(options: SamplingOptions, table: SamplingTable) {
    validateSampling(options);
    const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
    this.#settings = { ...DEFAULTS, seed: Math.floor(Math.random() * 2 ** 32), ...given };
    this.#random = sfc32(this.#settings.seed);
    this.#table = table;
    this.#scores = table.scores;
  }

  /**
   * @param logits [vocabSize]
   * @param recent ids of the text so far; the last 64 are penalized
   * @param allowed one bit for each id (Constraint.allowed); undefined = all
   * @throws E_NUMERIC for NaN and infinity, and where every token is impossible
   */
  sample(logits: Float32Array, recent: readonly number[], allowed?: Uint32Array): number {
    if (logits.length !== this.#scores.length) {
      throw new PiPhiError(
        "E_USAGE",
        `There are ${logits.length} logits for ${this.#scores.length} tokens. Use a sampler made for this vocabulary.`,
        { logits: logits.length, vocabSize: this.#scores.length },
      );
    }
    this.#scores.set(logits);
    if (allowed) exclude(this.#scores, allowed);
    this.#penalize(recent);
    const best = mostLikely(this.#scores, this.#table.padding);
    if (this.#settings.temperature === 0) return best;
    return this.#draw(this.#candidates(this.#scores[best]), this.#scores[best]);
  }

  #penalize(recent: readonly number[]): void {
    const { repeatPenalty } = this.#settings;
    if (repeatPenalty === 1) return;
    for (const id of new Set(recent.slice(-REPEAT_WINDOW))) {
      const score = this.#scores[id];
      this.#scores[id] = score > 0 ? score / repeatPenalty : score * repeatPenalty;
    }
  }

  /** The ids that top-k, top-p and min-p leave over; the most likely one always is among them. */
  #candidates(best: number): ArrayLike<number> {
    const { topK, topP, minP } = this.#settings;
    const scores = this.#scores;
    const { ids } = this.#table;
    // Also without minP an id at -Infinity is impossible.
    const floor = Math.max(best + Math.log(minP), -Number.MAX_VALUE);
    if (topK === 0 && topP === 1) return ids.filter((id) => scores[id] >= floor);
    const ranking = new Ranking(ids, scores);
    const pool = topK === 0 ? ids : ranking.take(topK);
    const nucleus = topP === 1 ? Infinity : topP * sumExp(pool, scores, best);
    const kept: number[] = [];
    for (let mass = 0; kept.length < pool.length && mass < nucleus; ) {
      const id = topK === 0 ? ranking.next() : pool[kept.length];
      if (scores[id] < floor) break;
      mass += Math.exp(scores[id] - best);
      kept.push(id);
    }
    return kept;
  }

  #draw(ids: ArrayLike<number>, best: number): number {
    const { temperature } = this.#settings;
    const weights = Float64Array.from(ids, (id) => Math.exp((this.#scores[id] - best) / temperature));
    let left = this.#random() * weights.reduce((sum, weight) => sum + weight, 0);
    let i = 0;
    while (i < weights.length - 1 && left >= weights[i]) left -= weights[i++];
    return ids[i];
  }
}

/**
 * The natural logarithm of the sum of exp(logits): logits[id] minus this is the log-probability of id.
 * Throws E_NUMERIC for NaN and infinity, and where every token is impossible.
 */
export function logSumExp(logits: Float32Array): number {
  const best = logits[mostLikely(logits)];
  let sum = 0;
  for (let id = 0; id < logits.length; id++) sum += Math.exp(logits[id] - best);
  return best + Math.log(sum);
}

/**
 * The `top` most likely ids with their log-probabilities over the whole vocabulary, padding included; the most likely
 * first, the lower of two equally likely ids before the higher. Throws what `logSumExp` throws, and E_USAGE.
 */
export function logSoftmaxTop(logits: Float32Array, top: number): [id: number, logprob: number][] {
  if (!Number.isSafeInteger(top) || top < 0) {
    throw new PiPhiError("E_USAGE", `top is ${top}. It must be a whole number of at least 0.`, {
      option: "top",
      value: String(top),
    });
  }
  const total = logSumExp(logits);
  const ids = new Ranking(
    new Int32Array(logits.length).map((_, id) => id),
    logits,
  ).take(top);
  return Array.from(ids, (id) => [id, logits[id] - total]);
}

/** Makes the ids impossible whose bits are not set; 32 at a time, since most words are all ones or all zeros. */
function exclude(scores: Float32Array, allowed: Uint32Array): void {
  for (let word = 0; word < allowed.length; word++) {
    const bits = allowed[word];
    const from = word * 32;
    if (bits === 0) scores.fill(-Infinity, from, from + 32);
    else if (bits !== 0xffffffff) {
      const end = Math.min(scores.length, from + 32);
      for (let id = from; id < end; id++) if (((bits >>> (id - from)) & 1) === 0) scores[id] = -Infinity;
    }
  }
}

/** The id with the highest score, the lowest of several; ids whose `excluded` is 1 do not count. */
function mostLikely(scores: Float32Array, excluded?: Uint8Array): number {
  let best = -1;
  let highest = -Infinity;
  for (let id = 0; id < scores.length; id++) {
    const score = scores[id];
    if (Number.isNaN(score) || score === Infinity) {
      throw new PiPhiError(
        "E_NUMERIC",
        `The model computed ${score} for token ${id}. Check the file's checksum and run the self-test of the kernels.`,
        { id, value: String(score) },
      );
    }
    if (score > highest && excluded?.[id] !== 1) {
      highest = score;
      best = id;
    }
  }
  if (best >= 0) return best;
  throw new PiPhiError("E_NUMERIC", "No token is possible here. Check the file's checksum.", { tokens: scores.length });
}

function sumExp(ids: ArrayLike<number>, scores: Float32Array, best: number): number {
  let sum = 0;
  for (let i = 0; i < ids.length; i++) sum += Math.exp(scores[ids[i]] - best);
  return sum;
}

/** Hands out ids by falling score, equals by rising id: a heap, so that the first few of 51200 cost no full sort. */
class Ranking {
  readonly #heap: Int32Array;
  readonly #scores: Float32Array;
  #length: number;

  constructor(ids: Int32Array, scores: Float32Array) {
    this.#heap = ids.slice();
    this.#scores = scores;
    this.#length = ids.length;
    for (let i = (this.#length >> 1) - 1; i >= 0; i--) this.#sink(i);
  }

  /** The next `count` ids, fewer if there are fewer. */
  take(count: number): Int32Array {
    return Int32Array.from({ length: Math.min(count, this.#length) }, () => this.next());
  }

  /** The next id; there must be one. */
  next(): number {
    const first = this.#heap[0];
    this.#heap[0] = this.#heap[--this.#length];
    this.#sink(0);
    return first;
  }

  #sink(hole: number): void {
    const heap = this.#heap;
    const id = heap[hole];
    for (let child = 2 * hole + 1; child < this.#length; child = 2 * hole + 1) {
      if (child + 1 < this.#length && this.#precedes(heap[child + 1], heap[child])) child++;
      if (!this.#precedes(heap[child], id)) break;
      heap[hole] = heap[child];
      hole = child;
    }
    heap[hole] = id;
  }

  #precedes(a: number, b: number): boolean {
    const scores = this.#scores;
    return scores[a] > scores[b] || (scores[a] === scores[b] && a < b);
  }
}

/**
 * Chris Doty-Humphrey's Small Fast Counting generator (PractRand's sfc32), its 128 bits of state set to 0, the two halves
 * of the seed, and a counter of 1. The first 12 outputs only mix the seed. Returns numbers in [0, 1) with 32 random bits.
 */
function sfc32(seed: number): () => number {
  let a = 0;
  let b = seed | 0;
  let c = Math.floor(seed / 2 ** 32) | 0;
  let counter = 1;
  const next = () => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  };
  for (let i = 0; i < 12; i++) next();
  return next;
}
