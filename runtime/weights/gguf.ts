/**
 * GGUF v2 and v3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), the header only; weights stay in the file.
 *
 *   "GGUF"  u32 version  u64 tensors  u64 keys
 *   keys x    { string key, u32 type, value }                    string = u64 length + UTF-8
 *   tensors x { string name, u32 dims, u64 dim..., u32 type, u64 offset }
 *   padding to general.alignment, then the tensors' data: offsets count from here
 *
 * npm `@huggingface/gguf` 0.4.6 was tried and not taken: it reads only asynchronously, through fetch or Node's files, holds
 * counts against fixed limits but not against the file's size, and needs four times as long for Phi-2's vocabulary.
 */

import type { ByteSource } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import { damaged, quote, truncated } from "./faults.ts";
import { notGguf } from "./foreign.ts";
import { HeaderReader } from "./header.ts";
import { Metadata, type MetadataValue, type NumberArray } from "./metadata.ts";
import { BLOCK_TYPES, type BlockType, TILES_TYPE } from "./tiles.ts";

export type { Metadata, MetadataValue } from "./metadata.ts";

export interface GgufTensor {
  name: string;
  /** ne: columns first, 1 to 4 dimensions. */
  shape: readonly number[];
  type: BlockType;
  source: ByteSource;
  /** From the beginning of the file. */
  offset: number;
  bytes: number;
}

export interface GgufFile {
  version: number;
  /** Bytes; every tensor's data begins at a multiple of it after `dataOffset`. */
  alignment: number;
  metadata: Metadata;
  tensors: GgufTensor[];
  /** Where the tensors' data begins. */
  dataOffset: number;
  /** Where the last tensor ends. */
  end: number;
  source: ByteSource;
}

/** Sees the metadata before the tensors are read and throws to refuse the file. */
export type Inspect = (metadata: Metadata) => void;

export const MAGIC = 0x46554747;
const VERSIONS = [2, 3];
const DEFAULT_ALIGNMENT = 32;
const MAX_ALIGNMENT = 1 << 24;
const MAX_KEYS = 1 << 16;
const MAX_KEY_BYTES = 65535;
const MIN_KEY_BYTES = 8 + 4 + 1;
const MAX_TENSORS = 1 << 16;
const MAX_TENSOR_NAME_BYTES = 256;
const MIN_TENSOR_BYTES = 8 + 4 + 8 + 4 + 8;
const MAX_DIMENSIONS = 4;
const MAX_ARRAY_DEPTH = 4;
/** Arrays within arrays, in one file: each costs far more memory than bytes in the file. */
const MAX_NESTED_ARRAYS = 1 << 16;

const STRING = 8;
const ARRAY = 9;

type BlockTypes = ReadonlyMap<number, BlockType>;
/** A key that pack files have (pack.ts). Their tiles are I8 to other readers of GGUF. */
export const PACK_VERSION_KEY = "piphi.pack.version";
/** The remedy for a pack that is damaged: it was made here, or copied from where it was made. */
export const PACK_AGAIN = "Pack the model again, or copy the pack again.";
const PACK_TYPES: BlockTypes = new Map([...BLOCK_TYPES, [TILES_TYPE.id, TILES_TYPE]]);

interface Scalar {
  bytes: number;
  read(view: DataView, at: number): number | boolean;
  /** An array of the type, as it lies in the file. */
  array(buffer: ArrayBuffer): NumberArray;
}

/** By type number. */
const SCALARS = new Map<number, Scalar>([
  [0, { bytes: 1, read: (view, at) => view.getUint8(at), array: (buffer) => new Uint8Array(buffer) }],
  [1, { bytes: 1, read: (view, at) => view.getInt8(at), array: (buffer) => new Int8Array(buffer) }],
  [2, { bytes: 2, read: (view, at) => view.getUint16(at, true), array: (buffer) => new Uint16Array(buffer) }],
  [3, { bytes: 2, read: (view, at) => view.getInt16(at, true), array: (buffer) => new Int16Array(buffer) }],
  [4, { bytes: 4, read: (view, at) => view.getUint32(at, true), array: (buffer) => new Uint32Array(buffer) }],
  [5, { bytes: 4, read: (view, at) => view.getInt32(at, true), array: (buffer) => new Int32Array(buffer) }],
  [6, { bytes: 4, read: (view, at) => view.getFloat32(at, true), array: (buffer) => new Float32Array(buffer) }],
  [7, { bytes: 1, read: (view, at) => view.getUint8(at) !== 0, array: (buffer) => new Uint8Array(buffer) }],
  [
    10,
    {
      bytes: 8,
      read: (view, at) => Number(view.getBigUint64(at, true)),
      array: (buffer) => toDoubles(new BigUint64Array(buffer)),
    },
  ],
  [
    11,
    {
      bytes: 8,
      read: (view, at) => Number(view.getBigInt64(at, true)),
      array: (buffer) => toDoubles(new BigInt64Array(buffer)),
    },
  ],
  [12, { bytes: 8, read: (view, at) => view.getFloat64(at, true), array: (buffer) => new Float64Array(buffer) }],
]);

