/**
 * Where every byte of the one linear memory lies.
 *
 *   0         64 KiB for WebAssembly's own data
 *   control   the team's control block, the job, token ids, positions
 *   scratch   activations of a batch, logits, each thread's private scratch
 *   kv        for each sequence its key/value cache, [layer][head] (kernels/cache.ts), and its first keys (places.ts)
 *   weights   64 KiB aligned. Resident: all of weights/shape.ts as it is there. Streamed: the vectors, the units that
 *             stay, and a ring of slots through which the others pass
 */

import type { Phi2Config } from "../api.ts";
import { WASM_PAGE_BYTES } from "../compute/kernels.ts";
import {
  activationBytes,
  attentionScratchBytes,
  MATMUL_SCRATCH_BYTES,
  RETILE_SCRATCH_BYTES,
} from "../compute/sizes.ts";
import { CONTROL_BYTES } from "../compute/team.ts";
import { STREAM_BYTES } from "../residence/stream.ts";
import { groupBytes, groupsOf, roundUp, type Span, type WeightShape } from "../weights/shape.ts";
import { TILE_ROWS } from "../weights/tiles.ts";
import type { HeadPiece, Ring, Unit } from "../weights/units.ts";
import { cacheSize } from "./cache-size.ts";

export interface LayoutOptions {
  contextLength: number;
  kv: "int8" | "f16";
  threads: number;
  /** Tokens of a prompt that are computed together. */
  batchTokens: number;
  /** Sequences with a cache of their own. */
  sequences: number;
}

/** What is laid out. */
export interface Subject {
  config: Phi2Config;
  shape: WeightShape;
  /** Source bytes that a thread stages while it converts weights; 0 for a pack. */
  stagingBytes: number;
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
  shape: WeightShape;
  /** Tokens a sequence may hold. */
  contextLength: number;
  /** Positions a head's cache has room for: contextLength in whole tiles of 32. */
  cachePositions: number;
  kv: "int8" | "f16";
  threads: number;
  batchTokens: number;
  control: number;
  /** i32[16]: kind of job, tokens, first row of logits; see engine/member.ts. */
  job: number;
  /** Words of the stream of weights; see stream.ts. */
  stream: number;
  ids: number;
  positions: number;
  caches: number;
  /** cos and sin of each token of a batch, f32 [batchTokens][rotaryDim]; see rope.ts. */
  rotations: number;
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
  mode: "resident" | "streamed";
  /** Address of the weights' vectors. */
  vectors: number;
  /** Address of the embedding's rows: of all by id, or, where streamed, of the batch's tokens in order. */
  embedding: number;
  /** For each layer its inputs and its outputs, then the head's pieces. */
  units: Unit[];
  headPieces: HeadPiece[];
  ring: Ring;
  /** Size of the memory. */
  totalBytes: number;
  bytes: LayoutBytes;
  /** Weight bytes that a pass takes from storage. */
  streamedBytesPerToken: number;
}

export interface LayoutBytes {
  /** Weights that stay. */
  weights: number;
  kv: number;
  scratch: number;
  /** The ring. */
  slots: number;
  total: number;
}

/** The most logits rows that are computed at once (scoring, verifying drafts). */
const LOGITS_ROWS = 16;
/** What direct reads are aligned to, in files and in memory; a unit's span is rounded outwards to it. */
export const READ_ALIGNMENT = 4096;

/** Hands out addresses. */
class Cursor {
  position = WASM_PAGE_BYTES;

  take(bytes: number, align = 64): number {
    const at = roundUp(this.position, align);
    this.position = at + bytes;
    return at;
  }
}

type Base = Omit<
  Layout,
  "mode" | "vectors" | "embedding" | "units" | "headPieces" | "ring" | "totalBytes" | "bytes" | "streamedBytesPerToken"
>;

/** Everything but the weights. */
function layOutBase({ config, shape, stagingBytes }: Subject, options: LayoutOptions, cursor: Cursor) {
  const { hiddenSize: d, intermediateSize: ff, headDim } = config;
  const T = options.batchTokens;
  const activations = (k: number): Activations => ({
    plain: cursor.take(T * k * 4),
    q4: cursor.take(T * activationBytes.q4(k)),
    q8: cursor.take(T * activationBytes.q8(k)),
  });
  const logitsRows = Math.min(LOGITS_ROWS, T);
  const logitsStride = roundUp(config.vocabSize, TILE_ROWS) * 4;
  const attentionScratch = roundUp(attentionScratchBytes(T, headDim), 64);
  const stagingOffset = MATMUL_SCRATCH_BYTES + attentionScratch;
  const retileScratch = stagingBytes > 0 ? RETILE_SCRATCH_BYTES : 0;
  const threadScratchBytes = roundUp(stagingOffset + stagingBytes + retileScratch, 64);
  const cache = cacheSize(config, options.contextLength, options.kv);

  const scratch = {
    control: cursor.take(CONTROL_BYTES),
    job: cursor.take(64),
    stream: cursor.take(STREAM_BYTES),
    ids: cursor.take(T * 4),
    positions: cursor.take(T * 4),
    caches: cursor.take(T * 4),
    rotations: cursor.take(T * config.rotaryDim * 4),
    x: cursor.take(T * d * 4),
    hidden: activations(d),
    qkv: cursor.take(T * 3 * d * 4),
    ffn: activations(ff),
    logits: cursor.take(logitsRows * logitsStride),
    threadScratch: cursor.take(options.threads * threadScratchBytes),
  };
  const scratchBytes = cursor.position;
  const kvCache = cursor.take(cache.sequenceBytes * options.sequences);
  const base: Base = {
    config,
    shape,
    contextLength: options.contextLength,
    cachePositions: cache.positions,
    kv: options.kv,
    threads: options.threads,
    batchTokens: T,
    ...scratch,
    logitsRows,
    logitsStride,
    threadScratchBytes,
    attentionScratchOffset: MATMUL_SCRATCH_BYTES,
    stagingOffset,
    stagingBytes,
    kvCache,
    kvLayerBytes: cache.layerBytes,
    kvSequenceBytes: cache.sequenceBytes,
    sequences: options.sequences,
  };
  return { base, bytes: { scratch: scratchBytes, kv: cursor.position - scratchBytes } };
}

