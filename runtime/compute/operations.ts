/**
 * The operations of the forward pass, cut into items that the threads of the team take one by one. Which operations
 * may run side by side, and in which order they follow, is the forward pass's business (phi2.ts).
 */

import type { Activations, Layout } from "../plan/layout.ts";
import { groupsOf, type Linear, type Norm, roundUp } from "../weights/shape.ts";
import { TILE_ROWS, type TileKind } from "../weights/tiles.ts";
import { type Attention, type DotForm, type Kernels, type Matmul, matmulOf } from "./kernels.ts";
import type { Operation } from "./team.ts";

/**
 * A linear layer with where its matrices are (their offsets count from `base`), where it reads (activation rows) and
 * writes (f32 rows, `outStride` bytes apart).
 */
export interface Product {
  linear: Linear;
  base: number;
  input: Activations;
  out: number;
  outStride: number;
}

/** GELU and its quantization are handed out this many numbers at a time. */
const SLICE = 1024;
const BLOCK = 32;
/** Items for each thread and matrix product: enough to even out a busy core, few enough to cost nothing. */
const ITEMS_PER_THREAD = 12;
const MOST_GROUPS = 16;

export class Operations {
  private readonly ids: Int32Array;
  private readonly scratch: number;
  private readonly attentionScratch: number;
  private readonly matmuls: Record<TileKind, Matmul>;
  private readonly attention: Attention;
  /** Heads computed together, so that their widths sum to whole quantization blocks (2 heads of 80 are 5 blocks). */
  private readonly headsTogether: number;

  constructor(
    private readonly kernels: Kernels,
    form: DotForm,
    private readonly layout: Layout,
    buffer: ArrayBufferLike,
    threadIndex: number,
  ) {
    const of = (kind: TileKind) => matmulOf(kernels, kind, form);
    this.matmuls = { q4: of("q4"), q4m: of("q4m"), q8: of("q8"), f32: of("f32") };
    this.attention = layout.kv === "f16" ? kernels.attention_f16 : kernels.attention_int8;
    this.ids = new Int32Array(buffer, layout.ids, layout.batchTokens);
    this.scratch = layout.threadScratch + threadIndex * layout.threadScratchBytes;
    this.attentionScratch = this.scratch + layout.attentionScratchOffset;
    let together = 1;
    while ((together * layout.config.headDim) % BLOCK !== 0) together++;
    this.headsTogether = together;
  }

  /** x[t] = embedding[ids[t]] */
  embed(tokens: number): Operation {
    const { embedding, mode, shape, x, config } = this.layout;
    const { type, rowBytes } = shape.embedding;
    const d = config.hiddenSize;
    const run = (t: number) => {
      const row = mode === "streamed" ? t : this.ids[t];
      this.kernels.dequantize_row(type, embedding + row * rowBytes, d, x + t * d * 4);
    };
    return { name: "embedding", items: tokens, run };
  }

  /** hidden[t - from] = layer_norm(x[t]) for t in [from, to), in the formats that `consumers` read. */
  normalize(norm: Norm, from: number, to: number, consumers: readonly Linear[]): Operation {
    const { x, hidden, config, vectors } = this.layout;
    const d = config.hiddenSize;
    const [weight, bias] = [vectors + norm.weight, vectors + norm.bias];
    const run = (row: number) => {
      const h = hidden.plain + row * d * 4;
      this.kernels.layer_norm(x + (from + row) * d * 4, weight, bias, h, d, config.layerNormEpsilon);
      this.quantize(hidden, row, d, 0, d / BLOCK, consumers);
    };
    return { name: "norm and quantization", items: to - from, run };
  }

  /** out[t] = W input[t] + bias, of row groups [from, to). */
  multiply(tokens: number, product: Product, from = 0, to = groupsOf(product.linear)): Operation {
    const chunk = this.chunkOf(to - from);
    const run = (item: number) => {
      const first = from + item * chunk;
      this.multiplyGroups(tokens, product, first, Math.min(to, first + chunk), false);
    };
    return { name: "matmul", items: Math.ceil((to - from) / chunk), run };
  }

  /** out[t] += sum over products of (W input[t] + bias); all have the same outputs. */
  addProducts(tokens: number, products: readonly Product[]): Operation {
    const groups = groupsOf(products[0].linear);
    const chunk = this.chunkOf(groups);
    const run = (item: number) => {
      const to = Math.min(groups, (item + 1) * chunk);
      for (const product of products) this.multiplyGroups(tokens, product, item * chunk, to, true);
    };
    return { name: "matmul", items: Math.ceil(groups / chunk), run };
  }

