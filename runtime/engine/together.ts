/** Several prompts answered side by side: each pass over the weights yields one token for every answer. */

import type { Delta, GenerateAllResult, GenerateResult } from "../api.ts";
import { type Compute, Sequence } from "../cache/sequence.ts";
import { Answer, Clock, type EngineGenerateOptions, type GenerateContext } from "./answer.ts";

/** What answers share. */
export interface TogetherContext extends Omit<GenerateContext, "sequence" | "exact" | "emit" | "profile"> {
  compute: Compute;
  sequences: readonly Sequence[];
}

/** An answer that is being given. */
interface Running {
  index: number;
  sequence: Sequence;
  answer: Answer;
  clock: Clock;
  cachedTokens: number;
  promptTokens: number;
}

/**
 * Answers all prompts, as many at once as there are sequences; one that ends makes room for the next. The texts are those
 * that the prompts get one by one. Throws what `generate` throws.
 */
export async function generateTogether(
  context: TogetherContext,
  prompts: readonly (readonly number[])[],
  options: EngineGenerateOptions,
): Promise<GenerateAllResult> {
  const results: GenerateResult[] = [];
  const free = [...context.sequences];
  let running: Running[] = [];
  let next = 0;
  let stopped = false;
  let decodeMs = 0;
  let decodedTokens = 0;
  const settle = () => {
    for (const one of running.filter(({ answer }) => answer.ended)) {
      results[one.index] = resultOf(one);
      free.push(one.sequence);
    }
    running = running.filter(({ answer }) => !answer.ended);
  };
  while (next < prompts.length || running.length > 0) {
    while (free.length > 0 && next < prompts.length) {
      const index = next++;
      const one = start(context, free.shift()!, index, prompts[index], options);
      running.push(one);
      if (stopped || !(await prefill(context, one, prompts[index]))) one.answer.cancel();
      stopped ||= one.answer.stopReason === "cancelled";
    }
    settle();
    if (running.length === 0) continue;
    const startMs = performance.now();
    const ids = running.map(({ answer }) => answer.tokens[answer.tokens.length - 1]);
    const sequences = running.map(({ sequence }) => sequence);
    const rows = stopped ? undefined : await Sequence.advance(context.compute, sequences, ids);
    running.forEach(({ answer, clock }, i) => {
      if (rows) answer.sample(rows[i]);
      else answer.cancel();
      clock.token(0);
    });
    if (rows) {
      decodeMs += performance.now() - startMs;
      decodedTokens += running.length;
    }
    stopped ||= rows === undefined || !(await context.pause());
    settle();
  }
  return { results, decodeMs, decodedTokens };
}

function start(
  context: TogetherContext,
  sequence: Sequence,
  index: number,
  prompt: readonly number[],
  options: EngineGenerateOptions,
): Running {
  const emit = (_: Delta) => {};
  const answer = new Answer({ ...context, sequence, exact: true, emit, profile: () => ({}) }, prompt, options);
  const clock = new Clock(context.loadMs);
  return { index, sequence, answer, clock, cachedTokens: sequence.rewind(prompt), promptTokens: prompt.length };
}

/** Computes the prompt and its first token; false where it was stopped. */
function prefill(context: TogetherContext, one: Running, prompt: readonly number[]): Promise<boolean> {
  return one.sequence.extend(prompt.slice(one.cachedTokens), "last", context.pause, ([logits]) => {
    if (one.answer.ended) return;
    one.answer.sample(logits);
    one.clock.token(prompt.length - one.cachedTokens);
  });
}

function resultOf({ answer, clock, sequence, cachedTokens, promptTokens }: Running): GenerateResult {
  answer.flush();
  const { text, tokens, stopReason } = answer;
  const counts = { promptTokens, cachedTokens, generatedTokens: tokens.length };
  const rolled = sequence.dropped > 0 && { rolledTokens: sequence.dropped };
  return { text, tokens, ...counts, ...rolled, stopReason, timings: clock.timings(tokens.length) };
}
