/**
 * Where every byte of the one linear memory lies. Pure: manifest and options in, layout or error out.
 *
 *   0         64 KiB for WebAssembly's own data
 *   control   the team's control block, the job, token ids, positions
 *   scratch   activations of a batch, logits, each thread's private scratch
 *   kv        the key/value cache: [sequence][layer][head], see kernels/attention.ts
 *   weights   vectors (f32) and matrices (tiles), 64 KiB aligned, in layer order
 */

import type { Phi2Config } from "../api.ts";
import { WASM_PAGE_BYTES } from "../compute/kernels.ts";
import { CONTROL_BYTES } from "../compute/team.ts";
import { PiPhiError } from "../errors.ts";
import type { LayerTensors, Manifest, Tensor } from "../weights/manifest.ts";
import { type DensePrecision, rowBytes, TILE_ROWS, type TileKind, tiledBytes, tileKindOf } from "../weights/tiles.ts";

const MEMORY_LIMIT_BYTES = 65536 * WASM_PAGE_BYTES;

export interface PlanOptions {
  contextLength: number;
  kv: "int8" | "f16";
  threads: number;
  dense: DensePrecision;
  /** Tokens of a prompt that are computed together. */
  batchTokens: number;
  /** Sequences with a cache of their own. */
  sequences: number;
  /** Limit for the sum of everything, bytes; undefined = none below 4 GiB. */
  ramBytes?: number;
}

/** A matrix in tiles. */
export interface Matrix {
  kind: TileKind;
  offset: number;
  /** Its first row in the output of the linear layer it belongs to. */
  firstRow: number;
  /** Rows, rounded up to whole row groups. */
  rows: number;
}

/** A linear layer: n outputs from k inputs; fused or split (q, k, v) into parts. */
export interface Linear {
  k: number;
  n: number;
  parts: Matrix[];
  bias: number;
}

export interface Norm {
  weight: number;
  bias: number;
}

export interface LayerLayout {
  attnNorm: Norm;
  qkv: Linear;
  attnOutput: Linear;
  ffnUp: Linear;
  ffnDown: Linear;
}

/** Where a batch's activations lie; each has room for `batchTokens` rows of the given width. */
export interface Activations {
  /** f32 */
  plain: number;
  /** rows of activation_bytes_q4 */
  q4: number;
  /** rows of activation_bytes_q8 */
  q8: number;
}

export interface Layout {
  config: Phi2Config;
  /** Tokens a sequence may hold. */
  contextLength: number;
  /** Positions a head's cache has room for: contextLength in whole tiles of 32. */
  cachePositions: number;
  kv: "int8" | "f16";
  threads: number;
  batchTokens: number;
  control: number;
  /** i32[8]: kind of job, tokens, first row of logits; see phi2.ts. */
  job: number;
  ids: number;
  positions: number;
  caches: number;
  ropeTable: number;
  /** Residual stream, f32 [batchTokens][hiddenSize]. */
  x: number;
  /** Normed input of a layer, then the heads' output. */
  hidden: Activations;
  qkv: number;
  ffn: Activations;
  /** f32 [logitsRows][logitsStride / 4] */
  logits: number;
  logitsRows: number;
  logitsStride: number;
  /** Private scratch of thread i at threadScratch + i * threadScratchBytes. */
  threadScratch: number;
  threadScratchBytes: number;
  /** Within a thread's scratch: attention's, and where file bytes are staged while loading. */
  attentionScratchOffset: number;
  stagingOffset: number;
  /** The re-tiling kernels' own scratch follows. */
  stagingBytes: number;
  kvCache: number;
  /** Bytes of one layer, and of one sequence. */
  kvLayerBytes: number;
  kvSequenceBytes: number;
  sequences: number;
  embedding: { offset: number; type: number; rowBytes: number };
  layers: LayerLayout[];
  outputNorm: Norm;
  output: Linear;
  /** Size of the memory. */
  totalBytes: number;
  bytes: { weights: number; kv: number; scratch: number; slots: number; total: number };
  /** Weight bytes that one decoded token reads. */
  bytesPerToken: number;
}

/** The most logits rows that are computed at once (scoring); a decoded batch needs no more. */
const LOGITS_ROWS = 16;
const STAGING_BYTES = 1 << 20;
const RETILE_SCRATCH_BYTES = 20480;
const MATMUL_SCRATCH_BYTES = 256;

/** Hands out addresses. */
class Cursor {
  position = WASM_PAGE_BYTES;

