/** What a GGUF file states about text: its vocabulary and its prompts. */

import { PiPhiError } from "../errors.ts";
import type { ModelMetadata } from "../text/prompt.ts";
import { isPaddingName, TokenType, type VocabularySource } from "../text/tokenizer.ts";
import type { Metadata } from "./gguf.ts";

/** How -1, for "none", looks in a file: as it is, and as an unsigned number of 32 or 64 bits. */
const NO_TOKEN = [-1, 2 ** 32 - 1, 2 ** 64];

/**
 * From `tokenizer.ggml.*`; throws E_VOCABULARY where it is missing. Rows of the embedding (`rows`) that have no token are
 * padding.
 */
export function vocabularyOf(metadata: Metadata, rows: number): VocabularySource {
  const { file } = metadata;
  const key = (name: string) => `tokenizer.ggml.${name}`;
  for (const name of ["model", "tokens", "merges"]) {
    if (metadata.has(key(name))) continue;
    throw new PiPhiError(
      "E_VOCABULARY",
      `${file} has no ${key(name)}, so text cannot be turned into tokens. Use a file that was converted with its tokenizer.`,
      { file, key: key(name) },
    );
  }
  const id = (role: string) => {
    const stated = metadata.optionalNumber(key(`${role}_token_id`));
    return stated !== undefined && NO_TOKEN.includes(stated) ? undefined : stated;
  };
  const tokens = metadata.getStringArray(key("tokens"));
  const types = metadata.optionalNumberArray(key("token_type")) ?? new Array<number>(tokens.length).fill(1);
  const padding = Array.from({ length: Math.max(0, rows - tokens.length) }, (_, i) => `[PAD${tokens.length + i}]`);
  return {
    file,
    model: metadata.getString(key("model")),
    tokens: [...tokens, ...padding],
    types: [...types, ...padding.map(() => TokenType.unused)],
    merges: metadata.getStringArray(key("merges")),
    bosId: id("bos"),
    eosId: id("eos"),
    eotId: id("eot"),
    addBos: metadata.optionalBoolean(key("add_bos_token")),
  };
}

/** Rows of the embedding up to the last one that stands for text; all where the file does not name its tokens. */
export function rowsInUse(metadata: Metadata, rows: number): number {
  const tokens = metadata.get("tokenizer.ggml.tokens");
  const types = metadata.get("tokenizer.ggml.token_type");
  if (!Array.isArray(tokens)) return rows;
  const unused = (id: number) => {
    return isPaddingName(String(tokens[id])) || (ArrayBuffer.isView(types) && types[id] === TokenType.unused);
  };
  let used = Math.min(rows, tokens.length);
  while (used > 0 && unused(used - 1)) used--;
  return used;
}

/** What decides how a conversation is written down. */
export function promptMetadata(metadata: Metadata): ModelMetadata {
  return {
    chatTemplate: metadata.optionalString("tokenizer.chat_template"),
    turns: metadata.optionalInteger("piphi.chat.turns"),
  };
}
