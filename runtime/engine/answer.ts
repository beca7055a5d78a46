/** From prompt ids to text: prefill, then sample, detokenize and watch for stops until the answer ends. */

import type { Delta, GenerateOptions, GenerateResult, StopReason, Timings } from "../api.ts";
import type { Pause, Sequence } from "../cache/sequence.ts";
import { LEAST_ROLLING_CONTEXT } from "../cache/window.ts";
import { PiPhiError } from "../errors.ts";
import { oneOf } from "../options.ts";
import { PromptLookup } from "../text/lookup.ts";
import { Sampler } from "../text/sampler.ts";
import { StopMatcher } from "../text/stops.ts";
import { Detokenizer, type Tokenizer } from "../text/tokenizer.ts";

/** Tokens that the repeat penalty looks back at. */
const RECENT_TOKENS = 64;

export interface GenerateContext {
  sequence: Sequence;
  /** Whether the text may not depend on what the sequence has read before (Window.rewind). */
  exact: boolean;
  tokenizer: Tokenizer;
  contextLength: number;
  /** Drafts that are verified at once where the caller does not say, and rows of logits that a pass has room for. */
  draftTokens: number;
  mostRows: number;
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
  const { sequence } = context;
  const answer = new Answer(context, prompt, options);
  const clock = new Clock(context.loadMs);
  const drafting = draftTokens(context, options) > 0 ? new Drafting(prompt, draftTokens(context, options)) : undefined;

  let prefillProfile: Record<string, number> = {};
  context.profile(options.profile === true);
  const cachedTokens = sequence.rewind(prompt, context.exact);
  let pending = prompt.slice(cachedTokens);
  while (!answer.ended) {
    sequence.makeRoom(); // here, since guesses that turn out wrong may not make others go
    const room = Math.min(answer.room, sequence.room) - 1;
    const draft = answer.tokens.length > 0 ? (drafting?.draft(room) ?? []) : [];
    const before = sequence.length;
    let accepted = 0;
    const completed = await sequence.extend(
      [...pending, ...draft],
      draft.length > 0 ? "all" : "last",
      context.pause,
      (rows) => {
        for (const logits of rows) {
          const id = answer.sample(logits);
          clock.token(prompt.length - cachedTokens);
          // A row after a draft that was not taken continues another text.
          if (answer.ended || id !== draft[accepted]) break;
          accepted++;
        }
      },
    );
    if (!completed) answer.cancel();
    sequence.truncate(before + pending.length + accepted); // of guesses, only what is in the text, also after a cancel
    drafting?.pass(draft.length, accepted, answer.tokens);
    if (options.profile && answer.tokens.length === 1) prefillProfile = context.profile(true);
    pending = answer.tokens.slice(-1);
  }
  answer.flush();
  const decodeProfile = context.profile(false);
  const timings = clock.timings(answer.tokens.length);
  const result: GenerateResult = {
    text: answer.text,
    tokens: answer.tokens,
    promptTokens: prompt.length,
    cachedTokens,
    generatedTokens: answer.tokens.length,
    ...(sequence.dropped > 0 && { rolledTokens: sequence.dropped }),
    stopReason: answer.stopReason,
    timings,
    ...(drafting && { drafts: drafting.counts }),
  };
  if (!options.profile) return result;
  const prefill = withOther(prefillProfile, timings.prefillMs);
  return { ...result, profile: { prefill, decode: withOther(decodeProfile, timings.decodeMs) } };
}

/** The text as it grows: sampling, detokenizing, and what ends it. */
export class Answer {
  readonly tokens: number[] = [];
  text = "";
  ended: boolean;
  stopReason: StopReason = "length";
  private readonly limit: number;
  private readonly sampler: Sampler;
  private readonly stops: StopMatcher;
  private readonly detokenizer: Detokenizer;
  private readonly recent: number[];

  constructor(
    private readonly context: GenerateContext,
    prompt: readonly number[],
    private readonly options: EngineGenerateOptions,
  ) {
    const { tokenizer } = context;
    this.limit = tokenLimit(context, prompt, options);
    this.ended = this.limit === 0;
    this.sampler = new Sampler(options, tokenizer.vocabSize, (id) => tokenizer.isPadding(id));
    this.stops = new StopMatcher(options.stop ?? []);
    this.detokenizer = new Detokenizer(tokenizer);
    this.recent = prompt.slice(-RECENT_TOKENS);
  }

