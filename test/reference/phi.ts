/**
 * Phi evaluated in float64 by plain loops over dequantized weights: what the engine is compared with. It shares nothing
 * with the engine but the reading of the file's header.
 */

import type { Phi2Config } from "../../runtime/api.ts";
import type { ByteSource } from "../../runtime/device.ts";
import type { LayerTensors, Tensor, WeightAndBias } from "../../runtime/weights/manifest.ts";
import { readManifest } from "../../runtime/weights/manifest.ts";
import { dequantize } from "./dequantize.ts";

type Vector = ArrayLike<number>;

/** y = W x + b with W as rows [n][k]. */
interface Linear {
  weight: Vector;
  bias: Vector;
}

interface LayerNorm {
  weight: Vector;
  bias: Vector;
}

interface Block {
  norm: LayerNorm;
  qkv: Linear;
  attnOutput: Linear;
  ffnUp: Linear;
  ffnDown: Linear;
}

/** At which position a token sees a past one; undefined: not any more. */
export type Sight = (position: number, past: number) => number | undefined;

/** Logits of every position, [ids.length][vocabSize]; position i has seen ids[0..i], or what `sight` leaves of them. */
export function referenceLogits(
  file: Uint8Array,
  ids: readonly number[],
  sight: Sight = (_, past) => past,
): Float64Array[] {
  const manifest = readManifest(() => memorySource(file), "reference.gguf");
  const { config } = manifest;
  const blocks = manifest.layers.map(readBlock);
  const outputNorm = readPair(manifest.outputNorm);
  const output = readPair(manifest.output);
  const embedding = values(manifest.tokenEmbedding);
  const caches = blocks.map(() => ({ keys: [] as Float64Array[], values: [] as Float64Array[] }));

  return ids.map((id, position) => {
    if (!(id >= 0 && id < config.vocabSize)) throw new RangeError(`id ${id} is outside of 0..${config.vocabSize - 1}`);
    let x = Float64Array.from({ length: config.hiddenSize }, (_, i) => embedding[id * config.hiddenSize + i]);
    blocks.forEach((block, layer) => {
      const h = layerNorm(x, block.norm, config.layerNormEpsilon);
      const attention = attend(config, block, h, position, caches[layer], sight);
      const mlp = linear(block.ffnDown, linear(block.ffnUp, h).map(gelu));
      x = x.map((value, i) => value + attention[i] + mlp[i]);
    });
    return linear(output, layerNorm(x, outputNorm, config.layerNormEpsilon));
  });
}

/** One token's attention over itself and the tokens before it, whose keys (not rotated) and values `cache` holds. */
function attend(
  config: Phi2Config,
  block: Block,
  h: Float64Array,
  position: number,
  cache: { keys: Float64Array[]; values: Float64Array[] },
  sight: Sight,
): Float64Array {
  const { hiddenSize, heads, headDim } = config;
  const qkv = linear(block.qkv, h);
  const q = rotate(config, qkv.slice(0, hiddenSize), position);
  cache.keys.push(qkv.slice(hiddenSize, 2 * hiddenSize));
  cache.values.push(qkv.slice(2 * hiddenSize));
  const seen = cache.keys.flatMap((key, past) => {
    const at = sight(position, past);
    return at === undefined ? [] : [{ key: rotate(config, key.slice(), at), value: cache.values[past] }];
  });

  const mixed = new Float64Array(hiddenSize);
  for (let head = 0; head < heads; head++) {
    const first = head * headDim;
    const scores = seen.map(({ key }) => {
      let sum = 0;
      for (let d = first; d < first + headDim; d++) sum += q[d] * key[d];
      return sum / Math.sqrt(headDim);
    });
    const logWeights = logSoftmax(scores);
    seen.forEach(({ value }, i) => {
      const weight = Math.exp(logWeights[i]);
      for (let d = first; d < first + headDim; d++) mixed[d] += weight * value[d];
    });
  }
  return linear(block.attnOutput, mixed);
}

/** Rotary embedding of every head: pairs (i, i + rotaryDim / 2) of its first rotaryDim dimensions. */
function rotate(config: Phi2Config, vector: Float64Array, position: number): Float64Array {
  const { heads, headDim, rotaryDim, ropeBase } = config;
  const half = rotaryDim / 2;
  for (let head = 0; head < heads; head++) {
    for (let i = 0; i < half; i++) {
      const low = head * headDim + i;
      const angle = position * ropeBase ** ((-2 * i) / rotaryDim);
      const [a, b] = [vector[low], vector[low + half]];
      vector[low] = a * Math.cos(angle) - b * Math.sin(angle);
      vector[low + half] = b * Math.cos(angle) + a * Math.sin(angle);
    }
  }
  return vector;
}

