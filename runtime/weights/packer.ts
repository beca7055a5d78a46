/** Makes a pack (pack.ts) of a model: converts its weights piece by piece, so that memory stays small, and writes them. */

import { chooseKernels } from "../compute/builds.ts";
import { allocateMemory, instantiateKernels } from "../compute/instance.ts";
import { WASM_PAGE_BYTES } from "../compute/kernels.ts";
import { RETILE_SCRATCH_BYTES } from "../compute/sizes.ts";
import type { ByteSink, Device } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import { crc32 } from "./crc32.ts";
import { PACK_VERSION_KEY } from "./gguf.ts";
import { HeaderWriter } from "./header-writer.ts";
import { Loader, loadVectors, outputBytes, type Piece, planLoad, stagingBytesOf } from "./load.ts";
import { type Model, tensorsOfPack } from "./model.ts";
import {
  CHECKSUM_PLACEHOLDER,
  checksumText,
  PACK_KEY,
  PACK_VERSION,
  type PackOrigin,
  type PackTensor,
} from "./pack.ts";
import { roundUp, WEIGHT_ALIGNMENT } from "./shape.ts";
import { TensorHash } from "./tensor-hash.ts";
import type { DensePrecision } from "./tiles.ts";

export interface PackOptions {
  origin: PackOrigin;
  onProgress(writtenBytes: number, totalBytes: number): void;
  /** Throws to give up. */
  checkpoint(): void;
}

/** Keys of the source that its pack does not have. */
const DROPPED = /^(general\.alignment|split\..*|piphi\.pack\..*)$/;

/** Bytes of a pack of `model`: to see whether there is room for it. */
export function packBytes(model: Model): number {
  const header = 2 * Math.max(...Array.from(model.metadata.places.values(), ({ offset, bytes }) => offset + bytes));
  return model.shape.bytes + roundUp(header + (1 << 20), WEIGHT_ALIGNMENT);
}

/** Writes the pack; throws what reading, converting and writing throw. The sink is not complete before this returns. */
export async function writePack(
  device: Device,
  model: Model,
  dense: DensePrecision,
  sink: ByteSink,
  options: PackOptions,
): Promise<void> {
  const { manifest } = model.weights;
  if (!manifest) {
    const [{ name }] = model.sources;
    throw new PiPhiError("E_USAGE", `${name} is a pack already. Give the GGUF file that it was made of.`);
  }
  const tensors = tensorsOfPack(manifest, model.shape, dense);
  const head = (values: ReadonlyMap<string, string>) => writeHeader(model, tensors, options.origin, values);
  const placeholder = new Map(tensors.map(({ name }) => [name, "0".repeat(64)]));
  const dataOffset = head(placeholder).length;
  const totalBytes = dataOffset + model.shape.bytes;
  sink.resize(totalBytes);

  const sums = new Map<string, string>();
  let hash = new TensorHash();
  let hashed: PackTensor | undefined;
  const finishHash = async () => {
    if (hashed) sums.set(hashed.name, await hash.digest());
    hash = new TensorHash();
  };
  // A tensor's bytes come in their order, and one tensor after another.
  const write = async (tensor: PackTensor, at: number, bytes: Uint8Array) => {
    if (tensor !== hashed) await finishHash();
    hashed = tensor;
    sink.write(dataOffset + at, bytes);
    await hash.push(bytes);
    options.onProgress(dataOffset + at + bytes.length, totalBytes);
    options.checkpoint();
  };
  const vectors = new Uint8Array(model.shape.vectors.bytes);
  loadVectors(manifest, model.shape, vectors.buffer, 0);
  for (const tensor of tensors.filter(({ name }) => name.endsWith(".vectors"))) {
    const { offset, bytes } = tensor.span;
    await write(tensor, offset, vectors.subarray(offset, offset + bytes));
  }
  await writePieces(device, model, tensors, write);
  await finishHash();
  sink.write(0, head(sums));
  options.onProgress(totalBytes, totalBytes);
}