  take(bytes: number, align = 64): number {
    const at = Math.ceil(this.position / align) * align;
    this.position = at + bytes;
    return at;
  }
}

/** The layout for `manifest`; throws E_CONTEXT, E_MODEL_TOO_LARGE or E_MEMORY with what would fit. */
export function plan(manifest: Manifest, options: PlanOptions): Layout {
  const layout = layOut(manifest, options);
  if (layout.totalBytes > MEMORY_LIMIT_BYTES) throw tooLarge(manifest, options, layout);
  if (options.ramBytes !== undefined && layout.totalBytes > options.ramBytes) {
    throw tooLittleMemory(manifest, options, layout);
  }
  return layout;
}

/** The layout, however large. */
export function layOut(manifest: Manifest, options: PlanOptions): Layout {
  const { config } = manifest;
  checkContext(config, options.contextLength);
  const { hiddenSize: d, intermediateSize: ff, headDim, heads } = config;
  const context = roundUp(options.contextLength, 32);
  const T = options.batchTokens;
  const cursor = new Cursor();
  const activations = (k: number): Activations => ({
    plain: cursor.take(T * k * 4),
    q4: cursor.take(T * (2 * k + k / 4)),
    q8: cursor.take(T * (2 * k + k / 8)),
  });
  const logitsRows = Math.min(LOGITS_ROWS, T);
  const logitsStride = roundUp(config.vocabSize, TILE_ROWS) * 4;
  const attentionScratch = roundUp(192 + T * (16 + 8 * headDim), 64);
  const stagingBytes = roundUp(Math.max(STAGING_BYTES, largestRowGroup(manifest)), 64);
  const stagingOffset = MATMUL_SCRATCH_BYTES + attentionScratch;
  const threadScratchBytes = roundUp(stagingOffset + stagingBytes + RETILE_SCRATCH_BYTES, 64);
  const kvLayerBytes = heads * context * (options.kv === "f16" ? 4 * headDim : 2 * headDim + 4);

  const before = {
    control: cursor.take(CONTROL_BYTES),
    job: cursor.take(64),
    ids: cursor.take(T * 4),
    positions: cursor.take(T * 4),
    caches: cursor.take(T * 4),
    ropeTable: cursor.take(context * config.rotaryDim * 4),
    x: cursor.take(T * d * 4),
    hidden: activations(d),
    qkv: cursor.take(T * 3 * d * 4),
    ffn: activations(ff),
    logits: cursor.take(logitsRows * logitsStride),
    threadScratch: cursor.take(options.threads * threadScratchBytes),
  };
  const scratchEnd = cursor.position;
  const kvSequenceBytes = roundUp(kvLayerBytes * config.layers, 64);
  const kvCache = cursor.take(kvSequenceBytes * options.sequences);
  const kvEnd = cursor.position;
  const weights = layOutWeights(manifest, options.dense, cursor);
  const totalBytes = roundUp(cursor.position, WASM_PAGE_BYTES);
  const bytes = {
    weights: cursor.position - kvEnd,
    kv: kvEnd - scratchEnd,
    scratch: scratchEnd,
    slots: 0,
    total: totalBytes,
  };
  return {
    config,
    contextLength: options.contextLength,
    cachePositions: context,
    kv: options.kv,
    threads: options.threads,
    batchTokens: T,
    ...before,
    logitsRows,
    logitsStride,
    threadScratchBytes,
    attentionScratchOffset: MATMUL_SCRATCH_BYTES,
    stagingOffset,
    stagingBytes,
    kvCache,
    kvLayerBytes,
    kvSequenceBytes,
    sequences: options.sequences,
    ...weights,
    totalBytes,
    bytes,
    bytesPerToken: bytesPerToken(weights.layers, weights.output),
  };
}

type WeightLayout = Pick<Layout, "embedding" | "layers" | "outputNorm" | "output">;

