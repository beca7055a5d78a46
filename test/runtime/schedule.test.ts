/** Whatever runs beside a request, whenever it comes and however it ends: each gets the bits that it gets alone. */

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { nodeDevice } from "../../devices/node/device.ts";
import { EMBEDDED_MODEL, estimate, load, type Phi, packFile } from "../../devices/node/index.ts";
import type { GenerateResult, ShapeOptions } from "../../runtime/api.ts";
import { Pool } from "../../runtime/cache/pool.ts";
import { Sequence } from "../../runtime/cache/sequence.ts";
import { Signals } from "../../runtime/compute/team.ts";
import { Answer } from "../../runtime/engine/answer.ts";
import { Engine } from "../../runtime/engine/engine.ts";
import { Language } from "../../runtime/engine/language.ts";
import { Reading, Scoring } from "../../runtime/engine/reading.ts";
import { Schedule } from "../../runtime/engine/schedule.ts";
import type { EngineGenerateOptions } from "../../runtime/engine/writer.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import type { Constraint } from "../../runtime/text/constraint.ts";
import { openModel } from "../../runtime/weights/model.ts";
import { computeOf, type Means } from "../fixtures/compute.ts";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryFile, temporaryPath } from "../fixtures/temporary.ts";

const MODEL = { contextLength: 128, peaked: 4, layers: 12, hiddenSize: 256 };
const CONTEXT = 128;
/** Beginnings that prompts share: none, some, and more than a tile. */
const SHARED = [0, 20, 70].map((length) => Array.from({ length }, (_, i) => (i * 7) % 250));

/** No shape, and some of which a part is forced, a part is free, and some that end soon. */
const SHAPES: readonly ShapeOptions[] = [
  {},
  { choices: ["the quick brown fox jumps over the lazy dog", "the quick red fox"] },
  { regex: "[a-z]{2,12}, (yes|no)" },
  { grammar: 'root ::= "a" root "b" | "middle" [0-9]' },
  {
    schema: {
      type: "object",
      properties: { intent: { enum: ["HassTurnOn", "HassTurnOff"] }, name: { type: "string", maxLength: 6 } },
      required: ["intent"],
      additionalProperties: false,
    },
  },
];

interface Plan {
  prompt: number[];
  options: EngineGenerateOptions;
  /** Deltas of others before it comes, and before it is cancelled. */
  arrives: number;
  cancelled?: number;
}

const plans: fc.Arbitrary<Plan> = fc.record(
  {
    prompt: fc
      .tuple(fc.constantFrom(...SHARED), fc.array(fc.integer({ min: 0, max: 250 }), { minLength: 1, maxLength: 40 }))
      .map(([shared, own]) => [...shared, ...own]),
    options: fc
      .tuple(
        fc.constantFrom(...SHAPES),
        fc.record(
          {
            maxTokens: fc.integer({ min: 0, max: 24 }),
            seed: fc.integer({ min: 0, max: 1000 }),
            temperature: fc.constantFrom(0, 1.2),
            drafts: fc.constantFrom(0, 3, 15),
            repeatPenalty: fc.constantFrom(1, 1.3),
            overflow: fc.constantFrom("roll" as const, "stop" as const),
            ignoreEos: fc.boolean(),
          },
          { requiredKeys: ["maxTokens", "seed"] },
        ),
      )
      .map(([shape, options]) => ({ ...options, ...shape, ignoreEos: shape === SHAPES[0] && options.ignoreEos })),
    arrives: fc.integer({ min: 0, max: 60 }),
    cancelled: fc.integer({ min: 0, max: 60 }),
  },
  { requiredKeys: ["prompt", "options", "arrives"] },
);

/** Runs plans against what answers requests; each at its time, counted in deltas of all. */
async function play(
  script: readonly Plan[],
  generate: (plan: Plan, request: number, emit: () => void) => Promise<GenerateResult>,
  cancel: (request: number) => void,
): Promise<(GenerateResult | string)[]> {
  let deltas = 0;
  const outcomes: (Promise<GenerateResult | string> | undefined)[] = [];
  const codeOf = (error: unknown) => (error instanceof PiPhiError ? error.code : String(error));
  const start = (i: number) => {
    outcomes[i] ??= generate(script[i], i + 1, tick).catch(codeOf);
  };
  const tick = () => {
    deltas++;
    script.forEach(({ arrives, cancelled }, i) => {
      if (arrives <= deltas) start(i);
      if (cancelled === deltas && outcomes[i]) cancel(i + 1);
    });
  };
  for (const i of script.keys()) {
    if (script[i].arrives <= deltas) start(i);
  }
  for (const i of script.keys()) {
    start(i);
    await outcomes[i];
  }
  return Promise.all(outcomes.map((outcome) => outcome!));
}

