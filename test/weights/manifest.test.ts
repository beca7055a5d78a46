import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type ErrorCode, PiPhiError } from "../../runtime/errors.ts";
import { createTokenizer } from "../../runtime/text/tokenizer.ts";
import { type Manifest, readManifest, readVector } from "../../runtime/weights/manifest.ts";
import { BLOCK_TYPES } from "../../runtime/weights/tiles.ts";
import { rowsInUse, vocabularyOf } from "../../runtime/weights/vocabulary.ts";
import { type ScalarType, type WritableTensor, type WritableValue, writeGguf } from "../fixtures/gguf-writer.ts";
import {
  memorySource,
  type RandomModelOptions,
  randomModel,
  randomModelParts,
  writeShards,
} from "../fixtures/random-model.ts";

const FILE = "folder/model.gguf";
const read = (bytes: Uint8Array): Manifest => readManifest((name) => memorySource(name, bytes), FILE);
const model = (options: RandomModelOptions = {}) => read(randomModel(options));

/** A small model with some metadata and tensors exchanged; undefined removes. */
function altered(
  metadata: Record<string, WritableValue | undefined>,
  tensors: Record<string, Partial<WritableTensor> | undefined> = {},
): Uint8Array {
  const parts = randomModelParts();
  const entries = Object.entries({ ...parts.metadata, ...metadata }).filter((entry) => entry[1] !== undefined);
  return writeGguf({
    metadata: entries as [string, WritableValue][],
    tensors: parts.tensors
      .filter(({ name }) => !(name in tensors && tensors[name] === undefined))
      .map((tensor) => ({ ...tensor, ...tensors[tensor.name] })),
  });
}

function failure(bytes: Uint8Array): PiPhiError {
  let isOpen = false;
  const open = (name: string) => {
    isOpen = true;
    return { ...memorySource(name, bytes), close: () => (isOpen = false) };
  };
  try {
    readManifest(open, FILE);
  } catch (error) {
    if (!(error instanceof PiPhiError)) throw error;
    expect(isOpen).toBe(false);
    expect(error.message).toMatch(/\.$/);
    return error;
  }
  throw new Error("nothing was thrown");
}

const codeOf = (bytes: Uint8Array): ErrorCode => failure(bytes).code;

