/** The language of a model: from what callers write to token ids, and back. */

import type { ChatMessage, GenerateOptions, Tokenization } from "../api.ts";
import { PiPhiError } from "../errors.ts";
import { Shapes } from "../shape/shapes.ts";
import { automatonConstraint } from "../text/automaton.ts";
import { choosePrompt, type PromptChoice } from "../text/choose.ts";
import type { Constraint } from "../text/constraint.ts";
import { encodeParts, type PromptFormat } from "../text/prompt.ts";
import { SamplingTable } from "../text/sampler.ts";
import { createTokenizer, type Tokenizer } from "../text/tokenizer.ts";
import type { Metadata } from "../weights/metadata.ts";
import { promptMetadata, vocabularyOf } from "../weights/vocabulary.ts";

/** Formats of requests that are kept. */
const MOST_FORMATS = 16;

export class Language {
  readonly tokenizer: Tokenizer;
  readonly table: SamplingTable;
  private readonly shapes: Shapes;
  /** Formats that requests asked for, by what they gave. */
  private readonly asked = new Map<string, Promise<PromptChoice>>();

  private constructor(
    tokenizer: Tokenizer,
    /** Ids that the model has a row of its embedding for. */
    private readonly vocabSize: number,
    private readonly format: PromptFormat,
    private readonly choose: (template: string) => Promise<PromptChoice>,
  ) {
    this.tokenizer = tokenizer;
    this.shapes = new Shapes(tokenizer);
    this.table = new SamplingTable(tokenizer.vocabSize, (id) => tokenizer.isPadding(id));
  }

  /**
   * @param template what the caller asked for instead of the file's own format
   * @throws PiPhiError E_VOCABULARY; E_USAGE and E_TEMPLATE for `template`
   */
  static async open(metadata: Metadata, vocabSize: number, template?: string): Promise<Language> {
    const tokenizer = createTokenizer(vocabularyOf(metadata, vocabSize));
    const choose = (one?: string) => choosePrompt(tokenizer, promptMetadata(metadata), one);
    return new Language(tokenizer, vocabSize, (await choose(template)).format, choose);
  }

  /** The format of a request; throws E_USAGE and E_TEMPLATE. */
  async formatOf(template: string | undefined): Promise<PromptFormat> {
    if (template === undefined) return this.format;
    const known = this.asked.get(template) ?? this.choose(template);
    if (this.asked.size >= MOST_FORMATS) this.asked.clear();
    this.asked.set(template, known);
    return (await known).format;
  }

  /**
   * The ids of a text, or ids as they are, after a session's prefix. Throws E_USAGE.
   * @param special whether the names of control tokens in the text stand for these
   */
  idsOf(input: string | readonly number[], prefix = "", special = false): number[] {
    const { tokenizer } = this;
    const given = typeof input === "string" ? [{ text: input, control: special }] : [];
    const parts = [{ text: prefix, control: false }, ...given].filter(({ text }) => text !== "");
    if (typeof input === "string") return encodeParts(tokenizer, parts);
    this.checkIds(input);
    return prefix === "" ? [...input] : [...encodeParts(tokenizer, parts), ...input];
  }

  /** A conversation in the model's own format, or another, after a session's prefix; throws E_PROMPT_EMPTY, E_USAGE, E_TEMPLATE. */
  chatIds(messages: readonly ChatMessage[], prefix = "", format = this.format): number[] {
    const all = prefix === "" ? messages : [{ role: "system", content: prefix } as const, ...messages];
    return encodeParts(this.tokenizer, format.chat(all));
  }

  /** What conversations begin with that begin with these messages. */
  beginningOf(messages: readonly ChatMessage[]): number[] {
    const [first, ...rest] = messages;
    if (first?.role === "system" && typeof first.content === "string" && rest.length === 0)
      return this.opening(first.content);
    return this.chatIds(messages);
  }

  /** Texts that end the answers of conversations, with those of the caller. */
  stops(stop: readonly string[] = [], format = this.format): string[] {
    return [...format.stops, stop].flat() as string[];
  }

  /** The ids that texts with this prefix begin with. */
  opening(prefix: string): number[] {
    return encodeParts(this.tokenizer, this.format.opening(prefix));
  }

  /** What holds an answer to its shape, if it has one. Throws E_USAGE and E_SHAPE. */
  constraint(options: GenerateOptions): Constraint | undefined {
    const { vocabSize, eosIds } = this.tokenizer;
    if (options.automaton) return automatonConstraint(options.automaton, vocabSize, eosIds);
    return this.shapes.constraint(options);
  }

  tokenize(text: string): Tokenization {
    if (typeof text !== "string") throw new PiPhiError("E_USAGE", `Give a text to tokenize, not ${typeof text}.`);
    const ids = this.tokenizer.encode(text);
    return { ids, pieces: this.tokenizer.pieces(ids) };
  }

  detokenize(ids: readonly number[]): string {
    this.checkIds(ids);
    return this.tokenizer.decode(ids);
  }

  private checkIds(ids: readonly number[]): void {
    if (!Array.isArray(ids))
      throw new PiPhiError("E_USAGE", `Give a text or an array of token ids, not ${typeof ids}.`);
    const { vocabSize } = this;
    // By place: an element that a sparse array lacks is no id either.
    const at = ids.findIndex((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
    if (at < 0) return;
    throw new PiPhiError("E_USAGE", `${ids[at]} is not a token id. Use whole numbers from 0 to ${vocabSize - 1}.`, {
      id: ids[at] ?? null,
      at,
    });
  }
}
