/** The hyperparameters of a model as its metadata states them, refused where nothing here could compute with them. */

import type { Phi2Config } from "../api.ts";
import { type ErrorDetails, PiPhiError } from "../errors.ts";
import { printable, quote } from "./faults.ts";
import type { Metadata } from "./metadata.ts";
import { TILE_COLUMNS } from "./tiles.ts";

const ARCHITECTURE = "phi2";
const SUPPORTED = "PiPhi runs Phi-1, Phi-1.5, Phi-2 and their fine-tunes (architecture phi2): use the GGUF file of one";

const MAX_LAYERS = 1000;
const MAX_HEADS = 1024;
const MAX_HIDDEN = 1 << 16;
const MAX_INTERMEDIATE = 1 << 18;
const MAX_VOCABULARY = 1 << 20;
const MAX_CONTEXT = 1 << 20;
const HEAD_MULTIPLE = 16;
const MAX_HEAD = 256;
const DEFAULT_ROPE_BASE = 10000;
const DEFAULT_EPSILON = 1e-5;

/** Throws E_ARCHITECTURE for anything but a model of the Phi-2 family. */
export function checkArchitecture(metadata: Metadata): void {
  const found = metadata.optionalString("general.architecture") ?? "";
  const type = metadata.stringHint("general.type") ?? "model";
  if (found === ARCHITECTURE && type === "model") return;
  const what =
    type !== "model"
      ? `is of the kind ${quote(type)}, not a model`
      : found === ""
        ? "states no architecture"
        : `holds a model of the architecture ${quote(found)}`;
  throw new PiPhiError("E_ARCHITECTURE", `${metadata.file} ${what}. ${SUPPORTED}.`, {
    file: metadata.file,
    architecture: printable(found, 80),
    supported: [ARCHITECTURE],
  });
}

/**
 * `vocabSize`: rows of the embedding. Throws E_CONFIG, E_VOCABULARY where there are more tokens than rows, and E_FILE_CORRUPT
 * for a value of the wrong type.
 */
export function readConfig(metadata: Metadata, vocabSize: number): Phi2Config {
  checkDense(metadata);
  checkTokens(metadata, vocabSize);
  const whole = (name: string, max: number, fallback?: number) => {
    const key = `${ARCHITECTURE}.${name}`;
    return inRange(metadata.file, key, perLayer(metadata, key) ?? fallback, max);
  };
  const hiddenSize = whole("embedding_length", MAX_HIDDEN);
  const heads = whole("attention.head_count", MAX_HEADS);
  const config: Phi2Config = {
    hiddenSize,
    intermediateSize: whole("feed_forward_length", MAX_INTERMEDIATE),
    layers: whole("block_count", MAX_LAYERS),
    heads,
    headDim: hiddenSize / heads,
    rotaryDim: whole("rope.dimension_count", MAX_HEAD),
    ropeBase: metadata.optionalNumber(`${ARCHITECTURE}.rope.freq_base`) ?? DEFAULT_ROPE_BASE,
    layerNormEpsilon: metadata.optionalNumber(`${ARCHITECTURE}.attention.layer_norm_epsilon`) ?? DEFAULT_EPSILON,
    contextLength: whole("context_length", MAX_CONTEXT),
    vocabSize: inRange(metadata.file, "rows of token_embd.weight", vocabSize, MAX_VOCABULARY),
  };
  const keyHeads = whole("attention.head_count_kv", MAX_HEADS, heads);
  if (keyHeads !== heads) {
    const what = `it has ${heads} heads but ${keyHeads} of keys and values, and Phi-2 has no grouped-query attention`;
    throw invalid(metadata.file, what, { heads, keyHeads });
  }
  checkShapes(metadata.file, config);
  checkRope(metadata, config);
  return config;
}

/** A whole number, which some converters state once for each layer. */
function perLayer(metadata: Metadata, key: string): number | undefined {
  const values = metadata.get(key);
  if (!ArrayBuffer.isView(values)) return metadata.optionalInteger(key);
  const [first] = values;
  if (Number.isSafeInteger(first) && values.every((value) => value === first)) return first;
  throw invalid(metadata.file, `${key} is not one whole number for all layers`, { key });
}

