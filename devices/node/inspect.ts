/** What a model file holds, from its header alone. */

import type { Phi2Config, Tokenization } from "../../runtime/index.ts";
import { promptFormat } from "../../runtime/text/prompt.ts";
import { createTokenizer } from "../../runtime/text/tokenizer.ts";
import { readManifest } from "../../runtime/weights/manifest.ts";
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
  const manifest = readManifest(openFile, model);
  try {
    const tokenizer = createTokenizer(vocabularyOf(manifest.metadata));
    const ids = tokenizer.encode(text);
    return { ids, pieces: tokenizer.pieces(ids) };
  } finally {
    manifest.close();
  }
}

/** Reads and checks a model's header; throws what loading would throw for it. */
export async function inspect(model: string = EMBEDDED_MODEL): Promise<Inspection> {
  const manifest = readManifest(openFile, model);
  try {
    const vocabulary = vocabularyOf(manifest.metadata);
    const tokenizer = createTokenizer(vocabulary);
    return {
      name: manifest.name,
      path: model,
      architecture: "phi2",
      quantization: manifest.quantization,
      parameters: manifest.parameters,
      fileBytes: manifest.fileBytes,
      config: manifest.config,
      tensors: manifest.tensors.map(({ name, type, k, n, bytes }) => {
        return { name, type: type.name, shape: n > 1 ? [k, n] : [k], bytes };
      }),
      vocabulary: { size: tokenizer.vocabSize, merges: vocabulary.merges.length, eos: [...tokenizer.eosIds][0] },
      promptFormat: promptFormat(tokenizer, promptMetadata(manifest.metadata)).name,
      shards: manifest.sources.length,
    };
  } finally {
    manifest.close();
  }
}
