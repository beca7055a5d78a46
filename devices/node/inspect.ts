/** What a model file holds, from its header alone. */

import type { ChatMessage, Phi2Config, Tokenization } from "../../runtime/index.ts";
import { choosePrompt, type PromptChoice } from "../../runtime/text/choose.ts";
import { createTokenizer, type Tokenizer } from "../../runtime/text/tokenizer.ts";
import { type Model, openModel } from "../../runtime/weights/model.ts";
import { BLOCK_TYPES } from "../../runtime/weights/tiles.ts";
import { promptMetadata, vocabularyOf } from "../../runtime/weights/vocabulary.ts";
import { openFile } from "./files.ts";
import { EMBEDDED_MODEL } from "./paths.ts";

export interface Inspection {
  name: string;
  path: string;
  architecture: string;
  quantization: string;
  parameters: number;
  fileBytes: number;
  config: Phi2Config;
  tensors: { name: string; type: string; shape: number[]; bytes: number }[];
  vocabulary: { size: number; merges: number; eos: number };
  /** "instruct", "chatml", or "template": the file's own. */
  promptFormat: string;
  prompt: {
    /** Why this format. */
    reason: string;
    /** A conversation of two turns, written down; absent where the template fails. */
    example?: string;
    /** What is wrong with the template, where it fails. */
    error?: string;
    /** Texts that end an answer, unless `formatStops` is false. */
    stops: readonly string[];
  };
  shards: number;
}

/** The tokenizer of a model's file. */
export function tokenizerOf(model: string): Tokenizer {
  const opened = openModel(openFile, model, "int8");
  try {
    return createTokenizer(vocabularyOf(opened.metadata, opened.config.vocabSize));
  } finally {
    opened.close();
  }
}

/** Tokenizes with a model's vocabulary, without loading its weights. */
export async function tokenize(text: string, model: string = EMBEDDED_MODEL): Promise<Tokenization> {
  const tokenizer = tokenizerOf(model);
  const ids = tokenizer.encode(text);
  return { ids, pieces: tokenizer.pieces(ids) };
}

/** Reads and checks a model's header, of a pack too; throws what loading would throw for it. `template` as for `load`. */
export async function inspect(model: string = EMBEDDED_MODEL, template?: string): Promise<Inspection> {
  const opened = openModel(openFile, model, "int8");
  try {
    const vocabulary = vocabularyOf(opened.metadata, opened.config.vocabSize);
    const tokenizer = createTokenizer(vocabulary);
    const { name, quantization, parameters, fileBytes, config } = opened;
    return {
      name,
      path: model,
      architecture: "phi2",
      quantization,
      parameters,
      fileBytes,
      config,
      tensors: tensorsOf(opened),
      vocabulary: { size: tokenizer.vocabSize, merges: vocabulary.merges.length, eos: [...tokenizer.eosIds][0] },
      ...promptOf(await choosePrompt(tokenizer, promptMetadata(opened.metadata), template)),
      shards: opened.sources.length,
    };
  } finally {
    opened.close();
  }
}

const EXAMPLE: ChatMessage[] = [
  { role: "user", content: "Why is the sky blue?" },
  { role: "assistant", content: "Air scatters blue light." },
  { role: "user", content: "And at sunset?" },
];

function promptOf({ format, reason }: PromptChoice): Pick<Inspection, "promptFormat" | "prompt"> {
  const { name, stops } = format;
  try {
    const example = format
      .chat(EXAMPLE)
      .map(({ text }) => text)
      .join("");
    return { promptFormat: name, prompt: { reason, example, stops } };
  } catch (error) {
    return { promptFormat: name, prompt: { reason, error: (error as Error).message, stops } };
  }
}

/** A pack's tiles go by the name of their kind, such as "q4 tiles", with the shape that the file states. */
function tensorsOf({ weights: { manifest, pack } }: Model): Inspection["tensors"] {
  if (manifest) {
    return manifest.tensors.map(({ name, type, k, n, bytes }) => {
      return { name, type: type.name, shape: n > 1 ? [k, n] : [k], bytes };
    });
  }
  return pack.tensors.map(({ name, shape, type, kind, span }) => {
    return { name, type: kind ? `${kind} tiles` : BLOCK_TYPES.get(type)!.name, shape, bytes: span.bytes };
  });
}
