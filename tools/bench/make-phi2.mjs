/**
 * Writes a GGUF of Phi-2's shape with random weights: speed and memory are those of the real model, the text is noise.
 *
 *   node tools/bench/make-phi2.mjs OUT.gguf [--type q4_0|q8_0|f16|q4_k|f32] [--layers 32] [--hidden 2560] [--heads 32]
 *                                  [--rotary 32] [--ff 10240] [--context 2048] [--seed 1]
 *
 * Block types, tensor order and byte sizes are those of the public files, with a head in Q6_K beside Q4_0 and Q4_K.
 * Weights are uniform within their blocks, with standard deviations that keep a linear layer's output near the
 * variance of its input, so that activations stay as large as a trained model's.
 */

import { parseArgs } from "node:util";
import { aligned, header, randomBytes, toHalf, tokenizerMetadata, VOCAB_SIZE, writeFile } from "./model/gguf.mjs";
import { failWith, UsageError } from "./usage.mjs";

const CHUNK_BYTES = 8 << 20;

// ---- block types: each turns random bytes into blocks whose values have mean 0 and a standard deviation `std` -------

/** Standard deviations of the stored integers: 0..15, -127..127, 0..63, and the root mean squares of scales. */
const NIBBLE_STD = 4.61;
const BYTE_STD = 73.3;
const SIX_BIT_STD = 18.47;
const SCALE_RMS_0_TO_63 = 36.5;
const SCALE_RMS_32_TO_63 = 48.4;

/** Sets each block's f16 scale at byte `at` to `scale` times 0.75..1.25. */
function eachBlock(bytes, blockBytes, at, scale, visit) {
  for (let start = 0; start < bytes.length; start += blockBytes) {
    const random = bytes.readUInt16LE(start + at);
    const d = scale * (0.75 + (random >> 1) / 65536);
    visit(start, random & 1 ? d : -d);
  }
}

/** A value for each 16-bit number, uniform around `mean`. */
function uniform(random, mean, std) {
  return mean + std * Math.sqrt(3) * ((2 * random + 1) / 65536 - 1);
}

const TYPES = {
  f32: {
    id: 0,
    fileType: 0,
    elements: 1,
    bytes: 4,
    shape(bytes, std, mean) {
      for (let i = 0; i < bytes.length; i += 4) bytes.writeFloatLE(uniform(bytes.readUInt16LE(i), mean, std), i);
    },
  },
  f16: {
    id: 1,
    fileType: 1,
    elements: 1,
    bytes: 2,
    shape(bytes, std, mean) {
      const halves = Uint16Array.from({ length: 65536 }, (_, random) => toHalf(uniform(random, mean, std)));
      for (let i = 0; i < bytes.length; i += 2) bytes.writeUInt16LE(halves[bytes.readUInt16LE(i)], i);
    },
  },
  // f16 scale (of either sign, as quantizers choose it), 32 nibbles: w = d (q - 8)
  q4_0: {
    id: 2,
    fileType: 2,
    elements: 32,
    bytes: 18,
    shape(bytes, std) {
      eachBlock(bytes, 18, 0, std / NIBBLE_STD, (start, d) => bytes.writeUInt16LE(toHalf(d), start));
    },
  },
  // f16 scale, 32 int8, which no quantizer sets to -128: w = d q
  q8_0: {
    id: 8,
    fileType: 7,
    elements: 32,
    bytes: 34,
    shape(bytes, std) {
      eachBlock(bytes, 34, 0, std / BYTE_STD, (start, d) => {
        for (let i = start + 2; i < start + 34; i++) if (bytes[i] === 0x80) bytes[i] = 0x81;
        bytes.writeUInt16LE(toHalf(Math.abs(d)), start);
      });
    },
  },
  // f16 d and dmin, eight 6-bit scales and mins in 12 bytes, 256 nibbles: w = d scale q - dmin min.
  // Mins equal to their scales and dmin = 7.5 d center every group of 32.
  q4_k: {
    id: 12,
    fileType: 14,
    elements: 256,
    bytes: 144,
    shape(bytes, std) {
      eachBlock(bytes, 144, 0, std / NIBBLE_STD / SCALE_RMS_0_TO_63, (start, d) => {
        bytes.copyWithin(start + 8, start + 4, start + 8);
        for (let i = start + 12; i < start + 16; i++) bytes[i] = (bytes[i] & 15) * 17;
        bytes.writeUInt16LE(toHalf(Math.abs(d)), start);
        bytes.writeUInt16LE(toHalf(Math.abs(d) * 7.5), start + 2);
      });
    },
  },
  // 128 bytes of low nibbles, 64 of high pairs, 16 int8 scales, f16 d: w = d scale (q - 32)
  q6_k: {
    id: 14,
    elements: 256,
    bytes: 210,
    shape(bytes, std) {
      eachBlock(bytes, 210, 208, std / SIX_BIT_STD / SCALE_RMS_32_TO_63, (start, d) => {
        for (let i = start + 192; i < start + 208; i++) {
          const size = 32 + (bytes[i] & 31);
          bytes.writeInt8(bytes[i] & 0x80 ? -size : size, i);
        }
        bytes.writeUInt16LE(toHalf(d), start + 208);
      });
    },
  },
};

// ---- the model -----------------------------------------------------------------------------------------------------