/** All weights in memory, in the order and with the gaps of their shape. */
export function layOutResident(subject: Subject, options: LayoutOptions): Layout {
  const { shape } = subject;
  const cursor = new Cursor();
  const { base, bytes } = layOutBase(subject, options, cursor);
  const weights = cursor.take(shape.bytes, WASM_PAGE_BYTES);
  const headPieces = [{ fromGroup: 0, toGroup: groupsOf(shape.output) }];
  const totalBytes = roundUp(cursor.position, WASM_PAGE_BYTES);
  return {
    ...base,
    mode: "resident",
    vectors: weights,
    embedding: weights + shape.embedding.offset,
    units: spansOf(shape, headPieces).map((span) => ({ ...span, address: weights + span.offset, streamIndex: -1 })),
    headPieces,
    ring: { address: 0, slots: 0, slotBytes: 0 },
    totalBytes,
    bytes: { ...bytes, weights: shape.bytes, slots: 0, total: totalBytes },
    streamedBytesPerToken: 0,
  };
}

/**
 * Weights that pass through a ring of `slots` slots, except for units that stay: `choose` gets all units and the bytes
 * taken without any, and returns the indices of those to keep.
 */
export function layOutStreamed(
  subject: Subject,
  options: LayoutOptions,
  slots: number,
  choose: (units: readonly Span[], takenBytes: number) => ReadonlySet<number>,
): Layout {
  const { shape } = subject;
  const cursor = new Cursor();
  const { base, bytes } = layOutBase(subject, options, cursor);
  const embedding = cursor.take(options.batchTokens * shape.embedding.rowBytes);
  const vectors = cursor.take(shape.vectors.bytes, WASM_PAGE_BYTES);
  const slotBytes = roundUp(
    Math.max(
      ...layerSpans(shape)
        .map(readSpan)
        .map(({ bytes: size }) => size),
    ),
    WASM_PAGE_BYTES,
  );
  const headPieces = cutHead(shape, slotBytes);
  const spans = spansOf(shape, headPieces).map(readSpan);
  const ring = { address: cursor.take(slots * slotBytes, WASM_PAGE_BYTES), slots, slotBytes };
  const kept = choose(spans, roundUp(cursor.position, WASM_PAGE_BYTES));
  let streamIndex = 0;
  const units = spans.map((span, i): Unit => {
    if (!kept.has(i)) return { ...span, address: 0, streamIndex: streamIndex++ };
    return { ...span, address: cursor.take(span.bytes, READ_ALIGNMENT), streamIndex: -1 };
  });
  const sum = (some: readonly Unit[]) => some.reduce((total, unit) => total + unit.bytes, 0);
  const totalBytes = roundUp(cursor.position, WASM_PAGE_BYTES);
  return {
    ...base,
    mode: "streamed",
    vectors,
    embedding,
    units,
    headPieces,
    ring,
    totalBytes,
    bytes: {
      scratch: bytes.scratch,
      kv: bytes.kv,
      weights: shape.vectors.bytes + sum(units.filter(({ address }) => address > 0)),
      slots: slots * slotBytes,
      total: totalBytes,
    },
    streamedBytesPerToken: sum(units.filter(({ address }) => address === 0)),
  };
}

function layerSpans(shape: WeightShape): Span[] {
  return shape.layers.flatMap(({ inputs, outputs }) => [inputs, outputs]);
}

function spansOf(shape: WeightShape, headPieces: readonly HeadPiece[]): Span[] {
  const [head] = shape.output.parts;
  const stride = groupBytes(head.kind, shape.output.k);
  const pieces = headPieces.map(({ fromGroup, toGroup }) => {
    return { offset: head.offset + fromGroup * stride, bytes: (toGroup - fromGroup) * stride };
  });
  return [...layerSpans(shape), ...pieces];
}

/** The head in as few pieces of equal size as a slot has room for. */
function cutHead({ output }: WeightShape, slotBytes: number): HeadPiece[] {
  const stride = groupBytes(output.parts[0].kind, output.k);
  const groups = groupsOf(output);
  const most = Math.max(1, Math.floor((slotBytes - 2 * READ_ALIGNMENT) / stride));
  const step = Math.ceil(groups / Math.ceil(groups / most));
  const pieces: HeadPiece[] = [];
  for (let fromGroup = 0; fromGroup < groups; fromGroup += step) {
    pieces.push({ fromGroup, toGroup: Math.min(groups, fromGroup + step) });
  }
  return pieces;
}

/** The span that is read for another: rounded outwards to what direct reads are aligned to. */
function readSpan({ offset, bytes }: Span): Span {
  const from = Math.floor(offset / READ_ALIGNMENT) * READ_ALIGNMENT;
  return { offset: from, bytes: roundUp(offset + bytes, READ_ALIGNMENT) - from };
}
