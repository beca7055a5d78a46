/** Ollama's words for what the library calls otherwise. */

import type { GenerateOptions, GenerateResult, StopReason } from "../../../../devices/node/index.ts";
import { ollamaError } from "../errors.ts";
import type { Framing } from "../stream.ts";
import { ANY_OBJECT } from "../tools.ts";
import type { ChatBody } from "./schemas.ts";

export const LINES: Framing = {
  contentType: "application/x-ndjson",
  frame: (value) => `${JSON.stringify(value)}\n`,
  error: ollamaError,
};

export function optionsOf(
  { options, format }: Pick<ChatBody, "options" | "format">,
  signal: AbortSignal,
): GenerateOptions {
  const { temperature, top_k, top_p, min_p, repeat_penalty, seed, num_predict, stop } = options ?? {};
  const asked: GenerateOptions = {
    temperature: temperature ?? undefined,
    topK: top_k ?? undefined,
    topP: top_p === 0 ? 0.001 : (top_p ?? undefined),
    minP: min_p ?? undefined,
    repeatPenalty: repeat_penalty ? Math.max(0.1, repeat_penalty) : undefined,
    seed: seed === null || seed === undefined || seed < 0 ? undefined : seed % 2 ** 32,
    maxTokens: num_predict && num_predict > 0 ? num_predict : undefined,
    stop: (typeof stop === "string" ? [stop] : stop)?.filter((text) => text !== ""),
    schema: format === "json" ? ANY_OBJECT : format || undefined,
    signal,
  };
  return Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined));
}

/** Whether a keep-alive asks to let go of the model at once: 0, "0", "0s". */
export const unloads = (keepAlive: number | string | null | undefined) =>
  keepAlive !== null && keepAlive !== undefined && /^[+-]?0+(\.0*)?(ns|us|µs|ms|s|m|h)?$/.test(String(keepAlive));

export const doneReason = (reason: StopReason) => (reason === "length" ? "length" : "stop");

const nanoseconds = (ms: number) => Math.round(ms * 1e6);

/** Durations in nanoseconds, and tokens; Ollama counts only those of the prompt that had to be read. */
export function figuresOf({ usage, timings }: Pick<GenerateResult, "usage" | "timings">, totalMs: number) {
  return {
    total_duration: nanoseconds(totalMs),
    load_duration: nanoseconds(Math.max(0, totalMs - usage.queueMs - timings.prefillMs - timings.decodeMs)),
    prompt_eval_count: usage.promptTokens - usage.cachedTokens,
    prompt_eval_duration: nanoseconds(timings.prefillMs),
    eval_count: usage.generatedTokens,
    eval_duration: nanoseconds(timings.decodeMs),
  };
}