/** Everything but vectors: each piece is read, converted and written before the next. */
async function writePieces(
  device: Device,
  model: Model,
  tensors: readonly PackTensor[],
  write: (tensor: PackTensor, at: number, bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const manifest = model.weights.manifest!;
  const stagingBytes = stagingBytesOf(manifest);
  const { sources, pieces, totalBytes } = planLoad(manifest, model.shape, 0, stagingBytes);
  const staging = WASM_PAGE_BYTES;
  const output = roundUp(staging + stagingBytes + RETILE_SCRATCH_BYTES, 64);
  const memoryBytes = roundUp(output + Math.max(...pieces.map(outputBytes)), WASM_PAGE_BYTES);
  const memory = allocateMemory(memoryBytes, device.sharedMemory);
  const { module } = await chooseKernels(device);
  const kernels = instantiateKernels(device, module, memory);
  const staged = pieces.map((piece): Piece => ({ ...piece, to: output }));
  const plan = { sources, pieces: staged, totalBytes };
  const loader = new Loader(plan, model.sources, kernels, memory.buffer, staging, stagingBytes);
  const ordered = tensors.toSorted((a, b) => a.span.offset - b.span.offset);
  let tensor = 0;
  for (const [i, piece] of Array.from(pieces.entries()).toSorted(([, a], [, b]) => a.to - b.to)) {
    while (ordered[tensor].span.offset + ordered[tensor].span.bytes <= piece.to) tensor++;
    loader.load(i);
    await write(ordered[tensor], piece.to, new Uint8Array(memory.buffer, output, outputBytes(piece)));
  }
}

/** The header up to the data; always of the same length for the same model. */
function writeHeader(
  model: Model,
  tensors: readonly PackTensor[],
  origin: PackOrigin,
  sums: ReadonlyMap<string, string>,
): Uint8Array {
  const { metadata, sources, quantization, parameters } = model;
  const kept = [...metadata.places].filter(([key]) => !DROPPED.test(key));
  const own = new HeaderWriter();
  own.number("general.alignment", "u32", WEIGHT_ALIGNMENT);
  own.number(PACK_VERSION_KEY, "u32", PACK_VERSION);
  own.string(`${PACK_KEY}.source.name`, origin.name);
  own.number(`${PACK_KEY}.source.bytes`, "u64", origin.bytes);
  own.number(`${PACK_KEY}.source.modified`, "f64", origin.modifiedMs);
  own.string(`${PACK_KEY}.source.digest`, origin.digest);
  own.string(`${PACK_KEY}.dense`, origin.dense);
  own.string(`${PACK_KEY}.quantization`, quantization);
  own.number(`${PACK_KEY}.parameters`, "u64", parameters);
  const tiles = tensors.filter(({ kind }) => kind !== undefined);
  own.strings(
    `${PACK_KEY}.kinds`,
    tiles.map(({ name, kind }) => `${name}=${kind}`),
  );
  own.strings(
    `${PACK_KEY}.sha256`,
    tensors.map(({ name }) => `${name}=${sums.get(name)}`),
  );
  own.string(`${PACK_KEY}.checksum`, CHECKSUM_PLACEHOLDER);

  const header = new HeaderWriter();
  header.begin(tensors.length, kept.length + own.keys);
  for (const [, { offset, bytes }] of kept) {
    const place = new Uint8Array(bytes);
    sources[0].read(offset, place);
    header.raw(place);
  }
  header.raw(own.bytes());
  const checksumEnd = header.length;
  for (const { name, shape, type, span } of tensors) header.tensor(name, shape, type, span.offset);
  header.align(WEIGHT_ALIGNMENT);
  const bytes = header.bytes();
  const checksum = new TextEncoder().encode(checksumText(crc32(bytes)));
  bytes.set(checksum, checksumEnd - checksum.length);
  return bytes;
}
