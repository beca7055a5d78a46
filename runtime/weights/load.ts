/**
 * Brings a model file's weights into memory: matrices are read in pieces, staged, and re-tiled by whichever thread
 * of the team takes the piece; vectors are widened to f32 by the leader. Packing to a file uses the same pieces.
 */

import type { Kernels } from "../compute/kernels.ts";
import type { ByteSource } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import { type LayerTensors, readVector, type SourceManifest, type Tensor } from "./manifest.ts";
import { groupBytes, type LayerShape, type Linear, type WeightShape } from "./shape.ts";
import { BLOCK_TYPES, rowBytes, TILE_KINDS, TILE_ROWS } from "./tiles.ts";
import { rowsInUse } from "./vocabulary.ts";
import { findZeros, zeroFilled } from "./zeros.ts";

/** Rows of one matrix, or raw bytes, that are read and converted at once. Plain data: other threads get it by message. */
export interface Piece {
  /** Index into the model's files. */
  source: number;
  /** Bytes in the file. */
  offset: number;
  bytes: number;
  tensor: string;
  /** Where it begins in its tensor, and what of the tensor is in use: other rows may be zero. */
  from: number;
  usedBytes: number;
  /** Block type, and tile kind by number, AS_IS or VERBATIM. */
  type: number;
  kind: number;
  rows: number;
  k: number;
  /** Address of the first tile or byte. */
  to: number;
}

/** Kinds of pieces that are not converted: rows of the embedding, and weights that were packed before. */
const AS_IS = -1;
const VERBATIM = -2;
const VERBATIM_BYTES = 4 << 20;

export interface LoadPlan {
  /** Names of the files, for threads that open them anew. */
  sources: string[];
  pieces: Piece[];
  totalBytes: number;
}

/** Source bytes that are staged at once, unless 16 rows of the widest matrix take more. */
const STAGING_BYTES = 1 << 20;

/** Bytes of the staging area that `planLoad`'s pieces need. */
export function stagingBytesOf({ layers, output }: SourceManifest): number {
  const matrices = layers.flatMap(({ qkv, attnOutput, ffnUp, ffnDown }) => {
    return [...qkv, attnOutput.weight, ffnUp.weight, ffnDown.weight];
  });
  const groups = [...matrices, output.weight].map(({ type, k }) => TILE_ROWS * rowBytes(type, k));
  return Math.ceil(Math.max(STAGING_BYTES, ...groups) / 64) * 64;
}

/** Cuts all matrices and the embedding into pieces of at most `stagingBytes`, for weights that begin at `base`. */
export function planLoad(manifest: SourceManifest, shape: WeightShape, base: number, stagingBytes: number): LoadPlan {
  const pieces: Piece[] = [];
  const cut = (tensor: Tensor, kind: number, multiple: number, address: (row: number) => number) => {
    const { k, n, type, source, name } = tensor;
    const stride = rowBytes(type, k);
    const byToken = tensor === manifest.tokenEmbedding || tensor === manifest.output.weight;
    const usedBytes = stride * (byToken ? rowsInUse(manifest.metadata, n) : n);
    const step = Math.max(1, Math.floor(stagingBytes / (stride * multiple))) * multiple;
    for (let row = 0; row < n; row += step) {
      const rows = Math.min(step, n - row);
      const place = { source: manifest.sources.indexOf(source), offset: tensor.offset + row * stride };
      pieces.push({
        ...place,
        ...{ bytes: rows * stride, tensor: name, from: row * stride, usedBytes },
        ...{ type: type.id, kind, rows, k, to: base + address(row) },
      });
    }
  };
  const matrix = (tensor: Tensor, linear: Linear, part: number) => {
    const { kind, offset } = linear.parts[part];
    const stride = groupBytes(kind, tensor.k);
    cut(tensor, TILE_KINDS.indexOf(kind), TILE_ROWS, (row) => offset + (row / TILE_ROWS) * stride);
  };
  const { embedding } = shape;
  cut(manifest.tokenEmbedding, AS_IS, 1, (row) => embedding.offset + row * embedding.rowBytes);
  manifest.layers.forEach((tensors, i) => {
    for (const [linear, weights] of linearsOf(tensors, shape.layers[i])) {
      weights.forEach((tensor, part) => {
        matrix(tensor, linear, part);
      });
    }
  });
  matrix(manifest.output.weight, shape.output, 0);
  const totalBytes = pieces.reduce((sum, piece) => sum + piece.bytes, 0);
  return { sources: manifest.sources.map((source) => source.name), pieces, totalBytes };
}

/** Bytes that a piece of `planLoad` becomes. */
export function outputBytes({ kind, bytes, rows, k }: Piece): number {
  return kind < 0 ? bytes : Math.ceil(rows / TILE_ROWS) * groupBytes(TILE_KINDS[kind], k);
}