function layOutWeights(manifest: Manifest, dense: DensePrecision, cursor: Cursor): WeightLayout {
  cursor.take(0, WASM_PAGE_BYTES);
  const { tokenEmbedding } = manifest;
  const vector = (length: number) => cursor.take(roundUp(length, TILE_ROWS) * 4);
  const norm = (pair: { weight: Tensor }): Norm => ({ weight: vector(pair.weight.k), bias: vector(pair.weight.k) });
  const linear = (weights: readonly Tensor[]): Linear => {
    const n = weights.reduce((sum, weight) => sum + weight.n, 0);
    let firstRow = 0;
    const parts = weights.map((weight): Matrix => {
      const kind = tileKindOf(weight.type, dense);
      const rows = roundUp(weight.n, TILE_ROWS);
      const part = { kind, offset: cursor.take(tiledBytes(kind, weight.n, weight.k)), firstRow, rows };
      firstRow += rows;
      return part;
    });
    return { k: weights[0].k, n, parts, bias: vector(n) };
  };
  const layer = (tensors: LayerTensors): LayerLayout => ({
    attnNorm: norm(tensors.attnNorm),
    qkv: linear(tensors.qkv),
    attnOutput: linear([tensors.attnOutput.weight]),
    ffnUp: linear([tensors.ffnUp.weight]),
    ffnDown: linear([tensors.ffnDown.weight]),
  });
  return {
    embedding: {
      offset: cursor.take(tokenEmbedding.bytes),
      type: tokenEmbedding.type.id,
      rowBytes: rowBytes(tokenEmbedding.type, tokenEmbedding.k),
    },
    layers: manifest.layers.map(layer),
    outputNorm: norm(manifest.outputNorm),
    output: linear([manifest.output.weight]),
  };
}

function bytesPerToken(layers: readonly LayerLayout[], output: Linear): number {
  const bytes = ({ parts, k }: Linear) => parts.reduce((sum, part) => sum + tiledBytes(part.kind, part.rows, k), 0);
  const layerBytes = (layer: LayerLayout) =>
    bytes(layer.qkv) + bytes(layer.attnOutput) + bytes(layer.ffnUp) + bytes(layer.ffnDown);
  return layers.reduce((sum, layer) => sum + layerBytes(layer), bytes(output));
}

/** Source bytes of 16 rows of the widest matrix: the least that is staged at once. */
function largestRowGroup(manifest: Manifest): number {
  const matrices = manifest.layers.flatMap((layer) => [
    ...layer.qkv,
    layer.attnOutput.weight,
    layer.ffnUp.weight,
    layer.ffnDown.weight,
  ]);
  return Math.max(
    ...[...matrices, manifest.output.weight].map((matrix) => TILE_ROWS * rowBytes(matrix.type, matrix.k)),
  );
}

function checkContext(config: Phi2Config, contextLength: number): void {
  if (!Number.isInteger(contextLength) || contextLength < 1) {
    throw new PiPhiError("E_USAGE", `The context must be a whole number of tokens, at least 1, not ${contextLength}.`);
  }
  if (contextLength > config.contextLength) {
    throw new PiPhiError(
      "E_CONTEXT",
      `A context of ${contextLength} tokens was asked for, but the model was made for ${config.contextLength}. Ask for ${config.contextLength} or fewer.`,
      { asked: contextLength, limit: config.contextLength },
    );
  }
}

function tooLarge(manifest: Manifest, options: PlanOptions, layout: Layout): PiPhiError {
  const remedy =
    layout.bytes.weights > MEMORY_LIMIT_BYTES - (1 << 28)
      ? "Use a smaller quantization of the model, such as Q4_0 or Q4_K_M."
      : `Use a shorter context: ${fittingContext(manifest, options, MEMORY_LIMIT_BYTES)} tokens fit.`;
  return new PiPhiError(
    "E_MODEL_TOO_LARGE",
    `The model needs ${megabytes(layout.totalBytes)} but WebAssembly can address 4096 MiB. ${remedy}`,
    { needBytes: layout.totalBytes, limitBytes: MEMORY_LIMIT_BYTES },
  );
}

function tooLittleMemory(manifest: Manifest, options: PlanOptions, layout: Layout): PiPhiError {
  const limit = options.ramBytes!;
  const context = fittingContext(manifest, options, limit);
  const remedy =
    context >= 32
      ? `It fits with a context of ${context} tokens (--ctx ${context}).`
      : `Free ${megabytes(layout.totalBytes - limit)} more, or use a smaller quantization of the model.`;
  return new PiPhiError(
    "E_MEMORY",
    `The model needs ${megabytes(layout.totalBytes)} and ${megabytes(limit)} may be used. ${remedy}`,
    { needBytes: layout.totalBytes, limitBytes: limit, fittingContext: context },
  );
}

/** The longest context, in steps of 32, that stays within `limit` bytes; 0 if none does. */
function fittingContext(manifest: Manifest, options: PlanOptions, limit: number): number {
  const size = (contextLength: number) => layOut(manifest, { ...options, contextLength }).totalBytes;
  let low = 0;
  let high = Math.floor(options.contextLength / 32);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (size(middle * 32) <= limit) low = middle;
    else high = middle - 1;
  }
  return low * 32;
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1048576)} MiB`;
}

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