describe("a model's manifest", () => {
  it("states hyperparameters, tensors and totals", () => {
    const bytes = randomModel({ layers: 3, seed: 7, rotaryDim: 8, contextLength: 128 });
    const manifest = read(bytes);
    expect(manifest.config).toEqual({
      hiddenSize: 64,
      intermediateSize: 256,
      layers: 3,
      heads: 4,
      headDim: 16,
      rotaryDim: 8,
      ropeBase: 10000,
      layerNormEpsilon: Math.fround(1e-5),
      contextLength: 128,
      vocabSize: 320,
    });
    const perLayer = 2 * 64 + (64 * 192 + 192) + (64 * 64 + 64) + (64 * 256 + 256) + (256 * 64 + 64);
    expect(manifest).toMatchObject({
      name: "random phi 7",
      fileBytes: bytes.length,
      parameters: 320 * 64 + 3 * perLayer + 2 * 64 + 320 * 64 + 320,
      quantization: "Q4_0",
    });
    expect(manifest.layers).toHaveLength(3);
    expect(manifest.layers[2].ffnDown.weight).toMatchObject({ name: "blk.2.ffn_down.weight", k: 256, n: 64 });
    expect(manifest.layers[1].qkv[0]).toMatchObject({ k: 64, n: 192, bytes: 64 * 192 * (18 / 32) });
    expect(manifest.output.bias).toMatchObject({ name: "output.bias", k: 320, n: 1 });
  });

  it.each([2, 3])("is read from GGUF version %i", (version) => {
    expect(model({ version }).config.layers).toBe(2);
  });

  it.each([...BLOCK_TYPES.values()].map((type) => type.name))("is read for weights of type %s", (type) => {
    const manifest = model({ type, hiddenSize: 256, layers: 1 });
    expect(manifest.quantization).toBe(type);
    expect(manifest.layers[0].ffnUp.weight.type.name).toBe(type);
  });

  it("takes q, k, v fused or split", () => {
    const names = (fused: boolean) => model({ fused }).layers[1].qkv.map(({ name, n }) => [name, n]);
    expect(names(true)).toEqual([["blk.1.attn_qkv.weight", 192]]);
    expect(names(false)).toEqual(["q", "k", "v"].map((part) => [`blk.1.attn_${part}.weight`, 64]));
    expect(model({ fused: false }).layers[0].qkvBias.map((bias) => bias.k)).toEqual([64, 64, 64]);
    expect(model({ fused: false }).parameters).toBe(model({ fused: true }).parameters);
  });

  it.each([32, 65536])("finds the data under an alignment of %i", (alignment) => {
    const same = (bytes: Uint8Array) => Array.from(readVector(read(bytes).layers[0].attnNorm.weight));
    expect(same(randomModel({ alignment }))).toEqual(same(randomModel()));
  });

  it("is one of all parts of a sharded model", () => {
    const parts = randomModelParts({ layers: 3 });
    const files = new Map(writeShards(parts, 2).map((bytes, i) => [`phi-0000${i + 1}-of-00002.gguf`, bytes]));
    const manifest = readManifest((name) => memorySource(name, files.get(name)!), "phi-00002-of-00002.gguf");
    expect(manifest.sources).toHaveLength(2);
    expect(manifest.output.bias.source).toBe(manifest.sources[1]);
    const whole = read(writeGguf(parts));
    expect(readVector(manifest.output.bias)).toEqual(readVector(whole.output.bias));
    expect(manifest.parameters).toBe(whole.parameters);
  });

  it("has defaults for optional keys, and the file's name for want of another", () => {
    const absent = ["attention.head_count_kv", "attention.layer_norm_epsilon"].map((key) => [`phi2.${key}`, undefined]);
    const manifest = read(altered({ ...Object.fromEntries(absent), "general.name": undefined }));
    expect(manifest.config).toMatchObject({ ropeBase: 10000, layerNormEpsilon: 1e-5 });
    expect(manifest.name).toBe("model.gguf");
    expect(read(altered({ "phi2.rope.freq_base": { type: "f32", value: 5e5 } })).config.ropeBase).toBe(5e5);
  });

  it("names mixes by the file's type only where the weights bear it out", () => {
    const bytes = (type: string) => {
      const parts = randomModelParts({ type, hiddenSize: 256, layers: 1, outputType: "Q6_K" });
      return writeGguf({ ...parts, metadata: { ...parts.metadata, "general.file_type": 15 } });
    };
    expect(read(bytes("Q4_K")).quantization).toBe("Q4_K_M");
    expect(read(bytes("Q4_0")).quantization).toBe("Q4_0");
  });

  it.each([true, false])("carries a vocabulary that the tokenizer takes, pre-tokenizer named: %s", (pre) => {
    const { metadata } = model({ pre });
    expect(metadata.has("tokenizer.ggml.pre")).toBe(pre);
    const tokenizer = createTokenizer(vocabularyOf(metadata, 320));
    const ids = tokenizer.encode("the light is on\n\u00e9");
    expect(tokenizer.decode(ids)).toBe("the light is on\n\u00e9");
    expect(tokenizer.pieces(ids)).toContain(" light");
    expect(tokenizer.vocabSize).toBe(320);
  });

  it("closes its files", () => {
    let open = true;
    readManifest((name) => ({ ...memorySource(name, randomModel()), close: () => (open = false) }), FILE).close();
    expect(open).toBe(false);
  });
});