/** What came of a plan is what it gives alone, or, where it was cancelled, the beginning of that. */
function expectAsAlone(outcome: GenerateResult | string, alone: GenerateResult, { cancelled }: Plan): void {
  if (cancelled !== undefined && outcome === "E_CANCELLED") return;
  const { tokens, text, stopReason } = outcome as GenerateResult;
  if (stopReason === "cancelled") expect(alone.tokens.slice(0, tokens.length)).toEqual(tokens);
  else
    expect({ tokens, text, stopReason }).toEqual({
      tokens: alone.tokens,
      text: alone.text,
      stopReason: alone.stopReason,
    });
}

let file: string;
let pack: string;
let reference: Engine;
beforeAll(async () => {
  file = temporaryFile("schedule.gguf", randomModel(MODEL));
  pack = temporaryPath("schedule.pack.gguf");
  await packFile(file, pack);
  reference = await Engine.load(nodeDevice(), file, { contextLength: CONTEXT, parallel: 1, threads: 1 }, () => {});
});
afterAll(() => reference.close());

const alone = ({ prompt, options }: Plan) => reference.generate(prompt, options, () => {});

describe.each([
  { threads: 1, parallel: 4, streamed: false },
  { threads: 2, parallel: 3, streamed: false },
  { threads: 4, parallel: 2, streamed: false },
  { threads: 1, parallel: 3, streamed: true },
  { threads: 3, parallel: 2, streamed: true },
])("$threads threads, $parallel caches, streamed: $streamed", ({ threads, parallel, streamed }) => {
  let engine: Engine;
  beforeAll(async () => {
    const { bytes } = await estimate(pack, { contextLength: CONTEXT, parallel, threads });
    const limit = { overheadBytes: undefined, availableBytes: () => bytes.total - (2 << 20) };
    const device = { ...nodeDevice(), ...(streamed && limit) };
    engine = await Engine.load(device, streamed ? pack : file, { contextLength: CONTEXT, parallel, threads }, () => {});
  });
  afterAll(() => engine.close());

  test("any schedule gives the same bits, and places come back", async () => {
    expect(engine.info.memory.mode).toBe(streamed ? "streamed" : "resident");
    await fc.assert(
      fc.asyncProperty(fc.array(plans, { minLength: 1, maxLength: 8 }), async (script) => {
        const outcomes = await play(
          script,
          ({ prompt, options }, request, emit) => engine.generate(prompt, options, emit, undefined, request),
          (request) => engine.cancel(request),
        );
        for (const [i, outcome] of outcomes.entries()) expectAsAlone(outcome, await alone(script[i]), script[i]);
        expect(engine.status()).toMatchObject({ running: 0, waiting: 0, parallel });
      }),
      { numRuns: 10 },
    );
  });
});

