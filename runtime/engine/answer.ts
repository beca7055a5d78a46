/**
 * An answer, as work of the schedule: its prompt is read, in as many pieces as it takes, then each pass gives its next token,
 * or several, where guesses were right or a shape leaves no choice.
 */

import type { GenerateResult } from "../api.ts";
import { type Ask, sharedStart, type Tenant } from "../cache/pool.ts";
import type { Sequence } from "../cache/sequence.ts";
import { PiPhiError } from "../errors.ts";
import { Detokenizer } from "../text/tokenizer.ts";
import { Clock } from "./clock.ts";
import { Drafting } from "./drafting.ts";
import { tokenLimit } from "./limits.ts";
import type { Pass, Rows, Work } from "./work.ts";
import { type EngineGenerateOptions, Writer, type WriterMeans } from "./writer.ts";

export interface AnswerMeans extends WriterMeans {
  /** Whose sequence; undefined: nobody's, and then the text may not depend on what it has read before. */
  tenant?: Tenant;
  contextLength: number;
  /** Guesses that are verified at once where the caller does not say, and rows of logits that a pass has room for. */
  draftTokens: number;
  mostLogits: number;
  loadMs: number;
  /** Told of each pass that gives tokens after the first. */
  onStep?(pass: Pass): void;
}

export class Answer implements Work {
  readonly ask: Ask;
  readonly profiled: boolean;
  private readonly writer: Writer;
  private readonly drafting: Drafting | undefined;
  private readonly arrivedMs = performance.now();
  private readonly profile = { prefill: {} as Record<string, number>, decode: {} as Record<string, number> };
  private sequence!: Sequence;
  private clock!: Clock;
  private queueMs = 0;
  private cachedTokens = 0;
  private rolledTokens = 0;
  /** Tokens that are not computed yet: of the prompt, or the last ones of the text. */
  private pending: number[] = [];
  /** The rows that were asked for last, and the guesses at their end. */
  private asked: Rows = { ids: [], logits: 0 };
  private draft: readonly number[] = [];
  /** While the prompt becomes part of the text token by token, since each wants the logits before it. */
  private echoing: Detokenizer | undefined;

  /** Throws E_PROMPT_EMPTY, E_PROMPT_TOO_LONG or E_USAGE. */
  constructor(
    private readonly means: AnswerMeans,
    private readonly prompt: readonly number[],
    private readonly options: EngineGenerateOptions,
  ) {
    const { tenant, contextLength } = means;
    this.writer = new Writer(means, prompt, options, tokenLimit(contextLength, prompt, options));
    const anew = options.echo === true && this.writer.needsLogits;
    this.ask = { tenant, ids: prompt, exact: tenant === undefined, anew };
    this.profiled = options.profile === true;
    const drafts = draftTokens(means, options);
    if (drafts > 0) this.drafting = new Drafting(prompt, drafts);
  }

  get ended(): boolean {
    return this.writer.ended && this.pending.length === 0;
  }

  get wanted(): number {
    return this.pending.length;
  }

  begin(sequence: Sequence): void {
    const { writer, prompt, options } = this;
    this.sequence = sequence;
    this.queueMs = performance.now() - this.arrivedMs;
    this.clock = new Clock(this.means.loadMs);
    this.cachedTokens = sequence.length;
    if (options.echo) this.beginEcho();
    const first = writer.start();
    if (!writer.ended) this.pending = [...prompt.slice(this.cachedTokens), ...first];
    else if (this.echoing) this.pending = prompt.slice(0, -1);
    this.conclude();
  }

  next(mostRows: number, mostLogits: number): Rows {
    const { sequence, pending } = this;
    sequence.makeRoom(); // here, since guesses that turn out wrong may not make others go
    const room = Math.min(mostRows, sequence.room);
    this.draft = [];
    if (this.echoing) {
      const ids = pending.slice(0, Math.min(room, mostLogits));
      this.asked = { ids, logits: ids.length };
    } else if (pending.length > room) this.asked = { ids: pending.slice(0, room), logits: 0 };
    else {
      this.draft = this.guess(Math.min(room - pending.length, mostLogits - 1, this.writer.room - 1));
      this.asked = { ids: [...pending, ...this.draft], logits: 1 + this.draft.length };
    }
    return this.asked;
  }

  take(logits: readonly Float32Array[], pass: Pass): void {
    const { sequence, draft, asked, writer } = this;
    const before = sequence.length - draft.length;
    if (this.ended) {
      sequence.truncate(before); // it was cancelled in the meantime
      return;
    }
    this.note(pass);
    const rows = this.echoing ? this.echo(logits) : logits;
    if (rows.length === 0) this.pending = this.pending.slice(asked.ids.length);
    else {
      const accepted = this.sample(rows);
      sequence.truncate(before + accepted); // of guesses, only what is in the text
      this.drafting?.pass(draft.length, accepted, writer.tokens);
    }
    this.conclude();
  }