/** ggml's types that no kernel here reads, to call them by name. */
const UNSUPPORTED_TYPES = new Map(
  Object.entries({
    Q4_2: 4,
    Q4_3: 5,
    Q8_1: 9,
    Q8_K: 15,
    IQ2_XXS: 16,
    IQ2_XS: 17,
    IQ3_XXS: 18,
    IQ1_S: 19,
    IQ3_S: 21,
    IQ2_S: 22,
    I8: 24,
    I16: 25,
    I32: 26,
    I64: 27,
    F64: 28,
    IQ1_M: 29,
    Q4_0_4_4: 31,
    Q4_0_4_8: 32,
    Q4_0_8_8: 33,
    TQ1_0: 34,
    TQ2_0: 35,
    IQ4_NL_4_4: 36,
    IQ4_NL_4_8: 37,
    IQ4_NL_8_8: 38,
    MXFP4: 39,
    NVFP4: 40,
    Q1_0: 41,
  }).map(([name, id]) => [id, name]),
);

/**
 * Reads a file's header, at most 32 MiB. Throws E_NOT_GGUF, E_GGUF_VERSION, E_FILE_TRUNCATED, E_FILE_CORRUPT,
 * E_TENSOR_TYPE, E_TENSOR_SHAPE, what `inspect` throws, and what reading throws.
 */
export function readGguf(source: ByteSource, inspect: Inspect = () => {}): GgufFile {
  const reader = new HeaderReader(source);
  const version = readVersion(reader, source);
  const tensorCount = reader.count("tensors", MIN_TENSOR_BYTES, MAX_TENSORS);
  const keyCount = reader.count("metadata keys", MIN_KEY_BYTES, MAX_KEYS);
  const metadata = new MetadataReader(reader, source.name).read(keyCount);
  inspect(metadata);
  const alignment = readAlignment(metadata);
  const packed = metadata.has(PACK_VERSION_KEY);
  const types = packed ? PACK_TYPES : BLOCK_TYPES;
  const tensors = readTensors(reader, source, tensorCount, types);
  const dataOffset = Math.ceil(reader.offset / alignment) * alignment;
  const end = placeTensors(tensors, dataOffset, alignment, source);
  if (end > source.size) throw truncated(source.name, source.size, end, packed ? PACK_AGAIN : undefined);
  return { version, alignment, metadata, tensors, dataOffset, end, source };
}

function readVersion(reader: HeaderReader, source: ByteSource): number {
  if (source.size < 4 || reader.u32() !== MAGIC) throw notGguf(source);
  const version = reader.u32();
  if (VERSIONS.includes(version)) return version;
  const bigEndian = (version & 0xffff) === 0 && version !== 0;
  const what = bigEndian
    ? "is a big-endian GGUF file, and PiPhi reads little-endian ones. Download the usual, little-endian file of the model."
    : version === 1
      ? "is a GGUF file of version 1, of August 2023, and PiPhi reads versions 2 and 3. Download a newer conversion of the model."
      : `states GGUF version ${version}, and PiPhi reads versions 2 and 3. Update PiPhi, or download the file again if it is damaged.`;
  throw new PiPhiError("E_GGUF_VERSION", `${source.name} ${what}`, { file: source.name, version, bigEndian });
}

class MetadataReader {
  #nestedArrays = 0;

  constructor(
    private readonly reader: HeaderReader,
    private readonly file: string,
  ) {}

  read(count: number): Metadata {
    const { reader, file } = this;
    const metadata = new Metadata(file);
    for (let i = 0; i < count; i++) {
      const { offset } = reader;
      const key = reader.string("bytes of a metadata key", MAX_KEY_BYTES);
      if (metadata.has(key)) throw damaged(file, `the key ${quote(key)} occurs twice`, { offset: reader.offset });
      metadata.set(key, this.#value(key, reader.u32(), 0));
      metadata.places.set(key, { offset, bytes: reader.offset - offset });
    }
    return metadata;
  }

  #value(key: string, type: number, depth: number): MetadataValue {
    if (type === STRING) return this.reader.string("bytes of a string");
    if (type === ARRAY) return this.#array(key, depth + 1);
    const { bytes, read } = this.#scalar(key, type);
    return this.reader.scalar(bytes, read);
  }

  #array(key: string, depth: number): MetadataValue {
    const { reader } = this;
    if (depth > MAX_ARRAY_DEPTH || (depth > 1 && ++this.#nestedArrays > MAX_NESTED_ARRAYS)) {
      throw damaged(this.file, `the arrays within arrays of ${quote(key)} are too many or too deep`, { depth });
    }
    const type = reader.u32();
    if (type === STRING || type === ARRAY) {
      const count = reader.count("array elements", type === STRING ? 8 : 12);
      const values: MetadataValue[] = [];
      for (let i = 0; i < count; i++) values.push(this.#value(key, type, depth));
      return values;
    }
    const { bytes, array } = this.#scalar(key, type);
    return array(reader.bytes(reader.count("array elements", bytes) * bytes).buffer);
  }

  #scalar(key: string, type: number): Scalar {
    const scalar = SCALARS.get(type);
    if (!scalar) throw damaged(this.file, `the value of ${quote(key)} is of the unknown type ${type}`, { type });
    return scalar;
  }
}