describe("held to a shape", () => {
  /** After each token that was sampled, so many must follow that it decides; ids below 200 may be sampled. */
  class Echoes implements Constraint {
    private owed: number[] = [];
    private readonly bits = new Uint32Array(10).map((_, word) => (word < 6 ? 0xffffffff : word === 6 ? 0xff : 0));
    readonly complete = false;

    allowed() {
      return this.bits;
    }

    forced() {
      return [...this.owed];
    }

    push(id: number) {
      if (this.owed.length > 0) expect(this.owed.shift()).toBe(id);
      else {
        expect(id).toBeLessThan(200);
        this.owed = Array.from({ length: id % 5 }, (_, i) => (id + 3 * i) % 256);
      }
    }
  }

  let means: Means;
  let language: Language;
  beforeAll(async () => {
    means = await computeOf(file, { contextLength: CONTEXT, parallel: 3 });
    const model = openModel((name) => nodeDevice().open(name), file, "int8");
    language = await Language.open(model.metadata, model.config.vocabSize);
    model.close();
  });

  const newSchedule = (count: number, passes: number[]) => {
    const sequences = Array.from({ length: count }, (_, i) => new Sequence(means, i));
    for (const sequence of sequences) sequence.truncate(0);
    const pool = new Pool(sequences, Number.POSITIVE_INFINITY);
    const signals = Signals.create(true);
    const schedule: Schedule = new Schedule({
      compute: {
        ...means,
        forward(ids, from) {
          passes.push(ids.length);
          return means.forward(ids, from);
        },
      },
      pool,
      signals,
      mail: async () => {},
      prepare: () => {},
      stopped: () => {},
      profile: () => ({}),
    });
    return { schedule, pool };
  };
  const answerOf = ({ prompt, options }: Plan, emit: () => void = () => {}) => {
    const { tokenizer, table } = language;
    const { contextLength, logitsRows: mostLogits } = means.layout;
    const made = { tokenizer, table, contextLength, mostLogits, draftTokens: 0, loadMs: 0, emit };
    return new Answer({ ...made, constraint: new Echoes() }, prompt, { ...options, ignoreEos: false });
  };

  test("what must follow is not sampled, costs no pass of its own, and changes nothing for others", async () => {
    let tokens = 0;
    let steps = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(plans, { minLength: 1, maxLength: 5 }), async (script) => {
        const { schedule, pool } = newSchedule(3, []);
        const outcomes = await play(
          script,
          async (plan, request, emit) => {
            const answer = answerOf(plan, emit);
            await schedule.run(request, answer);
            return answer.result;
          },
          (request) => schedule.cancel(request, new PiPhiError("E_CANCELLED", "")),
        );
        for (const [i, outcome] of outcomes.entries()) {
          const passes: number[] = [];
          const answer = answerOf(script[i]);
          await newSchedule(1, passes).schedule.run(1, answer);
          expectAsAlone(outcome, answer.result, script[i]);
          tokens += answer.result.generatedTokens;
          steps += passes.length;
        }
        expect(pool.free).toBe(3);
      }),
      { numRuns: 20 },
    );
    expect(steps).toBeLessThan(0.75 * tokens);
  });

  test("with the likelihoods of what must follow: the same tokens", async () => {
    const plan: Plan = { prompt: [5, 6, 7], options: { maxTokens: 30, temperature: 1, seed: 4 }, arrives: 0 };
    const run = async (options: EngineGenerateOptions) => {
      const answer = answerOf({ ...plan, options: { ...plan.options, ...options } });
      await newSchedule(1, []).schedule.run(1, answer);
      return answer.result;
    };
    const plain = await run({});
    const told = await run({ logprobs: 2 });
    expect(told.tokens).toEqual(plain.tokens);
    expect(told.logprobs!.map(({ id }) => id)).toEqual(plain.tokens);
    expect(told.logprobs!.every(({ logprob }) => logprob! < 0)).toBe(true);
  });

  test("each pass gives every running answer a token while a prompt is read, and pieces of it the rest", async () => {
    const passes: number[] = [];
    const { schedule } = newSchedule(3, passes);
    const steps: number[] = [];
    const plan = (prompt: number[], maxTokens: number): Plan => {
      return { prompt, options: { maxTokens, seed: 2 }, arrives: 0 };
    };
    let reading: Promise<void> | undefined;
    const late = answerOf(
      plan(
        Array.from({ length: 100 }, (_, i) => (i * 3) % 200),
        1,
      ),
    );
    const running = answerOf(plan([1, 2, 3], 40), () => {
      steps.push(passes.length);
      reading ??= schedule.run(2, late);
    });
    await schedule.run(1, running);
    await reading;
    expect(steps).toEqual(steps.map((_, i) => i + 1)); // none was left out of a pass
    const pieces = passes.filter((rows) => rows > 8);
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.reduce((sum, rows) => sum + rows, 0)).toBeGreaterThanOrEqual(80);
  });

  test("prompts that begin alike are read once, however many come together", async () => {
    const passes: number[] = [];
    const { schedule } = newSchedule(3, passes);
    const begin = Array.from({ length: 100 }, (_, i) => (i * 3) % 200);
    const answers = Array.from({ length: 8 }, (_, i) =>
      answerOf({ prompt: [...begin, i, 7], options: { maxTokens: 1 }, arrives: 0 }),
    );
    await Promise.all(answers.map((answer, i) => schedule.run(i + 1, answer)));
    expect(answers.map(({ result }) => result.usage.cachedTokens)).toEqual([0, ...Array(7).fill(100)]);
    expect(passes.reduce((sum, rows) => sum + rows, 0)).toBe(100 + 8 * 2);
  });

  test("a text that is scored, and one that is read, beside an answer", async () => {
    const { schedule, pool } = newSchedule(3, []);
    const plan: Plan = { prompt: SHARED[1], options: { maxTokens: 20, seed: 1 }, arrives: 0 };
    const answer = answerOf(plan);
    const scoring = new Scoring(SHARED[2], 3);
    const reading = new Reading({ ids: SHARED[2], exact: true });
    await Promise.all([answer, scoring, reading].map((work, i) => schedule.run(i + 1, work)));
    const lone = new Scoring(SHARED[2], 3);
    await newSchedule(1, []).schedule.run(1, lone);
    expect(scoring.positions).toEqual(lone.positions);
    expect(pool.longest([...SHARED[2], 300])).toBe(SHARED[2].length);
  });
});

