/**
 * Pack files: a model's weights as the kernels read them, so that they can be mapped or streamed as they are.
 *
 * A pack is a GGUF v3 file with general.alignment 65536; any reader of GGUF can list it. It has all keys of its source (the
 * tokenizer among them) and:
 *
 *   piphi.pack.version         u32, 1
 *   piphi.pack.source.name     the source file's name; .bytes (u64) its size; .modified (f64) its time, ms since 1970
 *   piphi.pack.source.digest   SHA-256 of its size, beginning and samples of the rest, as hex
 *   piphi.pack.quantization    the source's most frequent type, e.g. "Q4_0"; .parameters (u64); .dense "int8" or "exact"
 *   piphi.pack.kinds           an array of "tensor=kind", kind q4, q4m, q8 or f32, for each tensor of tiles
 *   piphi.pack.sha256          an array of "tensor=hex": SHA-256 over the SHA-256 of each 4 MiB of it
 *   piphi.pack.checksum        last: CRC-32 of the header up to the data, as 8 hex digits, which count as "00000000"
 *
 * The tensors' data is exactly shape.ts: vectors of each layer as one F32 tensor (blk.N.vectors) and of the head
 * (output.vectors), token_embd.weight as it was, then tiles as I8 of [bytes of a row group, row groups], in layer order
 * and in the order in which a layer uses them: attn_qkv (or attn_q, attn_k, attn_v), ffn_up, attn_output, ffn_down.
 */

import type { Phi2Config } from "../api.ts";
import type { ByteSource } from "../device.ts";
import { type ErrorDetails, PiPhiError } from "../errors.ts";
import { readConfig } from "./config.ts";
import { crc32 } from "./crc32.ts";
import { damaged, quote, truncated } from "./faults.ts";
import { type GgufTensor, PACK_AGAIN, PACK_VERSION_KEY } from "./gguf.ts";
import type { Metadata } from "./metadata.ts";
import { groupBytes, type Linear, type Span, shapeOf, type WeightKinds, type WeightShape } from "./shape.ts";
import type { Gguf } from "./shards.ts";
import { rowBytes, TILE_KINDS, TILE_ROWS, TILES_TYPE, type TileKind } from "./tiles.ts";

export const PACK_VERSION = 1;
export const PACK_KEY = "piphi.pack";
export const CHECKSUM_PLACEHOLDER = "00000000";

/** A tensor of a pack, with its span among the weights. */
export interface PackTensor {
  name: string;
  /** Columns first. */
  shape: number[];
  /** ggml's type number. */
  type: number;
  span: Span;
  /** Of tiles. */
  kind?: TileKind;
}

export interface Pack {
  config: Phi2Config;
  shape: WeightShape;
  tensors: PackTensor[];
  /** SHA-256 by tensor, as hex. */
  checksums: ReadonlyMap<string, string>;
  quantization: string;
  parameters: number;
  source: ByteSource;
  dataOffset: number;
}

/** What a pack was made of. */
export interface PackOrigin {
  name: string;
  bytes: number;
  modifiedMs: number;
  /** Of samples of its content; empty in packs from before it was written down. */
  digest: string;
  dense: string;
}

const F32 = 0;
const MAX_HEADER_BYTES = 64 << 20;

/** All tensors of a model of this shape, in the order of the file. */
export function packTensors(config: Phi2Config, shape: WeightShape, kinds: WeightKinds): PackTensor[] {
  const vectors = (name: string, span: Span): PackTensor => ({ name, shape: [span.bytes / 4], type: F32, span });
  const tiles = (names: readonly string[], { parts, k }: Linear): PackTensor[] =>
    parts.map(({ kind, rows, offset, bytes }, i) => ({
      name: `${names[i]}.weight`,
      shape: [groupBytes(kind, k), rows / TILE_ROWS],
      type: TILES_TYPE.id,
      span: { offset, bytes },
      kind,
    }));
  const { embedding } = shape;
  return [
    ...shape.layers.map((layer, i) => vectors(`blk.${i}.vectors`, layer.vectors)),
    vectors("output.vectors", shape.headVectors),
    {
      name: "token_embd.weight",
      shape: [config.hiddenSize, config.vocabSize],
      type: embedding.type,
      span: { offset: embedding.offset, bytes: embedding.bytes },
    },
    ...shape.layers.flatMap((layer, i) => [
      ...tiles(qkvNames(i, kinds.layers[i].qkv.length), layer.qkv),
      ...tiles([`blk.${i}.ffn_up`], layer.ffnUp),
      ...tiles([`blk.${i}.attn_output`], layer.attnOutput),
      ...tiles([`blk.${i}.ffn_down`], layer.ffnDown),
    ]),
    ...tiles(["output"], shape.output),
  ];
}

function qkvNames(layer: number, parts: number): string[] {
  return (parts === 1 ? ["qkv"] : ["q", "k", "v"]).map((part) => `blk.${layer}.attn_${part}`);
}

