/** Guessing tokens and verifying them in one pass over the weights. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { nodeDevice } from "../../devices/node/device.ts";
import { EMBEDDED_MODEL, load, type Phi } from "../../devices/node/index.ts";
import { Engine } from "../../runtime/engine/engine.ts";

const REPEATING = "turn on the kitchen lights and turn on the kitchen lights and turn on the kitchen";

let phi: Phi;
beforeAll(async () => {
  phi = await load();
});
afterAll(() => phi.close());

test.each([
  ["greedy", {}],
  ["sampled", { temperature: 0.8, seed: 5 }],
  ["with a repeat penalty", { repeatPenalty: 1.3 }],
])("%s: the same tokens with any number of guesses, in fewer passes", async (_, options) => {
  const shared = { maxTokens: 60, ignoreEos: true, ...options };
  const plain = await phi.generate(REPEATING, shared);
  expect(plain.drafts).toBeUndefined();
  for (const drafts of [1, 3, 7, 15]) {
    const guessed = await phi.generate(REPEATING, { ...shared, drafts });
    expect(guessed.tokens).toEqual(plain.tokens);
    expect(guessed.text).toBe(plain.text);
    const { passes, proposed, accepted } = guessed.drafts!;
    expect(passes + accepted).toBe(plain.tokens.length);
    expect(accepted).toBeLessThanOrEqual(proposed);
  }
  const { drafts } = await phi.generate(REPEATING, { maxTokens: 60, ignoreEos: true, drafts: 7 });
  expect(drafts!.accepted).toBeGreaterThan(10);
});

test("what ends an answer ends it among guesses, too, and the next request finds a clean cache", async () => {
  const plain = await phi.generate(REPEATING, { maxTokens: 40, ignoreEos: true });
  for (const maxTokens of [1, 2, 5, 11, 17]) {
    const guessed = await phi.generate(REPEATING, { maxTokens, ignoreEos: true, drafts: 15 });
    expect(guessed.tokens).toEqual(plain.tokens.slice(0, maxTokens));
  }
  const stop = [plain.text.slice(20, 24)];
  const stopped = await phi.generate(REPEATING, { maxTokens: 40, ignoreEos: true, stop });
  expect(await phi.generate(REPEATING, { maxTokens: 40, ignoreEos: true, stop, drafts: 7 })).toMatchObject({
    text: stopped.text,
    stopReason: stopped.stopReason,
  });
  expect((await phi.generate(REPEATING, { maxTokens: 40, ignoreEos: true })).tokens).toEqual(plain.tokens);
});

test("a full context ends the guesses with the answer", async () => {
  const small = await load(undefined, { contextLength: 48 });
  try {
    const plain = await small.generate(REPEATING, { ignoreEos: true });
    const guessed = await small.generate(REPEATING, { ignoreEos: true, drafts: 15 });
    expect(guessed.tokens).toEqual(plain.tokens);
    expect(guessed.stopReason).toBe("length");
  } finally {
    await small.close();
  }
});

test.each([-1, 1.5, Number.NaN])("%d guesses are refused", async (drafts) => {
  await expect(async () => await phi.generate("a", { drafts })).rejects.toThrow(/drafts must be a whole number/);
});

test("a cancel leaves no guesses in a session", async () => {
  const engine = await Engine.load(nodeDevice(), EMBEDDED_MODEL, {}, () => {});
  try {
    const { ids } = engine.language.tokenize(REPEATING);
    for (let after = 1; after < 12; after++) {
      const { session } = await engine.sessions.begin("");
      let count = 0;
      const cancel = () => {
        if (++count === after) engine.cancel();
      };
      const { tokens, stopReason } = await engine.generate(ids, { ignoreEos: true, drafts: 15 }, cancel, session);
      expect(stopReason).toBe("cancelled");
      const held = engine.sessions.tokens(session);
      expect(held).toEqual([...ids, ...tokens].slice(0, held.length));
    }
  } finally {
    engine.close();
  }
});