function linear({ weight, bias }: Linear, x: Float64Array): Float64Array {
  const k = x.length;
  return Float64Array.from({ length: bias.length }, (_, row) => {
    let sum = bias[row];
    for (let i = 0; i < k; i++) sum += weight[row * k + i] * x[i];
    return sum;
  });
}

function layerNorm(x: Float64Array, { weight, bias }: LayerNorm, epsilon: number): Float64Array {
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
  const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
  return x.map((value, i) => ((value - mean) / Math.sqrt(variance + epsilon)) * weight[i] + bias[i]);
}

/** The tanh form ("gelu_new"). */
function gelu(x: number): number {
  return 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

function readBlock(layer: LayerTensors): Block {
  return {
    norm: readPair(layer.attnNorm),
    qkv: { weight: concatenate(layer.qkv), bias: concatenate(layer.qkvBias) },
    attnOutput: readPair(layer.attnOutput),
    ffnUp: readPair(layer.ffnUp),
    ffnDown: readPair(layer.ffnDown),
  };
}

function readPair(pair: WeightAndBias): Linear {
  return { weight: values(pair.weight), bias: values(pair.bias) };
}

/** Fused files hold q, k and v as one tensor, split ones as three; the order is the same. */
function concatenate(tensors: readonly Tensor[]): Vector {
  const parts = tensors.map((tensor) => Array.from(values(tensor)));
  return Float64Array.from(parts.flat());
}

function values(tensor: Tensor): Vector {
  const bytes = new Uint8Array(tensor.bytes);
  tensor.source.read(tensor.offset, bytes);
  return dequantize(tensor.type.id, bytes, tensor.n * tensor.k);
}

function memorySource(file: Uint8Array): ByteSource {
  return {
    name: "reference.gguf",
    size: file.length,
    read: (offset, into) => into.set(file.subarray(offset, offset + into.length)),
    close: () => {},
  };
}

/** Natural log-probabilities of logits. */
export function logSoftmax(logits: Vector): Float64Array {
  let max = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < logits.length; i++) max = Math.max(max, logits[i]);
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i] - max);
  const logSum = max + Math.log(sum);
  return Float64Array.from(logits, (logit) => logit - logSum);
}

/** Mean over positions of KL(reference || other) in nats, both given as logits (or log-probabilities). */
export function meanKl(reference: readonly Vector[], other: readonly Vector[]): number {
  return meanOver(reference, other, (logits, otherLogits) => {
    if (logits.length !== otherLogits.length) throw new RangeError(`${logits.length} and ${otherLogits.length} logits`);
    const [p, q] = [logSoftmax(logits), logSoftmax(otherLogits)];
    return p.reduce((sum, logP, id) => sum + Math.exp(logP) * (logP - q[id]), 0);
  });
}

/**
 * Mean over positions of KL(reference || other) in nats, the other given as [id, log-probability] pairs as `score`
 * returns them. With the whole vocabulary it is exact; what is missing counts as one token, which gives a lower bound.
 */
export function klFromTop(
  reference: readonly Vector[],
  other: readonly (readonly (readonly [id: number, logprob: number])[])[],
): number {
  return meanOver(reference, other, (logits, top) => {
    const p = logSoftmax(logits);
    let [kl, restP, restQ] = [0, 1, 1];
    for (const [id, logQ] of top) {
      const probability = Math.exp(p[id]);
      kl += probability * (p[id] - logQ);
      restP -= probability;
      restQ -= Math.exp(logQ);
    }
    const rest = top.length < p.length && restP > Number.EPSILON;
    return rest ? kl + restP * Math.log(restP / Math.max(restQ, Number.EPSILON)) : kl;
  });
}

function meanOver<A, B>(a: readonly A[], b: readonly B[], kl: (a: A, b: B) => number): number {
  if (a.length !== b.length || a.length === 0) throw new RangeError(`${a.length} and ${b.length} positions`);
  return a.reduce((sum, item, i) => sum + kl(item, b[i]), 0) / a.length;
}