describe("vectors", () => {
  it.each([
    ["F16", 2 ** -11],
    ["BF16", 2 ** -8],
  ])("of type %s are widened", (vectorType, tolerance) => {
    // Quantized matrices draw the same numbers whatever the vectors' type is.
    const exact = readVector(model().output.bias);
    const widened = readVector(model({ vectorType }).output.bias);
    expect(widened).toHaveLength(exact.length);
    widened.forEach((value, i) => {
      expect(Math.abs(value - exact[i])).toBeLessThanOrEqual(Math.max(2 ** -25, tolerance * Math.abs(exact[i])));
    });
  });

  it("know every f16", () => {
    const data = Uint8Array.of(0, 0, 1, 0, 0xff, 3, 0, 4, 0, 0x3c, 0, 0xc0, 0xff, 0x7b, 0, 0x80);
    const source = memorySource(FILE, data);
    const type = BLOCK_TYPES.get(1)!;
    const values = readVector({ name: "v", type, k: 8, n: 1, source, offset: 0, bytes: 16 });
    expect(Array.from(values)).toEqual([0, 2 ** -24, 1023 * 2 ** -24, 2 ** -14, 1, -2, 65504, -0]);
  });

  it.each([
    ["F32", [0, 0, 0x80, 0x7f]],
    ["F16", [0, 0x7c]],
    ["F16", [1, 0xfe]],
    ["BF16", [0xc0, 0x7f]],
  ])("of type %s with NaN or infinity are refused", (vectorType, bits) => {
    const parts = randomModelParts({ vectorType });
    parts.tensors.find(({ name }) => name === "blk.1.ffn_up.bias")!.data.set(bits, 16);
    const { bias } = read(writeGguf(parts)).layers[1].ffnUp;
    expect(() => readVector(bias)).toThrow(
      expect.objectContaining({ code: "E_TENSOR_VALUES", details: expect.objectContaining({ tensor: bias.name }) }),
    );
  });
});

describe("what is no Phi", () => {
  it.each(["llama", "phi3", ""])("is refused by its architecture %j, whatever its tensors are", (architecture) => {
    const bytes = altered({ "general.architecture": architecture }, { "token_embd.weight": { type: 16 } });
    const error = failure(bytes);
    expect(error).toMatchObject({ code: "E_ARCHITECTURE", details: { architecture } });
    expect(error.message).toMatch(/Phi-1, Phi-1\.5, Phi-2/);
  });

  it("is refused without architecture, and as an adapter", () => {
    expect(codeOf(altered({ "general.architecture": undefined }))).toBe("E_ARCHITECTURE");
    expect(codeOf(altered({ "general.type": "adapter" }))).toBe("E_ARCHITECTURE");
  });
});

describe("hyperparameters that nothing can run", () => {
  it.each<[string, WritableValue | undefined]>([
    ["embedding_length", 0],
    ["embedding_length", 72],
    ["embedding_length", undefined],
    ["feed_forward_length", 100],
    ["block_count", 0],
    ["block_count", 1001],
    ["attention.head_count", 0],
    ["attention.head_count", 3],
    ["attention.head_count", 8],
    ["attention.head_count_kv", 2],
    ["context_length", 0],
    ["context_length", 2 ** 20 + 1],
    ["context_length", { type: "i32", value: -1 }],
    ["rope.dimension_count", 0],
    ["rope.dimension_count", 7],
    ["rope.dimension_count", 18],
    ["rope.freq_base", 0],
    ["rope.freq_base", Number.NaN],
    ["rope.freq_base", Number.POSITIVE_INFINITY],
    ["rope.scaling.type", "yarn"],
    ["rope.scaling.factor", 2],
    ["rope.scale_linear", 4],
    ["attention.layer_norm_epsilon", 0],
    ["attention.layer_norm_epsilon", Number.NaN],
    ["attention.layer_norm_epsilon", 1],
  ])("are refused: %s = %j", (key, value) => {
    expect(codeOf(altered({ [`phi2.${key}`]: value }))).toBe("E_CONFIG");
  });

  it("are refused for heads wider than 256", () => {
    expect(codeOf(randomModel({ hiddenSize: 288, heads: 1, layers: 1 }))).toBe("E_CONFIG");
  });

  it("are not the neutral ones", () => {
    const neutral = { "phi2.rope.scaling.type": "none", "phi2.rope.scaling.factor": 8 };
    expect(read(altered(neutral)).config.layers).toBe(2);
  });

  it("are damage where they are of the wrong type", () => {
    for (const value of ["2", 2.5, true, ["2"]]) {
      expect(codeOf(altered({ "phi2.block_count": value }))).toBe("E_FILE_CORRUPT");
    }
  });
});