describe("by messages", () => {
  let phi: Phi;
  beforeAll(async () => {
    phi = await load(EMBEDDED_MODEL, { parallel: 3, contextLength: 128, threads: 2 });
  });
  afterAll(() => phi.close());
  const endless = { ignoreEos: true, maxTokens: 40 };
  const prompts = Array.from({ length: 50 }, (_, i) => `turn ${i % 2 ? "on" : "off"} light ${i}`);

  test("50 requests at once, each with its own text, and 300 cancels that change none of the others", async () => {
    const expected: number[][] = [];
    for (const prompt of prompts) expected.push((await phi.generate(prompt, endless)).tokens);
    const together = await Promise.all(prompts.map((prompt) => phi.generate(prompt, endless)));
    expect(together.map(({ tokens }) => tokens)).toEqual(expected);
    expect(together.some(({ usage }) => usage.queueMs > 0)).toBe(true);
    let cancels = 0;
    for (let round = 0; round < 8; round++) {
      const outcomes = prompts.map(async (prompt, i) => {
        const abort = new AbortController();
        if (i % 5 !== round % 5) {
          cancels++;
          setTimeout(() => abort.abort(), (i * 13 + round * 7) % 90);
        }
        const result = await Promise.resolve(phi.generate(prompt, { ...endless, signal: abort.signal })).catch(
          (error) => error.code,
        );
        if (result === "E_CANCELLED") return;
        expect(expected[i].slice(0, result.tokens.length)).toEqual(result.tokens);
        if (!abort.signal.aborted) expect(result.tokens).toEqual(expected[i]);
      });
      await Promise.all(outcomes);
    }
    expect(cancels).toBeGreaterThanOrEqual(300);
    expect(await phi.status()).toMatchObject({ running: 0, waiting: 0, parallel: 3 });
  });

  test("one conversation goes on while another is answered", async () => {
    const alone = await phi.generate(prompts[0], endless);
    const first = phi.generate(prompts[0], endless);
    let second: PromiseLike<GenerateResult> | undefined;
    let text = "";
    for await (const delta of first) {
      text += delta.text;
      second ??= phi.chat([{ role: "user", content: "turn on the kitchen lights" }]);
    }
    expect(text).toBe(alone.text);
    expect((await second!).text.trim()).toBe('{"intent":"HassTurnOn","area":"kitchen","domain":"light"}');
  });

  test("more than the queue holds is refused, and what was taken is answered", async () => {
    await using small = await load(EMBEDDED_MODEL, { parallel: 1, queue: 2, contextLength: 128 });
    const asked = prompts.slice(0, 6).map((prompt) => small.generate(prompt, endless));
    const outcomes = await Promise.allSettled(asked);
    expect(outcomes.map(({ status }) => status)).toEqual([...Array(3).fill("fulfilled"), ...Array(3).fill("rejected")]);
    const [, , , refused] = outcomes;
    expect((refused as PromiseRejectedResult).reason).toMatchObject({
      code: "E_BUSY",
      details: { waiting: 2, queue: 2 },
    });
    await expect(load(EMBEDDED_MODEL, { queue: -1 })).rejects.toThrow(/queue must be a whole number/);
  });
});