function toDoubles(integers: BigUint64Array | BigInt64Array): Float64Array {
  const doubles = new Float64Array(integers.length);
  for (let i = 0; i < doubles.length; i++) doubles[i] = Number(integers[i]);
  return doubles;
}

function readAlignment(metadata: Metadata): number {
  const alignment = metadata.optionalInteger("general.alignment") ?? DEFAULT_ALIGNMENT;
  const powerOfTwo = alignment > 0 && alignment <= MAX_ALIGNMENT && (alignment & (alignment - 1)) === 0;
  if (!powerOfTwo) {
    throw damaged(metadata.file, `its alignment of ${alignment} bytes is not a power of two up to ${MAX_ALIGNMENT}`, {
      alignment,
    });
  }
  return alignment;
}

/** The tensors as listed: offsets still count from the beginning of the data. */
function readTensors(reader: HeaderReader, source: ByteSource, count: number, types: BlockTypes): GgufTensor[] {
  const names = new Set<string>();
  const tensors: GgufTensor[] = [];
  for (let i = 0; i < count; i++) {
    const name = reader.string("bytes of a tensor's name", MAX_TENSOR_NAME_BYTES);
    if (names.has(name)) throw damaged(source.name, `the tensor ${quote(name)} occurs twice`, { tensor: name });
    names.add(name);
    const shape = readShape(reader, source.name, name);
    const type = readType(reader, source.name, name, types);
    const elements = shape.reduce((product, dimension) => product * dimension, 1);
    if (shape[0] % type.elements !== 0) {
      throw new PiPhiError(
        "E_TENSOR_SHAPE",
        `The tensor ${quote(name)} in ${source.name} has ${shape[0]} columns, which ${type.name}'s blocks of ${type.elements} do not divide. Download or convert the file again.`,
        { file: source.name, tensor: name, type: type.name, shape },
      );
    }
    const bytes = (elements / type.elements) * type.bytes;
    tensors.push({ name, shape, type, source, offset: reader.u64(), bytes });
  }
  return tensors;
}

function readShape(reader: HeaderReader, file: string, tensor: string): number[] {
  const dimensions = reader.u32();
  if (dimensions < 1 || dimensions > MAX_DIMENSIONS) {
    throw damaged(file, `the tensor ${quote(tensor)} has ${dimensions} dimensions`, { tensor, dimensions });
  }
  const shape: number[] = [];
  let elements = 1;
  for (let i = 0; i < dimensions; i++) {
    const dimension = reader.u64();
    shape.push(dimension);
    elements *= dimension;
  }
  if (elements === 0 || !Number.isSafeInteger(elements)) {
    throw damaged(file, `the tensor ${quote(tensor)} has the impossible shape ${shape.join(" x ")}`, { tensor, shape });
  }
  return shape;
}

function readType(reader: HeaderReader, file: string, tensor: string, types: BlockTypes): BlockType {
  const id = reader.u32();
  const type = types.get(id);
  if (type) return type;
  const name = UNSUPPORTED_TYPES.get(id);
  const supported = Array.from(BLOCK_TYPES.values(), (block) => block.name);
  throw new PiPhiError(
    "E_TENSOR_TYPE",
    `The tensor ${quote(tensor)} in ${file} is of the ${name ? `type ${name}` : `unknown type ${id}`}, which PiPhi cannot compute with. Use a file of one of these types: ${supported.join(", ")}.`,
    { file, tensor, type: name ?? id, supported },
  );
}

/** Makes the tensors' offsets absolute and checks that each is aligned, on bytes of its own. Where the last one ends. */
function placeTensors(
  tensors: readonly GgufTensor[],
  dataOffset: number,
  alignment: number,
  source: ByteSource,
): number {
  for (const tensor of tensors) {
    const { name, offset, bytes } = tensor;
    if (offset % alignment !== 0 || !Number.isSafeInteger(dataOffset + offset + bytes)) {
      throw damaged(source.name, `the tensor ${quote(name)} is at the impossible offset ${offset}`, {
        tensor: name,
        offset,
        alignment,
      });
    }
    tensor.offset += dataOffset;
  }
  let end = dataOffset;
  for (const tensor of [...tensors].sort((a, b) => a.offset - b.offset)) {
    if (tensor.offset < end) {
      throw damaged(source.name, `the tensor ${quote(tensor.name)} overlaps another one`, { tensor: tensor.name });
    }
    end = tensor.offset + tensor.bytes;
  }
  return tensors.length > 0 ? end : 0;
}