/** Tensors in ggml's order: name, shape (columns first), type, standard deviation, mean. */
function tensorsOf({ type, layers, hidden, ff }) {
  const matrixStd = 1 / Math.sqrt(hidden); // 0.02 for Phi-2
  const head = type === "q4_0" || type === "q4_k" ? "q6_k" : type;
  const tensors = [];
  const add = (name, shape, type, std, mean = 0) => tensors.push({ name, shape, type, std, mean });
  const norm = (name) => {
    add(`${name}.weight`, [hidden], "f32", 0.05, 1);
    add(`${name}.bias`, [hidden], "f32", 0.02);
  };
  const linear = (name, columns, rows, type) => {
    add(`${name}.weight`, [columns, rows], type, matrixStd);
    add(`${name}.bias`, [rows], "f32", 0.02);
  };
  add("token_embd.weight", [hidden, VOCAB_SIZE], type, 0.05);
  for (let n = 0; n < layers; n++) {
    norm(`blk.${n}.attn_norm`);
    linear(`blk.${n}.attn_qkv`, hidden, 3 * hidden, type);
    linear(`blk.${n}.attn_output`, hidden, hidden, type);
    linear(`blk.${n}.ffn_up`, hidden, ff, type);
    linear(`blk.${n}.ffn_down`, ff, hidden, type);
  }
  norm("output_norm");
  linear("output", hidden, VOCAB_SIZE, head);
  return tensors.map((tensor) => {
    const { id, elements, bytes } = TYPES[tensor.type];
    const count = tensor.shape.reduce((product, dimension) => product * dimension, 1);
    return { ...tensor, id, bytes: (count / elements) * bytes };
  });
}

/** Metadata entries: key, type, value. */
function metadataOf({ type, layers, hidden, heads, rotary, ff, context, seed }) {
  return [
    ["general.architecture", "string", "phi2"],
    ["general.name", "string", `random weights in Phi-2's shape, seed ${seed}`],
    ["general.file_type", "u32", TYPES[type].fileType],
    ["general.quantization_version", "u32", 2],
    ["phi2.context_length", "u32", context],
    ["phi2.embedding_length", "u32", hidden],
    ["phi2.feed_forward_length", "u32", ff],
    ["phi2.block_count", "u32", layers],
    ["phi2.attention.head_count", "u32", heads],
    ["phi2.attention.head_count_kv", "u32", heads],
    ["phi2.attention.layer_norm_epsilon", "f32", 1e-5],
    ["phi2.rope.dimension_count", "u32", rotary],
    ...tokenizerMetadata(),
  ];
}

// ---- the file ------------------------------------------------------------------------------------------------------

/** The tensors' bytes, in pieces of whole blocks. */
function* dataOf(tensors, seed) {
  for (const { name, type, std, mean, bytes } of tensors) {
    const random = randomBytes(seed, name);
    const { bytes: blockBytes, shape } = TYPES[type];
    const chunk = Math.floor(CHUNK_BYTES / blockBytes) * blockBytes;
    for (let done = 0; done < bytes; done += chunk) {
      const piece = random(Math.min(chunk, bytes - done));
      shape(piece, std, mean);
      yield piece;
    }
    if (aligned(bytes) > bytes) yield Buffer.alloc(aligned(bytes) - bytes);
  }
}

/** Writes the model; its bytes. */
function writeModel(out, options) {
  const tensors = tensorsOf(options);
  return writeFile(out, header(metadataOf(options), tensors), tensors, dataOf(tensors, options.seed));
}

// ---- the command line ----------------------------------------------------------------------------------------------

const DEFAULTS = { layers: 32, hidden: 2560, heads: 32, rotary: 32, ff: 10240, context: 2048, seed: 1 };
const MOST = { layers: 1000, hidden: 1 << 16, heads: 1024, rotary: 1 << 16, ff: 1 << 18, context: 1 << 24, seed: 1e9 };

function parse(args) {
  const names = Object.keys(DEFAULTS);
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      type: { type: "string", default: "q4_0" },
      ...Object.fromEntries(names.map((name) => [name, { type: "string", default: `${DEFAULTS[name]}` }])),
    },
  });
  if (positionals.length !== 1) throw new UsageError("Give the path of one file to write, such as phi2-q4_0.gguf.");
  const options = { type: values.type };
  for (const name of names) {
    options[name] = Number(values[name]);
    if (!(Number.isInteger(options[name]) && options[name] >= 1 && options[name] <= MOST[name])) {
      throw new UsageError(`--${name} takes a whole number from 1 to ${MOST[name]}.`);
    }
  }
  check(options);
  return { out: positionals[0], options };
}

/** Throws UsageError for a shape that the types' blocks or rotary embedding cannot have. */
function check({ type, hidden, heads, rotary, ff }) {
  if (TYPES[type]?.fileType === undefined) {
    throw new UsageError(`--type ${type} is unknown. Choose q4_0, q8_0, f16, q4_k or f32.`);
  }
  const hiddenStep = type === "q4_0" ? TYPES.q6_k.elements : TYPES[type].elements; // of the Q6_K head
  for (const [name, value, step] of [
    ["hidden", hidden, hiddenStep],
    ["ff", ff, TYPES[type].elements],
    ["hidden", hidden, heads],
  ]) {
    if (value % step !== 0) throw new UsageError(`--${name} ${value} is no multiple of ${step}. Choose one.`);
  }
  if (rotary % 2 !== 0 || rotary > hidden / heads) {
    throw new UsageError(`--rotary takes an even number up to the head size of ${hidden / heads}.`);
  }
}

try {
  const { out, options } = parse(process.argv.slice(2));
  const start = performance.now();
  const bytes = await writeModel(out, options);
  console.log(`${out}: ${(bytes / 1e9).toFixed(2)} GB in ${((performance.now() - start) / 1000).toFixed(0)} s`);
} catch (error) {
  failWith(error);
}
