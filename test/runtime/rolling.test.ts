/** Texts longer than the context: what is computed after the oldest tokens have gone, and that texts go on. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { load, type Phi } from "../../devices/node/index.ts";
import type { LoadOptions } from "../../runtime/api.ts";
import { Sequence } from "../../runtime/cache/sequence.ts";
import { advance, computeOf, logitsOf } from "../fixtures/compute.ts";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryFile } from "../fixtures/temporary.ts";
import { random } from "../kernels/blocks.ts";
import { meanKl, referenceLogits, type Sight } from "../reference/phi.ts";

const CONTEXT = 128;
const DROPPED_AT_ONCE = 32;
const SINKS = 32;
const MODEL = { type: "F32", contextLength: CONTEXT, peaked: 5 };

/** Tokens that have gone when the one at `position` has come. */
const gone = (position: number) => DROPPED_AT_ONCE * Math.ceil(Math.max(0, position + 1 - CONTEXT) / DROPPED_AT_ONCE);
/** The first tokens follow; those after them go. */
const rolling: Sight = (position, past) => {
  if (past < SINKS) return past + gone(position);
  return past < SINKS + gone(position) ? undefined : past;
};

const next = random(11);
const ids = Array.from({ length: 700 }, () => Math.floor(next() * 300));

let bytes: Uint8Array;
let file: string;
beforeAll(() => {
  bytes = randomModel(MODEL);
  file = temporaryFile("rolling.gguf", bytes);
});

describe("logits beyond the context", () => {
  const after = (rows: ArrayLike<number>[]) => rows.slice(CONTEXT);

  test.each([
    ["f16", 2e-7],
    ["int8", 5e-5],
  ] as const)("%s: those of the first tokens and the window, also after many rolls", async (kv, most) => {
    const compute = await computeOf(file, { contextLength: CONTEXT, kv, dense: "exact" });
    const sequence = new Sequence(compute);
    const logits = await logitsOf(compute, sequence, ids);
    expect(sequence.dropped).toBe(gone(ids.length - 1));
    const reference = referenceLogits(bytes, ids, rolling);
    const kl = (from: number, to: number) => meanKl(reference.slice(from, to), logits.slice(from, to));
    const first = kl(0, CONTEXT);
    const early = kl(CONTEXT, 2 * CONTEXT);
    const late = kl(ids.length - CONTEXT, ids.length);
    expect(first).toBeLessThan(most);
    expect(early).toBeLessThan(most);
    expect(late).toBeLessThan(most);
    expect(late).toBeLessThan(3 * (first + early)); // no drift

    // What it would be if the first tokens had gone, too, or had stayed where they were.
    const without = referenceLogits(bytes, ids, (p, past) =>
      past < SINKS && gone(p) > 0 ? undefined : rolling(p, past),
    );
    const unturned = referenceLogits(bytes, ids, (p, past) => (past < SINKS ? past : rolling(p, past)));
    for (const wrong of [without, unturned]) expect(meanKl(after(wrong), after(logits))).toBeGreaterThan(20 * most);
  });

  test.each(["int8", "f16"] as const)("%s: a batch leaves the bits that its tokens leave one by one", async (kv) => {
    const compute = await computeOf(file, { contextLength: CONTEXT, kv, parallel: 2 });
    const some = ids.slice(0, 300);
    const together = await logitsOf(compute, new Sequence(compute, 0), some);
    expect(await logitsOf(compute, new Sequence(compute, 1), some, 1)).toEqual(together);
    expect(await logitsOf(compute, new Sequence(compute, 0), some, 7)).toEqual(together);
  });

  test("several sequences in one pass, each at its own positions", async () => {
    const compute = await computeOf(file, { contextLength: CONTEXT, parallel: 2 });
    const [long, short] = [new Sequence(compute, 0), new Sequence(compute, 1)];
    const alone = [
      await logitsOf(compute, long, ids.slice(0, 300)),
      await logitsOf(compute, short, ids.slice(300, 340)),
    ];
    for (const sequence of [long, short]) sequence.rewind([]);
    expect([long.length, short.length]).toEqual([0, 0]);
    await logitsOf(compute, long, ids.slice(0, 270));
    await logitsOf(compute, short, ids.slice(300, 310));
    for (let i = 0; i < 30; i++) {
      const rows = await advance(compute, [long, short], [ids[270 + i], ids[310 + i]]);
      expect(rows).toEqual([alone[0][270 + i], alone[1][10 + i]]);
    }
  });
});