  cancel(): void {
    if (this.ended) return;
    this.writer.cancel();
    this.pending = [];
    this.conclude();
  }

  /** After its end. */
  get result(): GenerateResult {
    const { writer, prompt, cachedTokens, queueMs, options, drafting } = this;
    const generatedTokens = writer.tokens.length;
    const timings = this.clock.timings(generatedTokens);
    const counts = { promptTokens: prompt.length, cachedTokens, generatedTokens };
    const result: GenerateResult = {
      text: writer.text,
      tokens: options.echo ? [...prompt, ...writer.tokens] : writer.tokens,
      ...(writer.needsLogits && { logprobs: writer.infos }),
      ...counts,
      usage: { ...counts, queueMs },
      ...(this.rolledTokens > 0 && { rolledTokens: this.rolledTokens }),
      stopReason: writer.stopReason,
      timings,
      ...(drafting && { drafts: drafting.counts }),
    };
    if (!options.profile) return result;
    const { prefill, decode } = this.profile;
    return {
      ...result,
      profile: { prefill: withOther(prefill, timings.prefillMs), decode: withOther(decode, timings.decodeMs) },
    };
  }

  private guess(most: number): readonly number[] {
    const { foreseen, tokens } = this.writer;
    if (foreseen.length > 0) return foreseen.slice(0, Math.max(0, most));
    return this.drafting && tokens.length > 0 ? this.drafting.draft(Math.max(0, most)) : [];
  }

  /** Takes tokens as long as the guesses go the same way; returns how many of those did. */
  private sample(rows: readonly Float32Array[]): number {
    const { writer, clock, draft, prompt, cachedTokens } = this;
    for (let row = 0; ; ) {
      const news = writer.write(rows[row]);
      clock.token(prompt.length - cachedTokens);
      if (writer.ended) {
        this.pending = [];
        return row;
      }
      const same = sharedStart(news, draft.slice(row));
      row += same;
      if (same === news.length) continue;
      this.pending = news.slice(same);
      return row;
    }
  }

  private beginEcho(): void {
    const { prompt, writer } = this;
    const detokenizer = new Detokenizer(this.means.tokenizer);
    const echoed = writer.needsLogits ? prompt.slice(0, 1) : prompt;
    for (const id of echoed) writer.echo(detokenizer.push(id), writer.infoOf(id));
    if (echoed.length < prompt.length) this.echoing = detokenizer;
    else writer.echoEnd(detokenizer.flush());
  }

  /** Each row tells how likely the next token of the prompt was; what is left is the row after its last. */
  private echo(rows: readonly Float32Array[]): readonly Float32Array[] {
    const { prompt, writer, sequence, echoing } = this;
    const first = sequence.length - rows.length + 1;
    const echoed = prompt.slice(first, first + rows.length);
    echoed.forEach((id, i) => {
      writer.echo(echoing!.push(id), writer.infoOf(id, rows[i]));
    });
    if (first + echoed.length === prompt.length) {
      writer.echoEnd(echoing!.flush());
      this.echoing = undefined;
    }
    return rows.slice(echoed.length);
  }

  private note({ profile, ...pass }: Pass): void {
    const began = this.writer.tokens.length > 0;
    const sums = began ? this.profile.decode : this.profile.prefill;
    for (const [name, ms] of Object.entries(profile ?? {})) sums[name] = (sums[name] ?? 0) + ms;
    if (began) this.means.onStep?.(pass);
  }

  /** Tells what has come, and at the end what was held back. */
  private conclude(): void {
    if (this.ended) {
      this.writer.flush();
      this.rolledTokens = this.sequence.dropped;
    }
    this.writer.tell();
  }
}

/** Guesses to verify at once; throws E_USAGE. One row of logits is the last token's own. */
function draftTokens(
  { draftTokens: usual, mostLogits }: AnswerMeans,
  { drafts = usual }: EngineGenerateOptions,
): number {
  if (Number.isInteger(drafts) && drafts >= 0) return Math.min(drafts, mostLogits - 1);
  throw new PiPhiError("E_USAGE", `drafts must be a whole number, at least 0, not ${drafts}.`);
}

function withOther(profile: Record<string, number>, totalMs: number): Record<string, number> {
  const known = Object.values(profile).reduce((sum, ms) => sum + ms, 0);
  return { ...profile, other: Math.max(0, totalMs - known) };
}
