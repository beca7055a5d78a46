/**
 * A share of a model's weights: of every matrix some of its rows, all norms and biases, and for the first share the embedding.
 * It has a shape of its own, as if it were a model; `CutSource` reads it out of the whole model's pack.
 */

import type { ByteSource, Device } from "../device.ts";
import type { Model } from "../weights/model.ts";
import {
  groupBytes,
  type LayerShape,
  type Linear,
  type Matrix,
  roundUp,
  type Span,
  WEIGHT_ALIGNMENT,
  type WeightShape,
} from "../weights/shape.ts";
import { TILE_ROWS } from "../weights/tiles.ts";

/** Bytes of a share, and where they lie among the whole model's weights. */
interface Range extends Span {
  from: number;
}

export interface Cut {
  shape: WeightShape;
  ranges: readonly Range[];
}

/** Which share of how many. */
export interface Share {
  index: number;
  count: number;
}

/** The matrix kernels multiply one token with two row groups at a time. */
const PAIR = 2;

/** The most shares that a model can be cut into: each has rows of every matrix. */
export function mostShares({ layers, output }: WeightShape): number {
  const linears = [
    ...layers.flatMap(({ qkv, ffnUp, attnOutput, ffnDown }) => [qkv, ffnUp, attnOutput, ffnDown]),
    output,
  ];
  return Math.min(...linears.flatMap(({ parts }) => parts.map(({ rows }) => Math.floor(rows / TILE_ROWS / PAIR))));
}

class Cutter {
  readonly ranges: Range[] = [];
  private position = 0;

  constructor(private readonly share: Share) {}

  get bytes(): number {
    return roundUp(this.position, WEIGHT_ALIGNMENT);
  }

  /** The next bytes of the share, which are those from `from` on of the whole. */
  take(from: number, bytes: number): Span {
    const offset = roundUp(this.position, WEIGHT_ALIGNMENT);
    this.position = offset + bytes;
    this.ranges.push({ offset, bytes, from });
    return { offset, bytes };
  }

  linear(linear: Linear): Linear {
    return { ...linear, parts: linear.parts.map((part) => this.matrix(part, linear.k)) };
  }

  unit(linears: readonly Linear[]): Span {
    const parts = linears.flatMap((linear) => linear.parts);
    const { offset } = parts[0];
    return { offset, bytes: this.position - offset };
  }

  private matrix(part: Matrix, k: number): Matrix {
    const { index, count } = this.share;
    const pairs = Math.ceil(part.rows / TILE_ROWS / PAIR);
    const bound = (share: number) => Math.min(part.rows, Math.floor((pairs * share) / count) * PAIR * TILE_ROWS);
    const [first, end] = [bound(index), index + 1 === count ? part.rows : bound(index + 1)];
    const rowGroup = groupBytes(part.kind, k);
    const groups = (row: number) => (row / TILE_ROWS) * rowGroup;
    const span = this.take(part.offset + groups(first), groups(end - first));
    return { ...part, ...span, firstRow: part.firstRow + first, rows: end - first };
  }
}

export function cutWeights(whole: WeightShape, share: Share): Cut {
  const cutter = new Cutter(share);
  cutter.take(0, whole.vectors.bytes);
  const { embedding } = whole;
  const own = cutter.take(embedding.offset, share.index === 0 ? embedding.bytes : 0);
  const layers = whole.layers.map((layer): LayerShape => {
    const [qkv, ffnUp] = [cutter.linear(layer.qkv), cutter.linear(layer.ffnUp)];
    const inputs = cutter.unit([qkv, ffnUp]);
    const [attnOutput, ffnDown] = [cutter.linear(layer.attnOutput), cutter.linear(layer.ffnDown)];
    const outputs = cutter.unit([attnOutput, ffnDown]);
    return { ...layer, qkv, ffnUp, attnOutput, ffnDown, inputs, outputs };
  });
  const output = cutter.linear(whole.output);
  const shape = { ...whole, embedding: { ...embedding, ...own }, layers, output, bytes: cutter.bytes };
  return { shape, ranges: cutter.ranges };
}

/** A share of the weights in a pack, as a file. What lies between its matrices is not read. */
function cutSource(pack: ByteSource, dataOffset: number, { ranges, shape }: Cut): ByteSource {
  return {
    name: pack.name,
    size: shape.bytes,
    read(offset, into) {
      const end = offset + into.length;
      for (const range of ranges) {
        const from = Math.max(offset, range.offset);
        const to = Math.min(end, range.offset + range.bytes);
        if (from >= to) continue;
        pack.read(dataOffset + range.from + from - range.offset, into.subarray(from - offset, to - offset));
      }
    },
    unchanged: () => pack.unchanged?.() !== false,
    close: () => pack.close(),
  };
}

/** A packed model and its device, of which a share is seen as if it were all. */
export function shareOf(device: Device, model: Model, share: Share): { device: Device; model: Model } {
  const { pack } = model.weights;
  if (!pack) return { device, model };
  const cut = cutWeights(model.shape, share);
  const open = (name: string) => cutSource(device.open(name), pack.dataOffset, cut);
  const weights = { pack: { ...pack, shape: cut.shape, dataOffset: 0 } };
  return { device: { ...device, open }, model: { ...model, shape: cut.shape, weights } };
}
