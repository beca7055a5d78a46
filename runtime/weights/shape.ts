/**
 * Where every weight lies among the weights: the same in memory and in a pack file, so that a pack can be mapped as it is.
 *
 *   vectors     f32, a stretch for each layer and one for the head: norms and biases
 *   embedding   rows as the source file has them
 *   layers      for each layer two units: the matrices that read its normed input (q, k, v; up),
 *               then those that add to the residual stream (attention output; down)
 *   head        the rows of the output matrix
 *
 * Stretches, units and matrices begin at multiples of 64 KiB, which is what mapping a file needs. A unit is what one
 * step of the forward pass reads, and what is kept or streamed as a whole.
 */

import type { Phi2Config } from "../api.ts";
import { TILE_BYTES, TILE_COLUMNS, TILE_ROWS, type TileKind, tiledBytes } from "./tiles.ts";

export const WEIGHT_ALIGNMENT = 65536;

/** What the shape depends on besides the model's sizes: the tile kinds of its matrices and the embedding's rows. */
export interface WeightKinds {
  /** One kind for a fused matrix, three for q, k, v. */
  layers: { qkv: readonly TileKind[]; attnOutput: TileKind; ffnUp: TileKind; ffnDown: TileKind }[];
  output: TileKind;
  /** Block type by ggml's number, and bytes of a row. */
  embedding: { type: number; rowBytes: number };
}

/** A stretch of the weights; offsets count from their beginning. */
export interface Span {
  offset: number;
  bytes: number;
}

/** A matrix in tiles. */
export interface Matrix extends Span {
  kind: TileKind;
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
  /** Offset of f32[n], n rounded up to whole row groups. */
  bias: number;
}

/** Offsets of f32 vectors. */
export interface Norm {
  weight: number;
  bias: number;
}

export interface LayerShape {
  vectors: Span;
  attnNorm: Norm;
  qkv: Linear;
  attnOutput: Linear;
  ffnUp: Linear;
  ffnDown: Linear;
  /** Units: qkv and ffnUp; attnOutput and ffnDown. */
  inputs: Span;
  outputs: Span;
}

export interface WeightShape {
  /** All vectors together. */
  vectors: Span;
  headVectors: Span;
  embedding: Span & { type: number; rowBytes: number };
  layers: LayerShape[];
  outputNorm: Norm;
  output: Linear;
  /** Of everything. */
  bytes: number;
}

/** Hands out offsets. */
class Cursor {
  position = 0;

  /** The next `bytes`, from a multiple of 64 on. */
  take(bytes: number): number {
    const at = roundUp(this.position, 64);
    this.position = at + bytes;
    return at;
  }

  /** What `place` takes, from a multiple of 64 KiB on. */
  span<T>(place: () => T): [T, Span] {
    this.position = roundUp(this.position, WEIGHT_ALIGNMENT);
    const offset = this.position;
    const placed = place();
    return [placed, { offset, bytes: this.position - offset }];
  }
}

/** The shape of a model's weights. */
export function shapeOf(config: Phi2Config, kinds: WeightKinds): WeightShape {
  const { hiddenSize: d, intermediateSize: ff, vocabSize } = config;
  const cursor = new Cursor();
  const vector = (length: number) => cursor.take(roundUp(length, TILE_ROWS) * 4);
  const norm = (): Norm => ({ weight: vector(d), bias: vector(d) });
  const placeVectors = () => {
    return { attnNorm: norm(), qkv: vector(3 * d), attnOutput: vector(d), ffnUp: vector(ff), ffnDown: vector(d) };
  };
  const layerVectors = kinds.layers.map(() => cursor.span(placeVectors));
  const [head, headVectors] = cursor.span(() => ({ norm: norm(), bias: vector(vocabSize) }));
  const vectors = { offset: 0, bytes: cursor.position };
  const { type, rowBytes } = kinds.embedding;
  const [, embedding] = cursor.span(() => cursor.take(vocabSize * rowBytes));

  const linear = (partKinds: readonly TileKind[], k: number, n: number, bias: number): Linear => {
    let firstRow = 0;
    const partRows = n / partKinds.length;
    const parts = partKinds.map((kind): Matrix => {
      const rows = roundUp(partRows, TILE_ROWS);
      const [, span] = cursor.span(() => cursor.take(tiledBytes(kind, rows, k)));
      const part = { kind, ...span, firstRow, rows };
      firstRow += rows;
      return part;
    });
    return { k, n, parts, bias };
  };
  const layers = kinds.layers.map((kind, i): LayerShape => {
    const [own, span] = layerVectors[i];
    const [into, inputs] = cursor.span(() => {
      return { qkv: linear(kind.qkv, d, 3 * d, own.qkv), ffnUp: linear([kind.ffnUp], d, ff, own.ffnUp) };
    });
    const [outOf, outputs] = cursor.span(() => {
      const attnOutput = linear([kind.attnOutput], d, d, own.attnOutput);
      return { attnOutput, ffnDown: linear([kind.ffnDown], ff, d, own.ffnDown) };
    });
    return { vectors: span, attnNorm: own.attnNorm, ...into, ...outOf, inputs, outputs };
  });
  const output = linear([kinds.output], d, vocabSize, head.bias);
  return {
    vectors,
    headVectors,
    embedding: { ...embedding, type, rowBytes },
    layers,
    outputNorm: head.norm,
    output,
    bytes: roundUp(cursor.position, WEIGHT_ALIGNMENT),
  };
}

/** Bytes of 16 rows of a matrix. */
export function groupBytes(kind: TileKind, k: number): number {
  return (k / TILE_COLUMNS) * TILE_BYTES[kind];
}

/** Row groups of a linear layer. */
export function groupsOf(linear: Linear): number {
  return linear.parts.reduce((sum, part) => sum + part.rows / TILE_ROWS, 0);
}

/** Weight bytes that a token, or a batch of them, reads. */
export function matrixBytes(shape: WeightShape): number {
  const bytes = ({ parts }: Linear) => parts.reduce((sum, part) => sum + part.bytes, 0);
  return shape.layers.reduce(
    (sum, { qkv, attnOutput, ffnUp, ffnDown }) => sum + bytes(qkv) + bytes(attnOutput) + bytes(ffnUp) + bytes(ffnDown),
    bytes(shape.output),
  );
}

export function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}