/** Throws E_CONFIG for a mixture of experts: several models of one architecture, of which a router chooses. */
function checkDense(metadata: Metadata): void {
  const experts = metadata.numberHint(`${ARCHITECTURE}.expert_count`) ?? 0;
  if (experts > 0) throw mixtureOfExperts(metadata.file, experts);
}

/** E_CONFIG; `experts` where the file says how many. */
export function mixtureOfExperts(file: string, experts?: number): PiPhiError {
  const what = `it is a mixture of ${experts ?? "several"} experts, and Phi-2 has one feed-forward block a layer`;
  return invalid(file, what, { experts: experts ?? null });
}

/** Fewer tokens than rows are usual: the others are padding. A token without a row could not be computed. */
function checkTokens(metadata: Metadata, rows: number): void {
  const { file } = metadata;
  const tokens = metadata.get("tokenizer.ggml.tokens");
  if (!Array.isArray(tokens) || tokens.length <= rows) return;
  throw new PiPhiError(
    "E_VOCABULARY",
    `${file} has ${tokens.length} tokens but only ${rows} rows in its embedding. Convert the model again, with its own tokenizer.`,
    { file, tokens: tokens.length, rows },
  );
}

function inRange(file: string, name: string, value: number | undefined, max: number): number {
  if (value === undefined) throw invalid(file, `${name} is missing`, { key: name });
  if (value < 1 || value > max)
    throw invalid(file, `${name} is ${value}, not within 1 and ${max}`, { key: name, value });
  return value;
}

function checkShapes(file: string, config: Phi2Config): void {
  const { hiddenSize, intermediateSize, heads, headDim, rotaryDim, layerNormEpsilon } = config;
  for (const [name, value] of Object.entries({ hiddenSize, intermediateSize })) {
    if (value % TILE_COLUMNS !== 0) {
      throw invalid(file, `its ${name} of ${value} is not a multiple of ${TILE_COLUMNS}, which the kernels need`, {
        [name]: value,
      });
    }
  }
  if (headDim % HEAD_MULTIPLE !== 0 || headDim > MAX_HEAD) {
    const what = `${heads} heads share ${hiddenSize} dimensions, and the kernels need a multiple of ${HEAD_MULTIPLE} up to ${MAX_HEAD} for each`;
    throw invalid(file, what, { hiddenSize, heads, headDim });
  }
  if (rotaryDim % 2 !== 0 || rotaryDim > headDim) {
    const what = `${rotaryDim} dimensions of a head are rotated in pairs, but a head has ${headDim}`;
    throw invalid(file, what, { rotaryDim, headDim });
  }
  if (!(layerNormEpsilon > 0 && layerNormEpsilon < 1)) {
    throw invalid(file, `its layer_norm_epsilon is ${layerNormEpsilon}`, { layerNormEpsilon });
  }
}

function checkRope(metadata: Metadata, { ropeBase }: Phi2Config): void {
  const { file } = metadata;
  if (!(ropeBase >= 1 && Number.isFinite(ropeBase)))
    throw invalid(file, `its rope.freq_base is ${ropeBase}`, { ropeBase });
  const key = `${ARCHITECTURE}.rope`;
  const scaling = metadata.optionalString(`${key}.scaling.type`);
  const factor =
    metadata.optionalNumber(`${key}.scaling.factor`) ?? metadata.optionalNumber(`${key}.scale_linear`) ?? 1;
  // Other engines take a factor without a type for linear scaling, and none for an order to ignore the factor.
  if (scaling === "none" || (scaling === undefined && factor === 1)) return;
  const rule = printable(scaling ?? "linear", 80);
  throw invalid(file, `it scales rotary positions (${rule}, by ${factor}), and Phi-2 does not`, {
    scaling: rule,
    factor,
  });
}

function invalid(file: string, what: string, details: ErrorDetails): PiPhiError {
  const message = `${file} states hyperparameters that PiPhi cannot run: ${what}. ${SUPPORTED}.`;
  return new PiPhiError("E_CONFIG", message, { file, ...details });
}