describe("metadata that says the same in another way", () => {
  const typed = (type: ScalarType, value: number | bigint | readonly number[]): WritableValue => ({ type, value });

  it("states a number once for each layer", () => {
    const same = {
      "phi2.attention.head_count": typed("u32", [4, 4]),
      "phi2.feed_forward_length": typed("i32", [256, 256]),
    };
    expect(read(altered(same)).config).toEqual(model().config);
    const error = failure(altered({ "phi2.attention.head_count": typed("u32", [4, 2]) }));
    expect(error).toMatchObject({ code: "E_CONFIG", message: expect.stringContaining(FILE) });
    expect(codeOf(altered({ "phi2.attention.head_count": typed("f32", [4.5, 4.5]) }))).toBe("E_CONFIG");
  });

  it.each<[string, WritableValue]>([
    ["u32", typed("u32", 2 ** 32 - 1)],
    ["i32", typed("i32", -1)],
    ["u64", typed("u64", 2n ** 64n - 1n)],
  ])("has no token where an id is -1 as %s", (_, none) => {
    const { metadata } = read(altered({ "tokenizer.ggml.bos_token_id": none, "tokenizer.ggml.eos_token_id": none }));
    const { bosId, eosIds } = createTokenizer(vocabularyOf(metadata, 320));
    expect(bosId).toBe(undefined);
    expect(eosIds.size).toBe(1); // <|endoftext|>, by its name
  });

  it("has names and types of other kinds, which say nothing about the weights", () => {
    const odd = {
      "general.name": 7,
      "general.file_type": "Q4_0",
      "general.type": 1,
      "tokenizer.ggml.add_bos_token": 1,
    };
    const { name, quantization, metadata } = read(altered(odd));
    expect([name, quantization]).toEqual(["model.gguf", "Q4_0"]);
    expect(vocabularyOf(metadata, 320).addBos).toBe(true);
  });

  it("has fewer tokens than rows: the others are padding, which is never sampled", () => {
    const parts = randomModelParts({ vocabSize: 300 });
    const { metadata } = read(altered({ ...parts.metadata }));
    const tokenizer = createTokenizer(vocabularyOf(metadata, 320));
    expect(tokenizer.vocabSize).toBe(320);
    expect([299, 300, 319].map((id) => tokenizer.isPadding(id))).toEqual([true, true, true]);
    expect(tokenizer.decode(tokenizer.encode("the light"))).toBe("the light");
    expect(rowsInUse(metadata, 320)).toBe(rowsInUse(model().metadata, 320));
  });

  it("has more tokens than rows: refused when it is opened", () => {
    const parts = randomModelParts({ vocabSize: 352 });
    const error = failure(altered({ ...parts.metadata }));
    expect(error).toMatchObject({ code: "E_VOCABULARY", details: { file: FILE, tokens: 352, rows: 320 } });
  });
});