  /** hidden[t] = attention of all heads, in the format that `consumer` reads. */
  attend(layer: number, tokens: number, consumer: Linear): Operation {
    const { qkv, positions, caches, config, rotations, cachePositions, hidden, kvLayerBytes } = this.layout;
    const { hiddenSize: d, heads, headDim, rotaryDim } = config;
    const together = this.headsTogether;
    const blocks = (together * headDim) / BLOCK;
    const run = (item: number) => {
      for (let head = item * together; head < (item + 1) * together; head++) {
        this.attention(
          ...([qkv, 3 * d * 4, tokens, positions, caches, layer * kvLayerBytes] as const),
          ...([head, heads, headDim, rotaryDim, rotations, cachePositions] as const),
          ...([hidden.plain, d * 4, this.attentionScratch] as const),
        );
      }
      for (let t = 0; t < tokens; t++) this.quantize(hidden, t, d, item * blocks, (item + 1) * blocks, [consumer]);
    };
    return { name: "attention", items: heads / together, run };
  }

  /** Brings hidden[t], which came from elsewhere, into the format that `consumer` reads. */
  quantizeRows(tokens: number, consumer: Linear): Operation {
    const { hidden, config } = this.layout;
    const d = config.hiddenSize;
    const run = (t: number) => this.quantize(hidden, t, d, 0, d / BLOCK, [consumer]);
    return { name: "norm and quantization", items: tokens, run };
  }

  /** ffn[t] = gelu(ffn[t]), in the format that `consumer` reads. */
  activate(tokens: number, consumer: Linear): Operation {
    const { ffn, config } = this.layout;
    const ff = config.intermediateSize;
    const slices = Math.ceil(ff / SLICE);
    const run = (item: number) => {
      const t = Math.floor(item / slices);
      const first = (item % slices) * SLICE;
      const last = Math.min(ff, first + SLICE);
      this.kernels.gelu(ffn.plain + (t * ff + first) * 4, last - first);
      this.quantize(ffn, t, ff, first / BLOCK, last / BLOCK, [consumer]);
    };
    return { name: "gelu and quantization", items: tokens * slices, run };
  }

  /** Brings blocks [from, to) of a plain row into the formats that the consumers' tiles read. */
  private quantize(
    row: Activations,
    t: number,
    k: number,
    from: number,
    to: number,
    consumers: readonly Linear[],
  ): void {
    const { kernels } = this;
    const reads = (test: (kind: TileKind) => boolean) =>
      consumers.some(({ parts }) => parts.some(({ kind }) => test(kind)));
    const plain = row.plain + t * k * 4;
    if (reads((kind) => kind === "q4" || kind === "q4m")) {
      kernels.quantize_q4(plain, row.q4 + t * kernels.activation_bytes_q4(k), k, from, to);
    }
    if (reads((kind) => kind === "q8")) {
      kernels.quantize_q8(plain, row.q8 + t * kernels.activation_bytes_q8(k), k, from, to);
    }
  }

  private multiplyGroups(tokens: number, product: Product, from: number, to: number, accumulate: boolean): void {
    const { linear, base, input, out, outStride } = product;
    const biases = this.layout.vectors + linear.bias;
    let first = 0;
    for (const { kind, offset, firstRow, rows } of linear.parts) {
      const low = Math.max(from - first, 0);
      const high = Math.min(to - first, rows / TILE_ROWS);
      first += rows / TILE_ROWS;
      if (low >= high) continue;
      const a = kind === "q8" ? input.q8 : kind === "f32" ? input.plain : input.q4;
      const at = firstRow * 4;
      const w = base + offset;
      // biome-ignore format: eleven arguments; a spread would make arrays at each call
      this.matmuls[kind](w, a, tokens, linear.k, low, high, out + at, outStride, biases + at, accumulate, this.scratch);
    }
  }

  private chunkOf(groups: number): number {
    const chunk = Math.ceil(groups / (this.layout.threads * ITEMS_PER_THREAD));
    // The kernels multiply one token with two groups at a time.
    return Math.min(roundUp(chunk, 2), MOST_GROUPS);
  }
}