/** Weights that lie in a file as they shall lie in memory from `base` on: `bytes` from `offset` of the file. */
export function planCopy(source: ByteSource, offset: number, bytes: number, base: number): LoadPlan {
  const form = { source: 0, tensor: "", from: 0, usedBytes: 0, type: 0, kind: VERBATIM, rows: 0, k: 0 };
  const pieces: Piece[] = [];
  for (let at = 0; at < bytes; at += VERBATIM_BYTES) {
    pieces.push({ ...form, offset: offset + at, bytes: Math.min(VERBATIM_BYTES, bytes - at), to: base + at });
  }
  return { sources: [source.name], pieces, totalBytes: bytes };
}

function linearsOf(tensors: LayerTensors, layer: LayerShape): [Linear, Tensor[], Tensor[]][] {
  return [
    [layer.qkv, tensors.qkv, tensors.qkvBias],
    [layer.ffnUp, [tensors.ffnUp.weight], [tensors.ffnUp.bias]],
    [layer.attnOutput, [tensors.attnOutput.weight], [tensors.attnOutput.bias]],
    [layer.ffnDown, [tensors.ffnDown.weight], [tensors.ffnDown.bias]],
  ];
}

/** Writes norms and biases into the vectors' span, whose first byte is at `base` in `buffer`. */
export function loadVectors(manifest: SourceManifest, shape: WeightShape, buffer: ArrayBufferLike, base: number): void {
  const vector = (tensor: Tensor, to: number, scales = false) => {
    const values = readVector(tensor);
    if (scales && values.every((value) => value === 0)) throw zeroFilled(tensor.source, tensor.name, 0);
    new Float32Array(buffer, base + to, tensor.k).set(values);
  };
  const biases = (linear: Linear, tensors: readonly Tensor[]) => {
    tensors.forEach((tensor, part) => {
      vector(tensor, linear.bias + linear.parts[part].firstRow * 4);
    });
  };
  manifest.layers.forEach((tensors, i) => {
    const layer = shape.layers[i];
    vector(tensors.attnNorm.weight, layer.attnNorm.weight, true);
    vector(tensors.attnNorm.bias, layer.attnNorm.bias);
    for (const [linear, , tensor] of linearsOf(tensors, layer)) biases(linear, tensor);
  });
  vector(manifest.outputNorm.weight, shape.outputNorm.weight, true);
  vector(manifest.outputNorm.bias, shape.outputNorm.bias);
  biases(shape.output, [manifest.output.bias]);
}

function refuseZeros(source: ByteSource, { tensor, from, usedBytes }: Piece, bytes: Uint8Array): void {
  const used = bytes.subarray(0, Math.max(0, usedBytes - from));
  const at = findZeros(used, usedBytes);
  if (at >= 0) throw zeroFilled(source, tensor, from + at);
}

/** The team's share of loading: one item a piece. `staging` is this thread's own, of layout.stagingBytes and more. */
export class Loader {
  constructor(
    private readonly plan: LoadPlan,
    private readonly sources: readonly ByteSource[],
    private readonly kernels: Kernels,
    private readonly buffer: ArrayBufferLike,
    private readonly staging: number,
    private readonly stagingBytes: number,
  ) {}

  /** Reads and converts a piece; throws E_FILE_READ, E_FILE_TRUNCATED, E_FILE_CORRUPT or E_TENSOR_VALUES. */
  load(index: number): void {
    const piece = this.plan.pieces[index];
    const raw = piece.kind < 0;
    const at = raw ? piece.to : this.staging;
    const source = this.sources[piece.source];
    const bytes = new Uint8Array(this.buffer, at, piece.bytes);
    source.read(piece.offset, bytes);
    if (piece.kind === VERBATIM) return;
    refuseZeros(source, piece, bytes);
    const type = BLOCK_TYPES.get(piece.type)!;
    const finite = raw ? this.isFinite(piece, rowBytes(type, piece.k)) : this.retile(piece, rowBytes(type, piece.k));
    if (finite) return;
    throw new PiPhiError(
      "E_TENSOR_VALUES",
      `The tensor ${piece.tensor} in ${source.name} holds NaN or infinite values. The file is damaged or was converted badly: download or convert it again.`,
      { file: source.name, tensor: piece.tensor, type: type.name },
    );
  }

  /** Whether rows that are kept as they are decode to finite numbers; the staging area takes the numbers. */
  private isFinite({ type, rows, k, to }: Piece, stride: number): boolean {
    for (let row = 0; row < rows; row++) {
      if (this.kernels.dequantize_row(type, to + row * stride, k, this.staging) !== 0) return false;
    }
    return true;
  }

  /** Turns staged rows into tiles; false where they hold no finite numbers. */
  private retile({ type, kind, rows, k, to }: Piece, stride: number): boolean {
    const stride16 = groupBytes(TILE_KINDS[kind], k);
    const scratch = this.staging + this.stagingBytes;
    for (let row = 0; row < rows; row += TILE_ROWS) {
      const from = this.staging + row * stride;
      const group = to + (row / TILE_ROWS) * stride16;
      if (this.kernels.retile(type, kind, from, Math.min(TILE_ROWS, rows - row), k, group, scratch) !== 0) return false;
    }
    return true;
  }
}
