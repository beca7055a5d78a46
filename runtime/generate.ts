/** From prompt ids to text: prefill, then sample, detokenize and watch for stops until the answer ends. */

import type { Delta, GenerateOptions, GenerateResult, StopReason, Timings } from "./api.ts";
import { PiPhiError } from "./errors.ts";
import type { Pause, Sequence } from "./memory/kvcache.ts";
import { Sampler } from "./text/sampler.ts";
import { StopMatcher } from "./text/stops.ts";
import { Detokenizer, type Tokenizer } from "./text/tokenizer.ts";

export interface GenerateContext {
  sequence: Sequence;
  tokenizer: Tokenizer;
  contextLength: number;
  loadMs: number;
  emit(delta: Delta): void;
  pause: Pause;
  /** Starts the leading thread's profile anew, or ends it, and returns the one so far. */
  profile(on: boolean): Record<string, number>;
}

/** What can cross to the engine's thread. */
export type EngineGenerateOptions = Omit<GenerateOptions, "signal">;

/** Continues `prompt`; throws E_PROMPT_EMPTY, E_PROMPT_TOO_LONG, E_USAGE or E_NUMERIC. */
export async function generate(
  context: GenerateContext,
  prompt: readonly number[],
  options: EngineGenerateOptions,
): Promise<GenerateResult> {
  const { sequence, tokenizer, emit } = context;
  const limit = tokenLimit(context, prompt, options.maxTokens);
  const sampler = new Sampler(options, tokenizer.vocabSize, (id) => tokenizer.isPadding(id));
  const stops = new StopMatcher(options.stop ?? []);
  const detokenizer = new Detokenizer(tokenizer);
  const tokens: number[] = [];
  const recent = prompt.slice(-64);
  const clock = new Clock(context.loadMs);
  let text = "";
  let stopReason: StopReason = "length";
  const say = (piece: string, id: number) => {
    text += piece;
    emit({ text: piece, id });
  };

  let prefillProfile: Record<string, number> = {};
  context.profile(options.profile === true);
  const cachedTokens = sequence.rewind(prompt);
  let pending: readonly number[] = prompt.slice(cachedTokens);
  while (tokens.length < limit) {
    let id = -1;
    const completed = await sequence.extend(pending, "last", context.pause, ([logits]) => {
      id = sampler.sample(logits, recent);
    });
    if (!completed) {
      stopReason = "cancelled";
      break;
    }
    clock.token(prompt.length - cachedTokens);
    if (options.profile && tokens.length === 0) prefillProfile = context.profile(true);
    tokens.push(id);
    recent.push(id);
    if (recent.length > 64) recent.shift();
    if (tokenizer.eosIds.has(id) && !options.ignoreEos) {
      stopReason = "eos";
      break;
    }
    const piece = stops.push(detokenizer.push(id));
    say(piece.text, id);
    if (piece.stopped) {
      stopReason = "stop";
      break;
    }
    pending = [id];
  }
  if (stopReason !== "stop") {
    const rest = stops.push(detokenizer.flush());
    const held = rest.stopped ? rest.text : rest.text + stops.flush();
    if (held !== "") say(held, tokens.at(-1) ?? -1);
  }
  const decodeProfile = context.profile(false);
  const counts = { promptTokens: prompt.length, cachedTokens, generatedTokens: tokens.length };
  const timings = clock.timings(tokens.length);
  const result = { text, tokens, ...counts, stopReason, timings };
  if (!options.profile) return result;
  const prefill = withOther(prefillProfile, timings.prefillMs);
  return { ...result, profile: { prefill, decode: withOther(decodeProfile, timings.decodeMs) } };
}

/** How many tokens may be generated; refuses prompts that leave room for none. */
function tokenLimit({ contextLength }: GenerateContext, prompt: readonly number[], maxTokens = contextLength): number {
  if (prompt.length === 0) {
    throw new PiPhiError("E_PROMPT_EMPTY", "The prompt is empty. Give the model some text to continue.");
  }
  if (!Number.isInteger(maxTokens) || maxTokens < 0) {
    throw new PiPhiError("E_USAGE", `maxTokens must be a whole number, at least 0, not ${maxTokens}.`);
  }
  const room = contextLength - prompt.length;
  if (room < 0) throw promptTooLong("prompt", prompt.length, contextLength);
  // The last token that fits is sampled but need not be computed itself.
  return Math.min(maxTokens, room + 1);
}

/** `what` does not fit into the context. */
export function promptTooLong(what: "prompt" | "text", promptTokens: number, contextLength: number): PiPhiError {
  return new PiPhiError(
    "E_PROMPT_TOO_LONG",
    `The ${what} has ${promptTokens} tokens and the context holds ${contextLength}. Shorten it, or load the model with a longer context.`,
    { promptTokens, contextLength },
  );
}

function withOther(profile: Record<string, number>, totalMs: number): Record<string, number> {
  const known = Object.values(profile).reduce((sum, ms) => sum + ms, 0);
  return { ...profile, other: Math.max(0, totalMs - known) };
}

class Clock {
  private readonly start = performance.now();
  private first = 0;
  private last = 0;
  private computed = 0;

  constructor(private readonly loadMs: number) {}

  token(computedPromptTokens: number): void {
    this.last = performance.now();
    if (this.first !== 0) return;
    this.first = this.last;
    this.computed = computedPromptTokens;
  }

  timings(tokens: number): Timings {
    const prefillMs = Math.max(0, this.first - this.start);
    const decodeMs = Math.max(0, this.last - this.first);
    const perSecond = (count: number, ms: number) => (ms > 0 && count > 0 ? (count * 1000) / ms : 0);
    return {
      loadMs: this.loadMs,
      firstTokenMs: prefillMs,
      prefillMs,
      prefillTokensPerSecond: perSecond(this.computed, prefillMs),
      decodeMs,
      decodeTokensPerSecond: perSecond(tokens - 1, decodeMs),
    };
  }
}