export function isPack(metadata: Metadata): boolean {
  return metadata.has(PACK_VERSION_KEY);
}

/** Reads and checks a pack's header; throws E_PACK_VERSION and E_FILE_CORRUPT. */
export function readPack(gguf: Gguf): Pack {
  const { metadata, sources, tensors } = gguf;
  const [source] = sources;
  const version = metadata.optionalInteger(PACK_VERSION_KEY);
  if (version !== PACK_VERSION) {
    throw new PiPhiError(
      "E_PACK_VERSION",
      `${source.name} is a pack of version ${version}, and this PiPhi reads version ${PACK_VERSION}. Pack the model again: piphi pack MODEL.gguf ${source.name}`,
      { file: source.name, version: version ?? null, supported: PACK_VERSION },
    );
  }
  const found = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  const embedding = found.get("token_embd.weight");
  if (!embedding) throw corrupt(source.name, "it has no embedding");
  const config = readConfig(metadata, embedding.shape[1] ?? 1);
  const kinds = readKinds(metadata, config, embedding);
  const shape = shapeOf(config, kinds);
  const expected = packTensors(config, shape, kinds);
  const dataOffset = embedding.offset - shape.embedding.offset;
  if (dataOffset <= 0 || dataOffset > MAX_HEADER_BYTES) throw corrupt(source.name, "its embedding is misplaced");
  checkHeader(metadata, source, dataOffset);
  const end = dataOffset + shape.bytes;
  if (source.size < end) throw truncated(source.name, source.size, end, PACK_AGAIN);
  for (const { name, span } of expected) {
    const tensor = found.get(name);
    if (tensor?.offset === dataOffset + span.offset && tensor.bytes === span.bytes) continue;
    throw corrupt(source.name, `the tensor ${quote(name)} is not where it should be`, { tensor: name });
  }
  return {
    config,
    shape,
    tensors: expected,
    checksums: readPairs(metadata, `${PACK_KEY}.sha256`),
    quantization: metadata.getString(`${PACK_KEY}.quantization`),
    parameters: metadata.optionalInteger(`${PACK_KEY}.parameters`) ?? 0,
    source,
    dataOffset,
  };
}

/** What the pack was made of, to see whether it is still that. */
export function originOf(metadata: Metadata): PackOrigin {
  return {
    name: metadata.getString(`${PACK_KEY}.source.name`),
    bytes: metadata.optionalInteger(`${PACK_KEY}.source.bytes`) ?? 0,
    modifiedMs: metadata.optionalNumber(`${PACK_KEY}.source.modified`) ?? 0,
    digest: metadata.optionalString(`${PACK_KEY}.source.digest`) ?? "",
    dense: metadata.getString(`${PACK_KEY}.dense`),
  };
}

function readPairs(metadata: Metadata, key: string): Map<string, string> {
  return new Map(
    metadata.getStringArray(key).map((pair) => {
      const at = pair.lastIndexOf("=");
      return [pair.slice(0, at), pair.slice(at + 1)];
    }),
  );
}

function readKinds(metadata: Metadata, config: Phi2Config, embedding: GgufTensor): WeightKinds {
  const kinds = readPairs(metadata, `${PACK_KEY}.kinds`);
  const kind = (tensor: string): TileKind => {
    const found = TILE_KINDS.find((known) => known === kinds.get(`${tensor}.weight`));
    if (found) return found;
    throw corrupt(metadata.file, `it does not state the tiles of ${quote(tensor)}`, { tensor });
  };
  const parts = kinds.has("blk.0.attn_qkv.weight") ? 1 : 3;
  return {
    layers: Array.from({ length: config.layers }, (_, i) => ({
      qkv: qkvNames(i, parts).map(kind),
      attnOutput: kind(`blk.${i}.attn_output`),
      ffnUp: kind(`blk.${i}.ffn_up`),
      ffnDown: kind(`blk.${i}.ffn_down`),
    })),
    output: kind("output"),
    embedding: { type: embedding.type.id, rowBytes: rowBytes(embedding.type, config.hiddenSize) },
  };
}

/** The header's checksum; tensors have their own, which are compared when a pack is checked (verify.ts). */
function checkHeader(metadata: Metadata, source: ByteSource, dataOffset: number): void {
  const key = `${PACK_KEY}.checksum`;
  const stated = metadata.getString(key);
  const place = metadata.places.get(key)!;
  const header = new Uint8Array(dataOffset);
  source.read(0, header);
  header.set(new TextEncoder().encode(CHECKSUM_PLACEHOLDER), place.offset + place.bytes - CHECKSUM_PLACEHOLDER.length);
  if (checksumText(crc32(header)) !== stated) throw corrupt(source.name, "its header does not match its checksum");
}

export function checksumText(checksum: number): string {
  return checksum.toString(16).padStart(8, "0");
}

function corrupt(file: string, what: string, details?: ErrorDetails): PiPhiError {
  return damaged(file, what, details, PACK_AGAIN);
}