describe("a mixture of experts is called one", () => {
  it.each<[string, () => Uint8Array]>([
    ["by its count", () => altered({ "phi2.expert_count": 4 })],
    ["by numbered experts", () => altered({}, { "blk.0.ffn_up.weight": { name: "blk.0.ffn_up.0.weight" } })],
    ["by its stacked experts", () => altered({}, { "blk.1.ffn_up.weight": { name: "blk.1.ffn_up_exps.weight" } })],
  ])("%s", (_, bytes) => {
    const error = failure(bytes());
    expect(error.code).toBe("E_CONFIG");
    expect(error.message).toMatch(/mixture of (4|several) experts/);
  });
});

describe("tensors", () => {
  const names = randomModelParts().tensors.map(({ name }) => name);

  it.each(names)("are all needed: %s", (name) => {
    const error = failure(altered({}, { [name]: undefined }));
    expect(error.code).toBe("E_TENSOR_MISSING");
    expect(error.message).toContain(name);
  });

  it("are all needed where q, k, v are split", () => {
    const parts = randomModelParts({ fused: false });
    for (const part of ["q", "k", "v"]) {
      for (const kind of ["weight", "bias"]) {
        const tensors = parts.tensors.filter(({ name }) => name !== `blk.1.attn_${part}.${kind}`);
        expect(codeOf(writeGguf({ ...parts, tensors }))).toBe("E_TENSOR_MISSING");
      }
    }
  });

  it("are missing if the file states more layers than it has", () => {
    expect(failure(altered({ "phi2.block_count": 3 })).details.tensor).toBe("blk.2.attn_qkv.weight");
  });

  it("state the expected and the found shape", () => {
    const error = failure(altered({}, { "blk.1.ffn_down.weight": { shape: [64, 256] } }));
    expect(error).toMatchObject({
      code: "E_TENSOR_SHAPE",
      details: { tensor: "blk.1.ffn_down.weight", expected: [256, 64], found: [64, 256] },
    });
  });

  it.each<[string, readonly number[]]>([
    ["output.weight", [64, 288]],
    ["output.bias", [319]],
    ["output_norm.bias", [32]],
    ["blk.0.attn_norm.weight", [32, 2]],
    ["blk.0.ffn_up.weight", [64, 128, 2]],
    ["token_embd.weight", [32, 640]],
  ])("must have their shape: %s as %j", (name, shape) => {
    expect(codeOf(altered({}, { [name]: { shape } }))).toBe("E_TENSOR_SHAPE");
  });

  it("may have further dimensions of 1", () => {
    const shapes = { "output.bias": { shape: [320, 1] }, "blk.0.ffn_up.weight": { shape: [64, 256, 1, 1] } };
    expect(read(altered({}, shapes)).output.bias.k).toBe(320);
  });

  it("are not quantized where they are vectors", () => {
    const error = failure(altered({}, { "blk.0.attn_norm.bias": { type: "Q8_0" } }));
    expect(error).toMatchObject({ code: "E_TENSOR_TYPE", details: { tensor: "blk.0.attn_norm.bias", type: "Q8_0" } });
  });
});

describe("hostile files", () => {
  const bytes = randomModel({ layers: 1, vocabSize: 257 });
  const header = read(bytes).tokenEmbedding.offset;

  it("cut anywhere give a PiPhiError", () => {
    for (let length = 4; length < bytes.length - 32; length += length < header ? 7 : 1009) {
      expect([length, codeOf(bytes.slice(0, length))]).toEqual([length, "E_FILE_TRUNCATED"]);
    }
  });

  it("with bytes exchanged give a PiPhiError or a model", () => {
    const changes = fc.array(fc.tuple(fc.nat(header - 1), fc.nat(255)), { minLength: 1, maxLength: 4 });
    const property = fc.property(changes, (mutations) => {
      const copy = bytes.slice();
      for (const [at, value] of mutations) copy[at] = value;
      try {
        const manifest = read(copy);
        readVector(manifest.outputNorm.bias);
      } catch (error) {
        if (!(error instanceof PiPhiError)) throw error;
      }
    });
    fc.assert(property, { seed: 7, numRuns: 3000 });
  }, 60_000);
});
