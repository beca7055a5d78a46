/** Models of random weights that answer in shapes: hot, so that every token that is allowed is taken sooner or later. */

import { load, type Phi } from "../../devices/node/index.ts";
import type { GenerateOptions } from "../../runtime/api.ts";
import { writeGguf } from "../fixtures/gguf-writer.ts";
import { phi2Vocabulary } from "../fixtures/phi2-vocabulary.ts";
import { randomModel, randomModelParts } from "../fixtures/random-model.ts";
import { temporaryFile } from "../fixtures/temporary.ts";
import type { Ask } from "./corpus.ts";
import type { Answerer } from "./proof.ts";

const CONTEXT = 512;
const PROMPT = "the light in the kitchen";
/** Enough for all shapes of the corpora that are bounded. */
const MAX_TOKENS = 200;
const AT_ONCE = 4;

/** What else is asked for takes turns: all the ways in which tokens come about. */
const VARIANTS: readonly GenerateOptions[] = [
  {},
  { topK: 0, topP: 1, minP: 0 },
  { drafts: 4 },
  { repeatPenalty: 1.3, logprobs: 1 },
  { drafts: 7, topK: 0, topP: 1, minP: 0, repeatPenalty: 1.1 },
];

export interface Models {
  answer: Answerer;
  close(): Promise<void>;
}

/** One with a vocabulary of little more than bytes, on one thread; one with Phi-2's 51,200 tokens, on two. */
export async function openModels(): Promise<Models> {
  const options = { contextLength: CONTEXT, parallel: AT_ONCE };
  const small = temporaryFile("shapes-small.gguf", randomModel({ contextLength: CONTEXT, peaked: 2 }));
  const large = temporaryFile("shapes-large.gguf", phi2Sized());
  const models = [await load(small, { ...options, threads: 1 }), await load(large, { ...options, threads: 2 })];
  return {
    answer: (ask, seed) => answerOf(models[seed % 4 === 0 ? 1 : 0], ask, seed),
    close: async () => {
      await Promise.all(models.map((phi) => phi.close()));
    },
  };
}

async function answerOf(phi: Phi, ask: Ask, seed: number) {
  const variant = VARIANTS[seed % VARIANTS.length];
  const options = { ...variant, ...ask, temperature: 1.5, seed, maxTokens: MAX_TOKENS } as GenerateOptions;
  if (seed % 7 !== 0) return phi.generate(PROMPT, options);
  await using session = await phi.session({ prefix: PROMPT });
  return await session.generate([...(await session.tokens()), 7], options);
}

/** Phi-2's vocabulary over a model of two small layers. */
function phi2Sized(): Uint8Array {
  const { tokens, types, merges, eosId, bosId } = phi2Vocabulary();
  const parts = randomModelParts({ contextLength: CONTEXT, vocabSize: tokens.length, seed: 2, peaked: 2 });
  const metadata = {
    ...parts.metadata,
    "tokenizer.ggml.tokens": Array.from(tokens),
    "tokenizer.ggml.token_type": { type: "i32" as const, value: Array.from(types!) },
    "tokenizer.ggml.merges": Array.from(merges!),
    "tokenizer.ggml.bos_token_id": bosId!,
    "tokenizer.ggml.eos_token_id": eosId!,
    "tokenizer.ggml.unknown_token_id": eosId!,
  };
  return writeGguf({ ...parts, metadata });
}
