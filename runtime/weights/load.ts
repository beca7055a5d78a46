/**
 * Brings a model file's weights into memory: matrices are read in pieces, staged, and re-tiled by whichever thread
 * of the team takes the piece; vectors are widened to f32 by the leader. Packing to a file uses the same pieces.
 */

import type { Kernels } from "../compute/kernels.ts";
import type { ByteSource } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import type { Layout, Linear } from "../memory/plan.ts";
import { type LayerTensors, type Manifest, readVector, type Tensor } from "./manifest.ts";
import { BLOCK_TYPES, rowBytes, TILE_BYTES, TILE_COLUMNS, TILE_KINDS, TILE_ROWS } from "./tiles.ts";

/** Rows of one matrix, or raw bytes, that are read and converted at once. Plain data: other threads get it by message. */
interface Piece {
  /** Index into the model's files. */
  source: number;
  /** Bytes in the file. */
  offset: number;
  bytes: number;
  tensor: string;
  /** Block type and tile kind by number; kind -1: the rows are kept as they are. */
  type: number;
  kind: number;
  rows: number;
  k: number;
  /** Address of the first tile or byte. */
  to: number;
}

export interface LoadPlan {
  /** Names of the files, for threads that open them anew. */
  sources: string[];
  pieces: Piece[];
  totalBytes: number;
}

/** Cuts all matrices and the embedding into pieces of at most `layout.stagingBytes`. */
export function planLoad(manifest: Manifest, layout: Layout): LoadPlan {
  const pieces: Piece[] = [];
  const sourceOf = (tensor: Tensor) => manifest.sources.indexOf(tensor.source);
  const copy = (tensor: Tensor, to: number) => {
    const stride = rowBytes(tensor.type, tensor.k);
    const step = Math.max(1, Math.floor(layout.stagingBytes / stride));
    for (let row = 0; row < tensor.n; row += step) {
      const rows = Math.min(step, tensor.n - row);
      const place = { source: sourceOf(tensor), offset: tensor.offset + row * stride, bytes: rows * stride };
      const form = { type: tensor.type.id, kind: -1, rows, k: tensor.k };
      pieces.push({ ...place, ...form, tensor: tensor.name, to: to + row * stride });
    }
  };
  const matrix = (tensor: Tensor, linear: Linear, index: number) => {
    const { kind, offset: to } = linear.parts[index];
    const stride = rowBytes(tensor.type, tensor.k);
    const groupBytes = (tensor.k / TILE_COLUMNS) * TILE_BYTES[kind];
    const step = Math.max(1, Math.floor(layout.stagingBytes / (stride * TILE_ROWS))) * TILE_ROWS;
    for (let row = 0; row < tensor.n; row += step) {
      const rows = Math.min(step, tensor.n - row);
      const place = { source: sourceOf(tensor), offset: tensor.offset + row * stride, bytes: rows * stride };
      const form = { type: tensor.type.id, kind: TILE_KINDS.indexOf(kind), rows, k: tensor.k };
      pieces.push({ ...place, ...form, tensor: tensor.name, to: to + (row / TILE_ROWS) * groupBytes });
    }
  };
  copy(manifest.tokenEmbedding, layout.embedding.offset);
  manifest.layers.forEach((tensors, i) => {
    for (const [linear, weights] of linearsOf(tensors, layout, i)) {
      weights.forEach((tensor, part) => {
        matrix(tensor, linear, part);
      });
    }
  });
  matrix(manifest.output.weight, layout.output, 0);
  const totalBytes = pieces.reduce((sum, piece) => sum + piece.bytes, 0);
  return { sources: manifest.sources.map((source) => source.name), pieces, totalBytes };
}

function linearsOf(tensors: LayerTensors, layout: Layout, index: number): [Linear, Tensor[], Tensor[]][] {
  const layer = layout.layers[index];
  return [
    [layer.qkv, tensors.qkv, tensors.qkvBias],
    [layer.attnOutput, [tensors.attnOutput.weight], [tensors.attnOutput.bias]],
    [layer.ffnUp, [tensors.ffnUp.weight], [tensors.ffnUp.bias]],
    [layer.ffnDown, [tensors.ffnDown.weight], [tensors.ffnDown.bias]],
  ];
}

/** Writes norms and biases. */
export function loadVectors(manifest: Manifest, layout: Layout, buffer: ArrayBufferLike): void {
  const vector = (tensor: Tensor, to: number) => new Float32Array(buffer, to, tensor.k).set(readVector(tensor));
  const biases = (linear: Linear, tensors: readonly Tensor[]) => {
    tensors.forEach((tensor, part) => {
      vector(tensor, linear.bias + linear.parts[part].firstRow * 4);
    });
  };
  manifest.layers.forEach((tensors, i) => {
    vector(tensors.attnNorm.weight, layout.layers[i].attnNorm.weight);
    vector(tensors.attnNorm.bias, layout.layers[i].attnNorm.bias);
    for (const [linear, , tensor] of linearsOf(tensors, layout, i)) biases(linear, tensor);
  });
  vector(manifest.outputNorm.weight, layout.outputNorm.weight);
  vector(manifest.outputNorm.bias, layout.outputNorm.bias);
  biases(layout.output, [manifest.output.bias]);
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

  /** Reads and converts a piece; throws E_FILE_READ, E_FILE_TRUNCATED or E_TENSOR_VALUES. */
  load(index: number): void {
    const piece = this.plan.pieces[index];
    const raw = piece.kind < 0;
    const at = raw ? piece.to : this.staging;
    this.sources[piece.source].read(piece.offset, new Uint8Array(this.buffer, at, piece.bytes));
    const type = BLOCK_TYPES.get(piece.type)!;
    const finite = raw ? this.isFinite(piece, rowBytes(type, piece.k)) : this.retile(piece, rowBytes(type, piece.k));
    if (finite) return;
    throw new PiPhiError(
      "E_TENSOR_VALUES",
      `The tensor ${piece.tensor} holds NaN or infinite values. The file is damaged or was converted badly: download or convert it again.`,
      { tensor: piece.tensor, type: type.name },
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
    const groupBytes = (k / TILE_COLUMNS) * TILE_BYTES[TILE_KINDS[kind]];
    const scratch = this.staging + this.stagingBytes;
    for (let row = 0; row < rows; row += TILE_ROWS) {
      const from = this.staging + row * stride;
      const group = to + (row / TILE_ROWS) * groupBytes;
      if (this.kernels.retile(type, kind, from, Math.min(TILE_ROWS, rows - row), k, group, scratch) !== 0) return false;
    }
    return true;
  }
}
