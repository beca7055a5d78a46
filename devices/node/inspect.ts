/** What a model file holds, from its header alone. */

import type { Phi2Config } from "../../runtime/index.ts";
import { promptFormat } from "../../runtime/text/prompt.ts";
import { createTokenizer } from "../../runtime/text/tokenizer.ts";
import { readManifest } from "../../runtime/weights/manifest.ts";
import { vocabularyOf } from "../../runtime/weights/vocabulary.ts";
import { EMBEDDED_MODEL, openFile } from "./files.ts";

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

/** Reads and checks a model's header; throws what loading would throw for it. */
export async function inspect(model: string = EMBEDDED_MODEL): Promise<Inspection> {
  const manifest = readManifest(openFile, model);
  try {
    const vocabulary = vocabularyOf(manifest.metadata);
    const tokenizer = createTokenizer(vocabulary);
    const chatTemplate = manifest.metadata.optionalString("tokenizer.chat_template");
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
      promptFormat: promptFormat(tokenizer, { name: manifest.name, chatTemplate }).name,
      shards: manifest.sources.length,
    };
  } finally {
    manifest.close();
  }
}