  /** Tokens that may still come. */
  get room(): number {
    return this.limit - this.tokens.length;
  }

  /** Takes the next token; the text may end with it. */
  sample(logits: Float32Array): number {
    const { tokenizer } = this.context;
    const id = this.sampler.sample(logits, this.recent);
    this.tokens.push(id);
    this.recent.push(id);
    if (this.recent.length > RECENT_TOKENS) this.recent.shift();
    if (tokenizer.eosIds.has(id) && !this.options.ignoreEos) this.end("eos");
    else {
      const piece = this.stops.push(this.detokenizer.push(id));
      this.say(piece.text, id);
      if (piece.stopped) this.end("stop");
      else if (this.room === 0) this.end("length");
    }
    return id;
  }

  cancel(): void {
    if (!this.ended) this.end("cancelled");
  }

  /** What was held back: the beginning of a character, or of a stop text that did not come. */
  flush(): void {
    if (this.stopReason === "stop") return;
    const rest = this.stops.push(this.detokenizer.flush());
    const held = rest.stopped ? rest.text : rest.text + this.stops.flush();
    if (held !== "") this.say(held, this.tokens.at(-1) ?? -1);
  }

  private say(piece: string, id: number): void {
    this.text += piece;
    this.context.emit({ text: piece, id });
  }

  private end(reason: StopReason): void {
    this.ended = true;
    this.stopReason = reason;
  }
}

/** Drafts by prompt lookup, and how they fare. */
class Drafting {
  readonly counts = { passes: 0, proposed: 0, accepted: 0 };
  private readonly lookup: PromptLookup;
  private seen = 0;

  constructor(
    prompt: readonly number[],
    private readonly most: number,
  ) {
    this.lookup = new PromptLookup(prompt);
  }

  draft(room: number): number[] {
    return this.lookup.draft(Math.min(this.most, room));
  }

  /** After a pass: `tokens` of the answer so far. */
  pass(proposed: number, accepted: number, tokens: readonly number[]): void {
    this.counts.passes++;
    this.counts.proposed += proposed;
    this.counts.accepted += accepted;
    while (this.seen < tokens.length) this.lookup.push(tokens[this.seen++]);
  }
}

/** Drafts to verify at once; throws E_USAGE. One row of logits is the last token's own. */
function draftTokens(
  { draftTokens: usual, mostRows }: GenerateContext,
  { drafts = usual }: EngineGenerateOptions,
): number {
  if (Number.isInteger(drafts) && drafts >= 0) return Math.min(drafts, mostRows - 1);
  throw new PiPhiError("E_USAGE", `drafts must be a whole number, at least 0, not ${drafts}.`);
}

/** How many tokens may be generated; refuses prompts that leave room for none. */
function tokenLimit(
  { contextLength }: GenerateContext,
  prompt: readonly number[],
  { maxTokens = contextLength, overflow = "stop" }: EngineGenerateOptions,
): number {
  if (prompt.length === 0) {
    throw new PiPhiError("E_PROMPT_EMPTY", "The prompt is empty. Give the model some text to continue.");
  }
  if (!Number.isInteger(maxTokens) || maxTokens < 0) {
    throw new PiPhiError("E_USAGE", `maxTokens must be a whole number, at least 0, not ${maxTokens}.`);
  }
  oneOf("overflow", overflow, ["roll", "stop"]);
  if (overflow === "roll") {
    refuseShortContext(contextLength);
    return maxTokens;
  }
  const room = contextLength - prompt.length;
  if (room < 0) throw promptTooLong("prompt", prompt.length, contextLength);
  // The last token that fits is sampled but need not be computed itself.
  return Math.min(maxTokens, room + 1);
}

function refuseShortContext(contextLength: number): void {
  if (contextLength >= LEAST_ROLLING_CONTEXT) return;
  throw new PiPhiError(
    "E_CONTEXT",
    `A context of ${contextLength} tokens is too short to roll. Load the model with at least ${LEAST_ROLLING_CONTEXT}, or let answers stop where it is full.`,
    { contextLength, least: LEAST_ROLLING_CONTEXT },
  );
}

/** `what` does not fit into the context. */
export function promptTooLong(
  what: "prompt" | "prefix" | "text",
  promptTokens: number,
  contextLength: number,
): PiPhiError {
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

export class Clock {
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
