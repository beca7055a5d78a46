/** What a GGUF file states about text: its vocabulary and its prompts. */

import { PiPhiError } from "../errors.ts";
import type { ModelMetadata } from "../text/prompt.ts";
import type { VocabularySource } from "../text/tokenizer.ts";
import type { Metadata } from "./gguf.ts";

/** From `tokenizer.ggml.*`; throws E_VOCABULARY where it is missing. */
export function vocabularyOf(metadata: Metadata): VocabularySource {
  const key = (name: string) => `tokenizer.ggml.${name}`;
  for (const name of ["model", "tokens", "merges"]) {
    if (metadata.has(key(name))) continue;
    throw new PiPhiError(
      "E_VOCABULARY",
      `The file has no ${key(name)}, so text cannot be turned into tokens. Use a file that was converted with its tokenizer.`,
      { key: key(name) },
    );
  }
  const tokens = metadata.getStringArray(key("tokens"));
  return {
    model: metadata.getString(key("model")),
    tokens,
    types: metadata.optionalNumberArray(key("token_type")) ?? new Array<number>(tokens.length).fill(1),
    merges: metadata.getStringArray(key("merges")),
    bosId: metadata.optionalNumber(key("bos_token_id")),
    eosId: metadata.optionalNumber(key("eos_token_id")),
    eotId: metadata.optionalNumber(key("eot_token_id")),
    addBos: metadata.optionalBoolean(key("add_bos_token")),
  };
}

/** What decides how a conversation is written down. */
export function promptMetadata(metadata: Metadata): ModelMetadata {
  return {
    chatTemplate: metadata.optionalString("tokenizer.chat_template"),
    turns: metadata.optionalInteger("piphi.chat.turns"),
  };
}
