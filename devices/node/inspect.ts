/** What a model file holds, from its header alone. */

import type { Phi2Config, Tokenization } from "../../runtime/index.ts";
import { promptFormat } from "../../runtime/text/prompt.ts";
import { createTokenizer } from "../../runtime/text/tokenizer.ts";
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
  promptFormat: string;
  shards: number;
}

/** Tokenizes with a model's vocabulary, without loading its weights. */
export async function tokenize(text: string, model: string = EMBEDDED_MODEL): Promise<Tokenization> {
  const opened = openModel(openFile, model, "int8");
  try {
    const tokenizer = createTokenizer(vocabularyOf(opened.metadata, opened.config.vocabSize));
    const ids = tokenizer.encode(text);
    return { ids, pieces: tokenizer.pieces(ids) };
  } finally {
    opened.close();
  }
}

/** Reads and checks a model's header, of a pack too; throws what loading would throw for it. */
export async function inspect(model: string = EMBEDDED_MODEL): Promise<Inspection> {
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
      promptFormat: promptFormat(tokenizer, promptMetadata(opened.metadata)).name,
      shards: opened.sources.length,
    };
  } finally {
    opened.close();
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
