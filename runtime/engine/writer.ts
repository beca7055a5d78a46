/** The text of an answer as it grows: sampling, detokenizing, and what ends it. */

import type { AnswerToken, Delta, GenerateOptions, StopReason } from "../api.ts";
import { PiPhiError } from "../errors.ts";
import { refuseUnknownOptions } from "../known-options.ts";
import { Chances } from "../text/chances.ts";
import type { Constraint } from "../text/constraint.ts";
import { REPEAT_WINDOW, Sampler, type SamplingTable } from "../text/sampler.ts";
import { StopMatcher } from "../text/stops.ts";
import { Detokenizer, type Tokenizer } from "../text/tokenizer.ts";

/** What can cross to the engine's thread. */
export type EngineGenerateOptions = Omit<GenerateOptions, "signal">;

/** Whether the answer's end is the shape's matter. */
export function isShaped({ schema, regex, grammar, choices, automaton }: EngineGenerateOptions): boolean {
  return [schema, regex, grammar, choices, automaton].some((shape) => shape !== undefined);
}

export interface WriterMeans {
  tokenizer: Tokenizer;
  table: SamplingTable;
  /** What the answer is held to, if anything. */
  constraint?: Constraint;
  emit(delta: Delta): void;
}

export class Writer {
  readonly tokens: number[] = [];
  /** Of `tokens`, where they are wanted. */
  readonly infos: AnswerToken[] = [];
  text = "";
  stopReason: StopReason = "length";
  private over: boolean;
  private readonly sampler: Sampler;
  private readonly stops: StopMatcher;
  private readonly detokenizer: Detokenizer;
  private readonly recent: number[];
  private readonly chances: Chances | undefined;
  /** What has not been told yet. */
  private said: Delta = { text: "", tokens: [] };

  /** Throws E_USAGE for options out of range. */
  constructor(
    private readonly means: WriterMeans,
    prompt: readonly number[],
    private readonly options: EngineGenerateOptions,
    /** Tokens that may be generated. */
    private readonly limit: number,
  ) {
    const { tokenizer, table, constraint } = means;
    refuseUnknownOptions("generate", options);
    if (constraint && options.ignoreEos) {
      throw new PiPhiError(
        "E_USAGE",
        "An answer that is held to a shape ends where the shape does: leave ignoreEos out.",
      );
    }
    this.over = limit === 0;
    this.sampler = new Sampler(options, table);
    this.stops = new StopMatcher(options.stop ?? []);
    this.detokenizer = new Detokenizer(tokenizer);
    this.recent = prompt.slice(-REPEAT_WINDOW);
    this.chances = options.logprobs === undefined ? undefined : new Chances(tokenizer, options.logprobs);
  }

  get ended(): boolean {
    return this.over;
  }

  /** Tokens that may still come. */
  get room(): number {
    return this.limit - this.tokens.length;
  }

  /** Whether each token needs the logits before it, also one that is not chosen by them. */
  get needsLogits(): boolean {
    return this.chances !== undefined;
  }

  /** The tokens that must come next, where they are taken one by one. */
  get foreseen(): readonly number[] {
    return this.over || !this.chances ? [] : (this.means.constraint?.forced() ?? []);
  }

  /** What must come before the first token that is sampled. */
  start(): number[] {
    const { constraint } = this.means;
    if (!this.over && constraint?.complete) this.end("eos");
    return this.force([]);
  }

  /** Takes the next token, and those that must follow it; the text may end with any of them. */
  write(logits: Float32Array): number[] {
    const { constraint } = this.means;
    const [forced] = this.foreseen;
    const id = forced ?? this.sampler.sample(logits, this.recent, constraint?.allowed());
    this.accept(id, this.infoOf(id, logits));
    return this.force([id]);
  }

  /** A token of the prompt, which is part of the text. */
  echo(piece: string, info: AnswerToken): void {
    if (this.chances) this.infos.push(info);
    this.say(piece, info);
  }

  /** The rest of the prompt's text: bytes that are no whole character. */
  echoEnd(rest: string): void {
    if (rest !== "") this.say(rest);
  }

  /** What is told of a token: with the logits before it, if there are any, how likely it was. */
  infoOf(id: number, logits?: Float32Array): AnswerToken {
    const { chances } = this;
    if (!chances) return { id };
    return logits ? chances.of(logits, id) : chances.unknown(id);
  }

  cancel(): void {
    if (!this.over) this.end("cancelled");
  }

  /** Tells what has come since the last time. */
  tell(): void {
    const { said } = this;
    this.said = { text: "", tokens: [] };
    if (said.text !== "" || said.tokens.length > 0) this.means.emit(said);
  }

  /** At the end: what was held back, the beginning of a character, or of a stop text that did not come. */
  flush(): void {
    if (this.stopReason === "stop") return;
    const rest = this.stops.push(this.detokenizer.flush());
    this.say(rest.stopped ? rest.text : rest.text + this.stops.flush());
  }

  /** Adds what must come next to `tokens`; not where each is wanted with its logits. */
  private force(tokens: number[]): number[] {
    const { constraint } = this.means;
    if (!constraint || this.chances) return tokens;
    for (let forced = constraint.forced(); !this.over && forced.length > 0; forced = constraint.forced()) {
      for (const id of forced) {
        if (this.over) break;
        this.accept(id, { id });
        tokens.push(id);
      }
    }
    return tokens;
  }

  private accept(id: number, info: AnswerToken): void {
    const { tokenizer, constraint } = this.means;
    this.tokens.push(id);
    if (this.chances) this.infos.push(info);
    this.recent.push(id);
    if (this.recent.length > REPEAT_WINDOW) this.recent.shift();
    if (tokenizer.eosIds.has(id) && !this.options.ignoreEos) {
      this.say("", info);
      this.end("eos");
      return;
    }
    constraint?.push(id);
    const piece = this.stops.push(this.detokenizer.push(id));
    this.say(piece.text, info);
    if (piece.stopped) this.end("stop");
    else if (constraint?.complete) this.end("eos");
    else if (this.room === 0) this.end("length");
  }

  private say(piece: string, token?: AnswerToken): void {
    this.text += piece;
    this.said.text += piece;
    if (token) this.said.tokens.push(token);
  }

  private end(reason: StopReason): void {
    this.over = true;
    this.stopReason = reason;
  }
}
