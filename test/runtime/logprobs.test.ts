/** Numbers about tokens: how likely they were, of answers and of prompts, and what requests took. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { load, type Phi } from "../../devices/node/index.ts";
import type { AnswerToken } from "../../runtime/api.ts";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryFile } from "../fixtures/temporary.ts";

const PROMPT = "the light and the other light, which is in the kitchen";

let phi: Phi;
beforeAll(async () => {
  phi = await load(temporaryFile("logprobs.gguf", randomModel({ contextLength: 128, peaked: 3 })), { parallel: 2 });
});
afterAll(() => phi.close());

/** What scoring says of each token after the first. */
async function scored(ids: readonly number[]) {
  const { positions } = await phi.score(ids, { top: phi.info.config.vocabSize });
  return ids.slice(1).map((id, i) => new Map(positions[i].top).get(id)!);
}

const logprobsOf = (tokens: readonly AnswerToken[]) => tokens.map(({ logprob }) => logprob);

test.each([
  ["greedy", {}],
  ["sampled, with penalties and guesses", { temperature: 1.3, seed: 3, repeatPenalty: 1.5, drafts: 7 }],
])("%s: each token of an answer has the number that scoring gives", async (_, options) => {
  const asked = { maxTokens: 20, ignoreEos: true, ...options };
  const plain = await phi.generate(PROMPT, asked);
  const generation = phi.generate(PROMPT, { ...asked, logprobs: 3 });
  const streamed: AnswerToken[] = [];
  let text = "";
  for await (const delta of generation) {
    streamed.push(...delta.tokens);
    text += delta.text;
  }
  const { tokens, logprobs, ...result } = await generation;
  expect([tokens, text, result.text]).toEqual([plain.tokens, plain.text, plain.text]);
  expect(plain.logprobs).toBeUndefined();
  expect(logprobs).toEqual(streamed);
  expect(logprobs!.map(({ id }) => id)).toEqual(tokens);
  const { ids } = await phi.tokenize(PROMPT);
  expect(logprobsOf(logprobs!)).toEqual((await scored([...ids, ...tokens])).slice(ids.length - 1));
  for (const { top, logprob } of logprobs!) {
    expect(top).toHaveLength(3);
    expect(top![0].logprob).toBeGreaterThanOrEqual(logprob!);
    expect(top!.map((one) => one.logprob)).toEqual(top!.map((one) => one.logprob).toSorted((a, b) => b - a));
  }
  const bytes = logprobs!.flatMap((token) => token.bytes!);
  expect(new TextDecoder().decode(Uint8Array.from(bytes))).toBe(text);
});

test("without others beside it, and none where it is not asked for", async () => {
  const { logprobs } = await phi.generate(PROMPT, { maxTokens: 3, logprobs: 0 });
  expect(logprobs!.map((token) => Object.keys(token))).toEqual(Array(3).fill(["id", "text", "bytes", "logprob"]));
  for await (const { tokens } of phi.generate(PROMPT, { maxTokens: 2 })) {
    for (const token of tokens) expect(Object.keys(token)).toEqual(["id"]);
  }
});

test.each([0, 1, 12])("a prompt with the numbers of its tokens, and %i tokens more", async (maxTokens) => {
  const { ids } = await phi.tokenize(PROMPT);
  const result = await phi.generate(PROMPT, { echo: true, logprobs: 1, maxTokens, ignoreEos: true });
  expect(result.text.startsWith(PROMPT)).toBe(true);
  expect(result.tokens.slice(0, ids.length)).toEqual(ids);
  expect(result.logprobs!.map(({ id }) => id)).toEqual(result.tokens);
  const [first, ...rest] = logprobsOf(result.logprobs!);
  expect(first).toBeUndefined();
  expect(rest).toEqual(await scored(result.tokens));
  expect(result).toMatchObject({ generatedTokens: maxTokens, cachedTokens: 0, stopReason: "length" });
  const plain = await phi.generate(PROMPT, { maxTokens, ignoreEos: true });
  expect(result.text).toBe(PROMPT + plain.text);
});

test("a prompt alone, as the beginning of the text", async () => {
  const plain = await phi.generate(PROMPT, { maxTokens: 4, stop: ["the light"] });
  let text = "";
  const generation = phi.generate(PROMPT, { echo: true, maxTokens: 4, stop: ["the light"] });
  for await (const delta of generation) text += delta.text;
  const { tokens, logprobs } = await generation;
  expect(text).toBe(PROMPT + plain.text); // a stop text in the prompt ends nothing
  expect(tokens).toEqual([...(await phi.tokenize(PROMPT)).ids, ...plain.tokens]);
  expect(logprobs).toBeUndefined();
  const one = await phi.generate([5], { echo: true, logprobs: 0, maxTokens: 0 });
  expect([one.tokens, one.logprobs]).toEqual([[5], [{ id: 5, text: "&", bytes: [38] }]]);
});

test("what requests took", async () => {
  await phi.generate(PROMPT, { maxTokens: 2 });
  const { usage, promptTokens, cachedTokens, generatedTokens } = await phi.generate(PROMPT, { maxTokens: 2 });
  expect(usage).toEqual({ promptTokens, cachedTokens, generatedTokens, queueMs: expect.any(Number) });
  expect(cachedTokens).toBe(promptTokens - 1);
  expect((await phi.score(PROMPT)).usage).toMatchObject({ promptTokens, cachedTokens: 0, generatedTokens: 0 });
});

test.each([-1, 1.5, "2" as never])("logprobs: %s is refused", async (logprobs) => {
  await expect(async () => await phi.generate("a", { logprobs })).rejects.toThrow(/logprobs must be a whole number/);
});
