/** What a model file promises, checked: hyperparameters, and for each weight its type, shape and place in the file. */

import type { Phi2Config } from "../api.ts";
import type { ByteSource } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import { checkArchitecture, mixtureOfExperts, readConfig } from "./config.ts";
import { printable } from "./faults.ts";
import type { GgufTensor } from "./gguf.ts";
import type { Metadata } from "./metadata.ts";
import { type Gguf, openShards } from "./shards.ts";
import type { BlockType } from "./tiles.ts";

export interface Tensor {
  name: string;
  type: BlockType;
  /** Columns of a matrix (inputs), or length of a vector. */
  k: number;
  /** Rows of a matrix (outputs), 1 for vectors. */
  n: number;
  source: ByteSource;
  /** From the beginning of the file. */
  offset: number;
  bytes: number;
}

export interface WeightAndBias {
  weight: Tensor;
  bias: Tensor;
}

export interface LayerTensors {
  attnNorm: WeightAndBias;
  /** One matrix [3d, d] of q, k, v rows, or three [d, d]. */
  qkv: Tensor[];
  /** As many as `qkv`. */
  qkvBias: Tensor[];
  attnOutput: WeightAndBias;
  ffnUp: WeightAndBias;
  ffnDown: WeightAndBias;
}

export interface Manifest {
  /** The model's own name, or the file's. */
  name: string;
  config: Phi2Config;
  tokenEmbedding: Tensor;
  layers: LayerTensors[];
  outputNorm: WeightAndBias;
  output: WeightAndBias;
  /** All of the above, in the order of the architecture. */
  tensors: readonly Tensor[];
  metadata: Metadata;
  fileBytes: number;
  /** Weights of all tensors of the architecture. */
  parameters: number;
  /** The type with most bytes among the matrices, e.g. "Q4_0"; a K-mix by its own name, e.g. "Q4_K_M". */
  quantization: string;
  sources: ByteSource[];
  close(): void;
}

/** A manifest whose file someone else closes. */
export type SourceManifest = Omit<Manifest, "close">;

const MAX_NAME_LENGTH = 200;
/** Tensors of a mixture of experts: its router, and the experts in one tensor or numbered. */
const EXPERT = /\.(ffn_gate_inp|ffn_(up|down|gate)(_exps|\.\d+))\./;

/** llama.cpp's general.file_type of the mixes, whose names say more than one type does. */
const MIXES = new Map([
  [10, "Q2_K"],
  [11, "Q3_K_S"],
  [12, "Q3_K_M"],
  [13, "Q3_K_L"],
  [14, "Q4_K_S"],
  [15, "Q4_K_M"],
  [16, "Q5_K_S"],
  [17, "Q5_K_M"],
  [21, "Q2_K_S"],
]);

/**
 * Opens a model's file, or all of its parts if `name` is one of several. Throws what readGguf and openShards throw,
 * and E_ARCHITECTURE, E_CONFIG, E_TENSOR_MISSING, E_TENSOR_SHAPE, E_TENSOR_TYPE; then no file stays open.
 */
export function readManifest(open: (name: string) => ByteSource, name: string): Manifest {
  return describeOrClose(openShards(open, name, checkArchitecture), describe);
}

