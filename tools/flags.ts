/** Flags that several commands share, and what they mean to the library. */

import type { ChatMessage, GenerateOptions, NodeLoadOptions } from "../devices/node/index.ts";
import {
  choice,
  integer,
  number,
  type OptionTable,
  size,
  stopTexts,
  text,
  texts,
  toggle,
  type Values,
} from "./options.ts";
import { SHAPE_FLAGS, toShapeOptions } from "./shape-flags.ts";
import { readTextFile } from "./text-input.ts";

export const MODEL_FLAG = {
  model: text("MODEL", "a GGUF file or a pack; default: the embedded model", "m"),
} satisfies OptionTable;

export const JSON_FLAG = { json: toggle("print the result as one JSON document") } satisfies OptionTable;

export const DENSE_FLAG = {
  dense: choice(["exact", "int8"], "unquantized weights: their exact values, or rounded to int8 (default)"),
} satisfies OptionTable;

export const TEMPLATE_FLAG = {
  template: text("NAME|FILE", "prompt format: instruct, chatml, alpaca or a Jinja file; default: the model's own"),
} satisfies OptionTable;

export const LOAD_FLAGS = {
  ctx: integer("N", [1, 1_000_000], "context length in tokens; default: the model's, at most 2048"),
  threads: integer(
    "N",
    [1, 64],
    "threads; default: one for each fast core that affinity and CPU quota allow, at most 16",
  ),
  ram: size("SIZE", "upper limit of memory, such as 512M or 1G; default: what is free"),
  kv: choice(["int8", "f16"], "type of the key/value cache; default: int8"),
  "no-pack": toggle("keep a GGUF file's weights in memory instead of packing them into the store once"),
  share: toggle("leave weights in the pack's own pages, which processes share; default: huge pages if there is room"),
  ...DENSE_FLAG,
  warm: texts("FILE", "read what prompts begin with before the first of them, once for all: it is kept on disk"),
  kernel: choice(["simd", "relaxed"], "build of the kernels; default: the fastest that passes its self-test"),
} satisfies OptionTable;

export const ANSWER_FLAGS = {
  "max-tokens": integer("N", [1, 1_000_000], "tokens of the answer at most; default: until the context is full", "n"),
  "ctx-overflow": choice(
    ["roll", "stop"],
    "when the context is full, drop the oldest tokens or end the answer (default, but for chat)",
  ),
  temp: number("T", [0, 5], "temperature; 0 takes the most likely token (default)"),
  "top-k": integer("K", [0, 1_000_000], "keep the K most likely tokens; 0 = all; default with --temp: 40"),
  "top-p": number("P", [0.001, 1], "keep the most likely tokens that sum to P; 1 = all; default with --temp: 0.95"),
  "min-p": number("P", [0, 1], "drop tokens below P times the most likely one; default with --temp: 0.05"),
  "repeat-penalty": number("X", [0.1, 10], "make the last 64 tokens less likely; 1 = off (default)"),
  drafts: integer("N", [0, 15], "tokens to guess and verify at once, same text; default: 7 where weights are streamed"),
  seed: integer("N", [0, 2 ** 32 - 1], "same seed, same text; default: random"),
  stop: stopTexts("TEXT", "end the answer at this text, in which \\n is a line break; may be given several times"),
  "no-format-stops": toggle(
    "do not end where the model goes on with a next turn by itself, such as Instruct: or User:",
  ),
  ...SHAPE_FLAGS,
} satisfies OptionTable;

/** A file of `--warm`: messages as JSON, for chats, or a text as it is. */
function readWarm(file: string): string | ChatMessage[] {
  const text = readTextFile(file, "--warm");
  try {
    const messages: unknown = JSON.parse(text);
    if (Array.isArray(messages)) return messages;
  } catch {
    // A text.
  }
  return text.replace(/\r?\n$/, "");
}

/** A format's name as it is, or the text of a template's file. */
export function readTemplate(template: string | undefined): string | undefined {
  return template === undefined || /^\w+$/.test(template) ? template : readTextFile(template, "--template");
}

export function toLoadOptions(values: Values<typeof LOAD_FLAGS>): NodeLoadOptions {
  const { ctx, threads, ram, kv, share, dense, kernel } = values;
  const warm = values.warm?.map(readWarm);
  return { contextLength: ctx, threads, ram, kv, share, dense, kernel, warm, pack: !values["no-pack"] };
}

export function toGenerateOptions(values: Values<typeof ANSWER_FLAGS>): GenerateOptions {
  return {
    maxTokens: values["max-tokens"],
    overflow: values["ctx-overflow"],
    temperature: values.temp,
    topK: values["top-k"],
    topP: values["top-p"],
    minP: values["min-p"],
    repeatPenalty: values["repeat-penalty"],
    drafts: values.drafts,
    seed: values.seed,
    stop: values.stop,
    formatStops: values["no-format-stops"] ? false : undefined,
    ...toShapeOptions(values),
  };
}
