/** The language of a model: from what callers write to token ids, and back. */

import type { ChatMessage, Tokenization } from "../api.ts";
import { PiPhiError } from "../errors.ts";
import { encodeParts, type PromptFormat, promptFormat } from "../text/prompt.ts";
import { SamplingTable } from "../text/sampler.ts";
import { createTokenizer, type Tokenizer } from "../text/tokenizer.ts";
import type { Metadata } from "../weights/metadata.ts";
import { promptMetadata, vocabularyOf } from "../weights/vocabulary.ts";

export class Language {
  readonly tokenizer: Tokenizer;
  readonly table: SamplingTable;
  private readonly format: PromptFormat;

  /** Throws E_VOCABULARY. */
  constructor(
    metadata: Metadata,
    /** Ids that the model has a row of its embedding for. */
    private readonly vocabSize: number,
  ) {
    this.tokenizer = createTokenizer(vocabularyOf(metadata, vocabSize));
    this.format = promptFormat(this.tokenizer, promptMetadata(metadata));
    this.table = new SamplingTable(this.tokenizer.vocabSize, (id) => this.tokenizer.isPadding(id));
  }

  /** The ids of a text, or ids as they are, after a session's prefix. Throws E_USAGE. */
  idsOf(input: string | readonly number[], prefix = ""): number[] {
    const { tokenizer } = this;
    const texts = [prefix, ...(typeof input === "string" ? [input] : [])].filter((text) => text !== "");
    const parts = texts.map((text) => ({ text, control: false }));
    if (typeof input === "string") return encodeParts(tokenizer, parts);
    this.checkIds(input);
    return prefix === "" ? [...input] : [...encodeParts(tokenizer, parts), ...input];
  }

  /** A conversation in the model's own format, after a session's prefix; throws E_PROMPT_EMPTY and E_USAGE. */
  chatIds(messages: readonly ChatMessage[], prefix = ""): number[] {
    const all = prefix === "" ? messages : [{ role: "system", content: prefix } as const, ...messages];
    return encodeParts(this.tokenizer, this.format.chat(all));
  }

  /** What conversations begin with that begin with these messages. */
  beginningOf(messages: readonly ChatMessage[]): number[] {
    const [first, ...rest] = messages;
    if (first?.role === "system" && typeof first.content === "string" && rest.length === 0)
      return this.opening(first.content);
    return this.chatIds(messages);
  }

  /** Texts that end the answers of conversations, with those of the caller. */
  stops(stop: readonly string[] = []): string[] {
    return [...this.format.stops, stop].flat() as string[];
  }

  /** The ids that texts with this prefix begin with. */
  opening(prefix: string): number[] {
    return encodeParts(this.tokenizer, this.format.opening(prefix));
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
    const bad = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
    if (bad === undefined) return;
    throw new PiPhiError("E_USAGE", `${bad} is no token id: the vocabulary has ids 0 to ${vocabSize - 1}.`, {
      id: bad,
    });
  }
}
