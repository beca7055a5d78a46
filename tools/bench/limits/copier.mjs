/**
 * A model whose weights are constructed so that it copies: after a prompt of N tokens it says the prompt again, with some
 * tokens exchanged for others. Random weights would say noise, in which there is nothing to guess.
 *
 * One layer. Queries and keys are biases alone, so that a score depends on the distance of two tokens only, by rotary
 * embedding: the pair of frequency w has the query (cos -wD, sin -wD) and the key (1, 0), whose product at distance d is
 * cos(w (d - D)), greatest at d = D. With D = N - 1 each token of the answer attends to the prompt's token that is
 * to be said next. Values are a token's code of random signs, which the head, a table of all codes, recognizes.
 */

import fs from "node:fs";
import path from "node:path";
import { header, randomBytes, toHalf, tokenizerMetadata, VOCAB_SIZE, writeFile } from "../model/gguf.mjs";

const HIDDEN = 256;
const HEADS = 4;
const HEAD = HIDDEN / HEADS;
const FF = 256;
const CONTEXT = 2048;
const ROPE_BASE = 10_000;
/** Score of the right distance over that of its neighbours, as much as int8 keys need. */
const SHARPNESS = 200;
/** A token itself is in the residual stream as well; what it attends to must outweigh it. */
const OWN = 0.25;
const COPIED = 4;

const F32 = 0;
const Q8_0 = 8;

/** Q8_0 blocks of rows that are +-`size` by the bits of `signs`. */
function signRows(signs, size) {
  const blocks = (signs.length * 8) / 32;
  const bytes = Buffer.alloc(blocks * 34);
  for (let block = 0; block < blocks; block++) {
    bytes.writeUInt16LE(toHalf(size / 127), block * 34);
    for (let i = 0; i < 32; i++) {
      const bit = (signs[block * 4 + (i >> 3)] >> (i & 7)) & 1;
      bytes.writeInt8(bit ? 127 : -127, block * 34 + 2 + i);
    }
  }
  return bytes;
}

const floats = (values) => Buffer.from(Float32Array.from(values).buffer);
const constant = (count, value) => floats(new Float32Array(count).fill(value));

/** `scale` times the identity, in rows [from, from + HIDDEN) of `rows`. */
function identity(rows, from, scale) {
  const values = new Float32Array(rows * HIDDEN);
  for (let i = 0; i < HIDDEN; i++) values[(from + i) * HIDDEN + i] = scale;
  return floats(values);
}

/** Biases of q, k and v: what makes a score depend on the distance alone. */
function attentionBias(distance) {
  const bias = new Float32Array(3 * HIDDEN);
  const half = HEAD / 2;
  const size = Math.sqrt((SHARPNESS * Math.sqrt(HEAD)) / half);
  for (let head = 0; head < HEADS; head++) {
    for (let i = 0; i < half; i++) {
      const angle = -distance * ROPE_BASE ** (-i / half);
      bias[head * HEAD + i] = size * Math.cos(angle);
      bias[head * HEAD + half + i] = size * Math.sin(angle);
      bias[HIDDEN + head * HEAD + i] = size;
    }
  }
  return floats(bias);
}

/** The codes of all tokens, and the same with the rows of each pair exchanged. */
function codes(exchanged) {
  const rowBytes = HIDDEN / 8;
  const embedding = randomBytes(1, "codes")(VOCAB_SIZE * rowBytes);
  const head = Buffer.from(embedding);
  for (const [from, to] of exchanged) {
    for (const [row, other] of [
      [from, to],
      [to, from],
    ]) {
      embedding.copy(head, row * rowBytes, other * rowBytes, (other + 1) * rowBytes);
    }
  }
  return { embedding, head };
}

function tensorsOf(distance, exchanged) {
  const { embedding, head } = codes(exchanged);
  const norm = (name) => [
    { name: `${name}.weight`, shape: [HIDDEN], id: F32, data: constant(HIDDEN, 1) },
    { name: `${name}.bias`, shape: [HIDDEN], id: F32, data: constant(HIDDEN, 0) },
  ];
  const linear = (name, columns, rows, data, bias = constant(rows, 0)) => [
    { name: `${name}.weight`, shape: [columns, rows], id: F32, data },
    { name: `${name}.bias`, shape: [rows], id: F32, data: bias },
  ];
  const tensors = [
    { name: "token_embd.weight", shape: [HIDDEN, VOCAB_SIZE], id: Q8_0, data: signRows(embedding, OWN) },
    ...norm("blk.0.attn_norm"),
    ...linear("blk.0.attn_qkv", HIDDEN, 3 * HIDDEN, identity(3 * HIDDEN, 2 * HIDDEN, 1), attentionBias(distance)),
    ...linear("blk.0.attn_output", HIDDEN, HIDDEN, identity(HIDDEN, 0, COPIED)),
    ...linear("blk.0.ffn_up", HIDDEN, FF, constant(HIDDEN * FF, 0)),
    ...linear("blk.0.ffn_down", FF, HIDDEN, constant(FF * HIDDEN, 0)),
    ...norm("output_norm"),
    { name: "output.weight", shape: [HIDDEN, VOCAB_SIZE], id: Q8_0, data: signRows(head, 1 / 16) },
    { name: "output.bias", shape: [VOCAB_SIZE], id: F32, data: constant(VOCAB_SIZE, 0) },
  ];
  return tensors.map((tensor) => ({ ...tensor, bytes: tensor.data.length }));
}

const METADATA = [
  ["general.architecture", "string", "phi2"],
  ["general.name", "string", "a model that copies its prompt"],
  ["phi2.context_length", "u32", CONTEXT],
  ["phi2.embedding_length", "u32", HIDDEN],
  ["phi2.feed_forward_length", "u32", FF],
  ["phi2.block_count", "u32", 1],
  ["phi2.attention.head_count", "u32", HEADS],
  ["phi2.attention.head_count_kv", "u32", HEADS],
  ["phi2.attention.layer_norm_epsilon", "f32", 1e-5],
  ["phi2.rope.dimension_count", "u32", HEAD],
];

/**
 * Writes a model that copies prompts of `length` tokens, exchanging the two tokens of each pair in `exchanged`.
 * Returns its path.
 */
export async function writeCopier(folder, name, length, exchanged) {
  const file = path.join(folder, `${name}.gguf`);
  const tensors = tensorsOf(length - 1, exchanged);
  const data = tensors.map((tensor) => tensor.data); // all are whole multiples of the alignment
  fs.mkdirSync(folder, { recursive: true });
  await writeFile(file, header([...METADATA, ...tokenizerMetadata()], tensors), tensors, data);
  return file;
}