/** What `read` makes of an opened file, which it closes where that fails. */
export function describeOrClose<T>(gguf: Gguf, read: (gguf: Gguf) => T): T & { close(): void } {
  const close = () => {
    for (const source of gguf.sources) source.close();
  };
  try {
    return { ...read(gguf), close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Throws E_CONFIG, E_TENSOR_MISSING, E_TENSOR_SHAPE, E_TENSOR_TYPE. */
export function describe(gguf: Gguf): SourceManifest {
  const { metadata, sources } = gguf;
  const tensors = new TensorTable(gguf);
  const config = readConfig(metadata, tensors.rows("token_embd.weight"));
  const { hiddenSize: d, vocabSize } = config;
  const tokenEmbedding = tensors.matrix("token_embd.weight", d, vocabSize);
  const layers = Array.from({ length: config.layers }, (_, i) => readLayer(tensors, `blk.${i}`, config));
  const outputNorm = tensors.norm("output_norm", d);
  const output = tensors.linear("output", d, vocabSize);
  return {
    name: nameOf(metadata, sources[0]),
    config,
    tokenEmbedding,
    layers,
    outputNorm,
    output,
    tensors: tensors.taken,
    metadata,
    fileBytes: sources.reduce((sum, source) => sum + source.size, 0),
    parameters: tensors.taken.reduce((sum, tensor) => sum + tensor.k * tensor.n, 0),
    quantization: quantizationOf(metadata, tensors.taken),
    sources,
  };
}

function readLayer(tensors: TensorTable, prefix: string, config: Phi2Config): LayerTensors {
  const { hiddenSize: d, intermediateSize: ff } = config;
  const split = !tensors.has(`${prefix}.attn_qkv.weight`) && tensors.has(`${prefix}.attn_q.weight`);
  const qkv = split
    ? ["q", "k", "v"].map((part) => tensors.linear(`${prefix}.attn_${part}`, d, d))
    : [tensors.linear(`${prefix}.attn_qkv`, d, 3 * d)];
  return {
    attnNorm: tensors.norm(`${prefix}.attn_norm`, d),
    qkv: qkv.map(({ weight }) => weight),
    qkvBias: qkv.map(({ bias }) => bias),
    attnOutput: tensors.linear(`${prefix}.attn_output`, d, d),
    ffnUp: tensors.linear(`${prefix}.ffn_up`, d, ff),
    ffnDown: tensors.linear(`${prefix}.ffn_down`, ff, d),
  };
}

/** The file's tensors by name; each is taken with the shape that the architecture gives it. */
class TensorTable {
  readonly taken: Tensor[] = [];
  readonly #tensors: Map<string, GgufTensor>;
  readonly #file: string;

  constructor({ tensors, metadata }: Gguf) {
    this.#tensors = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    this.#file = metadata.file;
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  rows(name: string): number {
    return this.#find(name).shape[1] ?? 1;
  }

  norm(name: string, length: number): WeightAndBias {
    return { weight: this.#vector(`${name}.weight`, length), bias: this.#vector(`${name}.bias`, length) };
  }

  linear(name: string, k: number, n: number): WeightAndBias {
    return { weight: this.matrix(`${name}.weight`, k, n), bias: this.#vector(`${name}.bias`, n) };
  }

  matrix(name: string, k: number, n: number): Tensor {
    const tensor = this.#find(name);
    const { shape, type, source, offset, bytes } = tensor;
    if (shape[0] !== k || (shape[1] ?? 1) !== n || shape.slice(2).some((dimension) => dimension !== 1)) {
      throw new PiPhiError(
        "E_TENSOR_SHAPE",
        `The tensor ${name} in ${source.name} has the shape ${shape.join(" x ")} instead of ${k} x ${n}. Use a complete file of one Phi model.`,
        { file: source.name, tensor: name, expected: [k, n], found: shape },
      );
    }
    const taken = { name, type, k, n, source, offset, bytes };
    this.taken.push(taken);
    return taken;
  }

  #vector(name: string, length: number): Tensor {
    const tensor = this.matrix(name, length, 1);
    if (tensor.type.elements === 1) return tensor;
    throw new PiPhiError(
      "E_TENSOR_TYPE",
      `The vector ${name} in ${this.#file} is of type ${tensor.type.name}; norms and biases are F32, F16 or BF16. Convert the file again, without quantizing vectors.`,
      { file: this.#file, tensor: name, type: tensor.type.name },
    );
  }

  #find(name: string): GgufTensor {
    const tensor = this.#tensors.get(name);
    if (tensor) return tensor;
    if ([...this.#tensors.keys()].some((other) => EXPERT.test(other))) throw mixtureOfExperts(this.#file);
    throw new PiPhiError(
      "E_TENSOR_MISSING",
      `The tensor ${name} is missing in ${this.#file}. Use a complete file of a Phi model.`,
      { file: this.#file, tensor: name },
    );
  }
}

export function nameOf(metadata: Metadata, source: ByteSource): string {
  const name = metadata.stringHint("general.name")?.trim();
  return printable(name || source.name.replace(/^.*[/\\]/, ""), MAX_NAME_LENGTH);
}

function quantizationOf(metadata: Metadata, tensors: readonly Tensor[]): string {
  const bytes = new Map<string, number>();
  for (const { n, type, bytes: size } of tensors) {
    if (n > 1) bytes.set(type.name, (bytes.get(type.name) ?? 0) + size);
  }
  const mix = MIXES.get(metadata.numberHint("general.file_type") ?? -1);
  if (mix && bytes.has(mix.slice(0, "Q4_K".length))) return mix;
  return [...bytes].reduce((most, entry) => (entry[1] > most[1] ? entry : most))[0];
}

/** The values of a norm or bias. Throws E_TENSOR_VALUES for NaN and infinity, and what reading throws. */
export function readVector(tensor: Tensor): Float32Array {
  const bytes = new Uint8Array(tensor.bytes);
  tensor.source.read(tensor.offset, bytes);
  const values = toFloats(tensor.type, bytes.buffer);
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return values;
  throw new PiPhiError(
    "E_TENSOR_VALUES",
    `The tensor ${tensor.name} in ${tensor.source.name} holds ${values[at]} at ${at}. The file is damaged or was converted badly: download or convert it again.`,
    { file: tensor.source.name, tensor: tensor.name, type: tensor.type.name, index: at },
  );
}

/** The types of one element a block: F32, F16 and BF16, which is the upper half of an f32. */
function toFloats(type: BlockType, buffer: ArrayBuffer): Float32Array {
  if (type.name === "F32") return new Float32Array(buffer);
  const bits = new Uint16Array(buffer);
  if (type.name === "F16") return Float32Array.from(bits, halfToFloat);
  return new Float32Array(Uint32Array.from(bits, (half) => half << 16).buffer);
}

/** IEEE 754 binary16: 1 sign, 5 exponent (bias 15), 10 mantissa bits. */
function halfToFloat(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  if (exponent === 31) return mantissa === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1024 + mantissa) * 2 ** (exponent - 25);
}
