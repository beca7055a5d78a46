/** A model file of either kind: a GGUF file whose weights are yet to be converted, or a pack of converted ones. */

import type { Phi2Config } from "../api.ts";
import type { ByteSource } from "../device.ts";
import { checkArchitecture } from "./config.ts";
import { describe, describeOrClose, nameOf, type SourceManifest, type Tensor } from "./manifest.ts";
import type { Metadata } from "./metadata.ts";
import { isPack, type Pack, type PackTensor, packTensors, readPack } from "./pack.ts";
import { shapeOf, type WeightKinds, type WeightShape } from "./shape.ts";
import { type Gguf, openShards } from "./shards.ts";
import { type DensePrecision, rowBytes, tileKindOf } from "./tiles.ts";

interface Described {
  /** The model's own name, or the file's. */
  name: string;
  config: Phi2Config;
  metadata: Metadata;
  fileBytes: number;
  parameters: number;
  /** The most frequent type of the source file's matrices, e.g. "Q4_0". */
  quantization: string;
  shape: WeightShape;
  sources: ByteSource[];
  /** The weights as they are in a pack, or what they are to be made of. */
  weights: { pack: Pack; manifest?: undefined } | { manifest: SourceManifest; pack?: undefined };
}

export interface Model extends Described {
  close(): void;
}

/**
 * Opens a model's file, or all of its parts. `dense` decides about the weights of a file that is no pack. Throws what
 * readManifest and readPack throw; then no file stays open.
 */
export function openModel(open: (name: string) => ByteSource, name: string, dense: DensePrecision): Model {
  return describeOrClose(openShards(open, name, checkArchitecture), (gguf) => {
    return isPack(gguf.metadata) ? describePack(gguf) : describeSource(gguf, dense);
  });
}

function describePack(gguf: Gguf): Described {
  const pack = readPack(gguf);
  const { config, shape, parameters, quantization, source } = pack;
  const name = nameOf(gguf.metadata, source);
  const { metadata, sources } = gguf;
  return {
    name,
    config,
    metadata,
    fileBytes: source.size,
    parameters,
    quantization,
    shape,
    sources,
    weights: { pack },
  };
}

function describeSource(gguf: Gguf, dense: DensePrecision): Described {
  const manifest = describe(gguf);
  const { name, config, metadata, fileBytes, parameters, quantization, sources } = manifest;
  const shape = shapeOf(config, kindsOf(manifest, dense));
  return { name, config, metadata, fileBytes, parameters, quantization, shape, sources, weights: { manifest } };
}

/** The tiles that a source file's weights become. */
export function kindsOf(
  { config, layers, output, tokenEmbedding }: SourceManifest,
  dense: DensePrecision,
): WeightKinds {
  const kind = ({ type }: Tensor) => tileKindOf(type, dense);
  return {
    layers: layers.map(({ qkv, attnOutput, ffnUp, ffnDown }) => ({
      qkv: qkv.map(kind),
      attnOutput: kind(attnOutput.weight),
      ffnUp: kind(ffnUp.weight),
      ffnDown: kind(ffnDown.weight),
    })),
    output: kind(output.weight),
    embedding: { type: tokenEmbedding.type.id, rowBytes: rowBytes(tokenEmbedding.type, config.hiddenSize) },
  };
}

/** The tensors that a pack of this model has. */
export function tensorsOfPack(manifest: SourceManifest, shape: WeightShape, dense: DensePrecision): PackTensor[] {
  return packTensors(manifest.config, shape, kindsOf(manifest, dense));
}
