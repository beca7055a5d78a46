/** Several answers side by side: the texts that the prompts get one by one. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { type GenerateResult, load, type Phi } from "../../devices/node/index.ts";

const PROMPTS = [
  "turn on the kitchen lights",
  "close the garage door",
  "what is",
  "set the bedroom to 20 degrees",
  "a",
];

let phi: Phi;
beforeAll(async () => {
  phi = await load(undefined, { parallel: 3, contextLength: 128 });
});
afterAll(() => phi.close());

test.each([
  ["greedy, to the length limit", { maxTokens: 20, ignoreEos: true }],
  ["until the model ends", {}],
  ["sampled", { maxTokens: 16, temperature: 0.9, seed: 3 }],
])("%s: five prompts in three caches", async (_, options) => {
  const { results, decodedTokens, decodeMs } = await phi.generateAll(PROMPTS, options);
  expect(decodedTokens).toBe(results.reduce((sum, { generatedTokens }) => sum + generatedTokens - 1, 0));
  expect(decodeMs).toBeGreaterThan(0);
  for (const [i, prompt] of PROMPTS.entries()) {
    const alone = await phi.generate(prompt, options);
    expect(results[i]).toMatchObject({ text: alone.text, tokens: alone.tokens, stopReason: alone.stopReason });
  }
});

test("nothing to do, and what is refused", async () => {
  expect((await phi.generateAll([])).results).toEqual([]);
  await expect(phi.generateAll("a" as never)).rejects.toThrow(/array of prompts/);
  await expect(phi.generateAll(["a", ""])).rejects.toMatchObject({ code: "E_PROMPT_EMPTY" });
  await expect(load(undefined, { parallel: 17 })).rejects.toThrow(/parallel must be/);
  const after = await phi.generateAll(["a"], { maxTokens: 4 });
  expect(after.results[0].tokens).toEqual((await phi.generate("a", { maxTokens: 4 })).tokens);
});

test("a cancel ends all answers", async () => {
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 5);
  const endless = { maxTokens: 100, ignoreEos: true, signal: abort.signal };
  const outcome = await phi.generateAll(Array(40).fill("turn on the lights"), endless).catch((error) => error.code);
  const reasons =
    typeof outcome === "string" ? [outcome] : outcome.results.map((result: GenerateResult) => result.stopReason);
  expect(reasons).toContain(typeof outcome === "string" ? "E_CANCELLED" : "cancelled");
});
