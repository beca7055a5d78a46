/** Measures what many conversations take beside one, in this process; times in ms. */

import { gaps, median } from "./report.mjs";

const SHORT_PROMPT = 16;
const NEW_TOKENS = 24;

/** Ids that begin like no others: from a linear congruence, below `vocabSize`. */
export function idsOf(seed, length, vocabSize) {
  let state = seed * 2654435761;
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % Math.min(vocabSize, 50000);
  });
}

/** An answer with the times at which its tokens came. */
async function answer(phi, prompt, maxTokens) {
  const start = performance.now();
  const times = [];
  const generation = phi.generate(prompt, { maxTokens, ignoreEos: true, drafts: 0 });
  for await (const { tokens } of generation) for (const _ of tokens) times.push(performance.now());
  const { usage, timings } = await generation;
  return { times, usage, timings, tokens: times.length, ms: times.at(-1) - start, decodeMs: times.at(-1) - times[0] };
}

/** Several answers at once, and one alone; tokens after the first, so that no prompt counts. */
export async function measureTogether(phi, count, maxTokens) {
  const prompt = (i) => idsOf(100 + i, SHORT_PROMPT, phi.info.config.vocabSize);
  const one = await answer(phi, prompt(0), maxTokens);
  const answers = await Promise.all(Array.from({ length: count }, (_, i) => answer(phi, prompt(1 + i), maxTokens)));
  const first = Math.min(...answers.map(({ times }) => times[0]));
  const last = Math.max(...answers.map(({ times }) => times.at(-1)));
  const decoded = ({ tokens, decodeMs }) => ({ tokens: tokens - 1, ms: decodeMs });
  return { alone: decoded(one), together: { ms: last - first, answers: answers.map(decoded) } };
}

/** An answer that runs while a prompt is read, and both alone. */
export async function measureBeside(phi, promptTokens, maxTokens) {
  const { vocabSize } = phi.info.config;
  const lone = await answer(phi, idsOf(200, SHORT_PROMPT, vocabSize), 24);
  const promptAlone = await answer(phi, idsOf(201, promptTokens, vocabSize), 1);
  const abort = new AbortController();
  const times = [];
  const running = phi.generate(idsOf(202, SHORT_PROMPT, vocabSize), {
    maxTokens,
    ignoreEos: true,
    drafts: 0,
    signal: abort.signal,
  });
  let reading;
  let from = 0;
  for await (const _ of running) {
    times.push(performance.now());
    if (times.length === 8) {
      from = times.length;
      reading = answer(phi, idsOf(203, promptTokens, vocabSize), 1).then((result) => {
        abort.abort();
        return result;
      });
    }
  }
  const promptBeside = await reading;
  return {
    steps: { alone: gaps(lone.times), beside: gaps(times.slice(from)) },
    prompt: { tokens: promptTokens, aloneMs: promptAlone.ms, besideMs: promptBeside.ms },
  };
}

/** A second turn after a long history; and what its new tokens take in a text of their own. */
export async function measureTurn(phi, history) {
  const { vocabSize } = phi.info.config;
  const first = idsOf(300, history, vocabSize);
  await answer(phi, first, 2);
  const turn = await answer(phi, [...first, ...idsOf(301, NEW_TOKENS, vocabSize)], 9);
  const fresh = await answer(phi, idsOf(302, NEW_TOKENS, vocabSize), 2);
  return {
    history,
    firstMs: turn.timings.firstTokenMs,
    stepMs: median(gaps(turn.times)),
    newMs: fresh.timings.prefillMs,
  };
}

/** How many tokens of prompts that begin alike are computed. */
export async function measureShared(phi, conversations, prefix) {
  const { vocabSize } = phi.info.config;
  const system = idsOf(400, prefix, vocabSize);
  const prompts = Array.from({ length: conversations }, (_, i) => [...system, ...idsOf(401 + i, 8, vocabSize)]);
  const answers = await Promise.all(prompts.map((prompt) => answer(phi, prompt, 2)));
  const computed = answers.reduce((sum, { usage }) => sum + usage.promptTokens - usage.cachedTokens, 0);
  return { conversations, prefix, computed: computed - conversations * 8 };
}