describe("texts", () => {
  const PROMPT = "the light and the light and";
  const LONG = { ignoreEos: true, maxTokens: 400 };
  let phi: Phi;
  const withModel = async (options: LoadOptions, use: (phi: Phi) => Promise<void>) => {
    await using other = await load(file, options);
    await use(other);
  };
  beforeAll(async () => {
    phi = await load(file, { contextLength: CONTEXT });
  });
  afterAll(() => phi.close());

  test("end at the context's, or roll on", async () => {
    const stopped = await phi.generate(PROMPT, LONG);
    expect(stopped).toMatchObject({ stopReason: "length", generatedTokens: CONTEXT + 1 - stopped.promptTokens });
    expect(stopped.rolledTokens).toBeUndefined();
    const rolled = await phi.generate(PROMPT, { ...LONG, overflow: "roll" });
    expect(rolled).toMatchObject({ stopReason: "length", generatedTokens: 400 });
    expect(rolled.rolledTokens).toBe(gone(rolled.promptTokens + 400 - 2)); // the last token is not computed
    expect(rolled.tokens.slice(0, stopped.generatedTokens)).toEqual(stopped.tokens);
  });

  test("without a limit, an answer has as many tokens as the context holds", async () => {
    const { generatedTokens } = await phi.generate(PROMPT, { ignoreEos: true, overflow: "roll" });
    expect(generatedTokens).toBe(CONTEXT);
  });

  test("are the same with guesses, side by side, and in fewer threads", async () => {
    const options = { ...LONG, overflow: "roll" } as const;
    const { tokens } = await phi.generate(PROMPT, options);
    for (const drafts of [1, 7, 15]) {
      expect((await phi.generate(PROMPT, { ...options, drafts })).tokens).toEqual(tokens);
    }
    await withModel({ contextLength: CONTEXT, parallel: 3, threads: 1 }, async (other) => {
      const { results } = await other.generateAll([PROMPT, "a", PROMPT, `${PROMPT} so`], options);
      const single = async (prompt: string) => (await phi.generate(prompt, options)).tokens;
      const expected = [tokens, await single("a"), tokens, await single(`${PROMPT} so`)];
      expect(results.map((result) => result.tokens)).toEqual(expected);
      expect(results[0].rolledTokens).toBeGreaterThan(0);
    });
  });

  test("prompts longer than the context roll as they are read", async () => {
    const options = { maxTokens: 20, ignoreEos: true, overflow: "roll" } as const;
    const prompt = ids.slice(0, 500);
    const read = await phi.generate(prompt, options);
    expect(read).toMatchObject({ promptTokens: 500, rolledTokens: gone(500 + 20 - 2) });
    await withModel({ contextLength: CONTEXT, threads: 1 }, async (other) => {
      // What came before may not matter: cut, go on, cut again.
      await other.generate(prompt.slice(0, 300), options);
      await other.generate([...prompt.slice(0, 310), 7, 7, 7], options);
      expect((await other.generate(prompt, options)).tokens).toEqual(read.tokens);
    });
    await expect(async () => await phi.generate(prompt)).rejects.toMatchObject({ code: "E_PROMPT_TOO_LONG" });
  });

  test("a prompt that goes on where the text ended is not read again; one that fits is as if nothing had been", async () => {
    const options = { ...LONG, overflow: "roll" } as const;
    const { ids: prompt } = await phi.tokenize(PROMPT);
    const fresh = await phi.generate(prompt, options);
    const history = [...prompt, ...fresh.tokens];
    const more = await phi.generate([...history, 5, 6, 7], options);
    expect(more.cachedTokens).toBe(history.length - 1);
    const again = await phi.generate(prompt, options);
    expect(again).toMatchObject({ cachedTokens: 0, tokens: fresh.tokens });
    const stopped = await phi.generate(prompt, LONG);
    expect(stopped).toMatchObject({ cachedTokens: 0, tokens: fresh.tokens.slice(0, stopped.generatedTokens) });
  });

  test("a context that is too short, or another word, is refused", async () => {
    await withModel({ contextLength: 95 }, async (other) => {
      const refused = async () => await other.generate("a", { overflow: "roll" });
      await expect(refused).rejects.toMatchObject({ code: "E_CONTEXT", details: { least: 96 } });
    });
    await withModel({ contextLength: 96 }, async (other) => {
      expect(await other.generate("a", { ...LONG, overflow: "roll" })).toMatchObject({ generatedTokens: 400 });
    });
    const wrong = async () => await phi.generate("a", { overflow: "wrap" as "roll" });
    await expect(wrong).rejects.toMatchObject({ code: "E_USAGE" });
  });
});
