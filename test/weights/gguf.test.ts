import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ByteSource } from "../../runtime/device.ts";
import { type ErrorCode, PiPhiError } from "../../runtime/errors.ts";
import { readGguf } from "../../runtime/weights/gguf.ts";
import { type WritableGguf, type WritableTensor, type WritableValue, writeGguf } from "../fixtures/gguf-writer.ts";
import { memorySource } from "../fixtures/random-model.ts";

const FILE = "model.gguf";
const read = (bytes: Uint8Array) => readGguf(memorySource(FILE, bytes));

const tensor = (name: string, more: Partial<WritableTensor> = {}): WritableTensor => {
  return { name, shape: [32, 2], type: "Q4_0", data: new Uint8Array(36).fill(name.length), ...more };
};

const tiny = (more: Partial<WritableGguf> = {}): Uint8Array => {
  const metadata: Record<string, WritableValue> = {
    "general.architecture": "phi2",
    "tokenizer.ggml.tokens": ["a", "Ġb", "\ufeffé", ""],
    "tokenizer.ggml.token_type": { type: "i32", value: [1, 1, 3, -1] },
  };
  return writeGguf({ metadata, tensors: [tensor("first"), tensor("second", { shape: [64] })], ...more });
};

/** Runs `action`, which must throw a PiPhiError whose message names a remedy. */
function failure(action: () => unknown): PiPhiError {
  try {
    action();
  } catch (error) {
    if (!(error instanceof PiPhiError)) throw error;
    expect(error.message).toMatch(/\.$/);
    return error;
  }
  throw new Error("nothing was thrown");
}

const codeOf = (bytes: Uint8Array): ErrorCode => failure(() => read(bytes)).code;

function indexOfText(bytes: Uint8Array, text: string): number {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(text);
}

function patched(bytes: Uint8Array, write: (view: DataView) => void): Uint8Array {
  const copy = bytes.slice();
  write(new DataView(copy.buffer));
  return copy;
}

describe("a well-formed file", () => {
  it.each([2, 3])("of version %i is read", (version) => {
    const bytes = tiny({ version });
    const file = read(bytes);
    expect(file).toMatchObject({ version, alignment: 32 });
    expect(file.tensors.map(({ name, shape, bytes: size }) => [name, shape, size])).toEqual([
      ["first", [32, 2], 36],
      ["second", [64], 36],
    ]);
    for (const { name, type, offset } of file.tensors) {
      expect(type.name).toBe("Q4_0");
      expect(bytes.subarray(offset, offset + 36)).toEqual(new Uint8Array(36).fill(name.length));
    }
  });

  it.each([32, 65536])("may align its data to %i bytes", (alignment) => {
    const file = read(tiny({ alignment }));
    expect(file.alignment).toBe(alignment);
    expect(file.dataOffset % alignment).toBe(0);
    expect(file.tensors.map(({ offset }) => offset - file.dataOffset)).toEqual([0, Math.max(64, alignment)]);
  });

  it("states values of every type", () => {
    const metadata: [string, WritableValue][] = [
      ["u8", { type: "u8", value: 255 }],
      ["i8", { type: "i8", value: -128 }],
      ["u16", { type: "u16", value: 65535 }],
      ["i16", { type: "i16", value: -32768 }],
      ["u32", 4294967295],
      ["i32", { type: "i32", value: -2147483648 }],
      ["f32", 0.5],
      ["f64", { type: "f64", value: 0.1 }],
      ["u64", { type: "u64", value: 2n ** 53n - 1n }],
      ["i64", { type: "i64", value: -(2n ** 53n) + 1n }],
      ["bool", true],
      ["text", "naïve \u{1f600}"],
      ["texts", ["", "\ufeffx"]],
      ["bools", { type: "bool", value: [true, false] }],
      ["longs", { type: "i64", value: [-1n, 2n ** 40n] }],
      ["floats", { type: "f32", value: [1, -0.25] }],
      ["nested", [["a"], ["b", "c"]]],
    ];
    const found = read(writeGguf({ metadata, tensors: [] })).metadata;
    const plain = Array.from(found, ([key, value]) => [key, ArrayBuffer.isView(value) ? Array.from(value) : value]);
    expect(Object.fromEntries(plain)).toEqual({
      u8: 255,
      i8: -128,
      u16: 65535,
      i16: -32768,
      u32: 4294967295,
      i32: -2147483648,
      f32: 0.5,
      f64: 0.1,
      u64: 2 ** 53 - 1,
      i64: -(2 ** 53) + 1,
      bool: true,
      text: "naïve \u{1f600}",
      texts: ["", "\ufeffx"],
      bools: [1, 0],
      longs: [-1, 2 ** 40],
      floats: [1, -0.25],
      nested: [["a"], ["b", "c"]],
    });
    expect(found.optionalNumberArray("floats")).toBeInstanceOf(Float32Array);
  });

  it("is read in few pieces, even where its strings cross them", () => {
    const tokens = Array.from({ length: 3000 }, (_, i) => String.fromCodePoint(0x100 + i).repeat(i));
    const bytes = tiny({ metadata: { tokens } });
    expect(bytes.length).toBeGreaterThan(8 << 20);
    const source = memorySource(FILE, bytes);
    let reads = 0;
    const counted: ByteSource = {
      ...source,
      read(offset, into) {
        reads++;
        source.read(offset, into);
      },
    };
    expect(readGguf(counted).metadata.getStringArray("tokens")).toEqual(tokens);
    expect(reads).toBeLessThan(8);
  });

  it("shows its metadata before its tensors", () => {
    const bytes = tiny({ tensors: [tensor("odd", { type: 39 })] });
    const refuse = (): never => {
      throw new PiPhiError("E_ARCHITECTURE", "No.");
    };
    expect(failure(() => readGguf(memorySource(FILE, bytes), refuse)).code).toBe("E_ARCHITECTURE");
  });
});

describe("typed getters", () => {
  const { metadata } = read(tiny());

  it("give values, and undefined for absent optional keys", () => {
    expect(metadata.getString("general.architecture")).toBe("phi2");
    expect(metadata.getStringArray("tokenizer.ggml.tokens")).toEqual(["a", "Ġb", "\ufeffé", ""]);
    expect(metadata.optionalNumberArray("tokenizer.ggml.token_type")).toEqual(Int32Array.of(1, 1, 3, -1));
    expect(metadata.optionalInteger("absent")).toBeUndefined();
  });

  it.each([
    () => metadata.getString("tokenizer.ggml.tokens"),
    () => metadata.getStringArray("tokenizer.ggml.token_type"),
    () => metadata.optionalNumber("tokenizer.ggml.tokens"),
    () => metadata.optionalInteger("general.architecture"),
    () => metadata.optionalBoolean("general.architecture"),
    () => metadata.optionalNumberArray("tokenizer.ggml.tokens"),
    () => metadata.getString("absent.architecture"),
  ])("throw with the key's name: %s", (get) => {
    const error = failure(get);
    expect(error.code).toBe("E_FILE_CORRUPT");
    expect(error.message).toMatch(/tokenizer\.ggml|architecture/);
  });
});

describe("a file that is no GGUF", () => {
  const text = (content: string) => Uint8Array.from(content, (character) => character.charCodeAt(0));
  it.each([
    ["empty", text(""), /is empty/],
    ["two letters", text("GG"), /letters GGUF/],
    ["a web page", text("\n<!DOCTYPE html><html>"), /HTML/],
    ["a pointer", text("version https://git-lfs.github.com/spec/v1\noid sha256:00"), /git lfs pull/],
    ["safetensors", text('\x10\0\0\0\0\0\0\0{"__metadata__":{}}'), /safetensors/],
    ["zip", text("PK\x03\x04rest of it"), /zip/],
    ["gzip", text("\x1f\x8b\x08\0"), /gunzip/],
    ["pickle", text("\x80\x02}q"), /PyTorch/],
    ["GGML", text("tjgg\x03\0\0\0"), /before GGUF/],
    ["JSON", text('{"error":"not found"}'), /JSON/],
    ["zeros", new Uint8Array(5000), /zeros/],
    ["noise", text("MZ\x90\0\x03"), /letters GGUF/],
  ])("is recognised: %s", (_, bytes, message) => {
    const error = failure(() => read(bytes));
    expect(error.code).toBe("E_NOT_GGUF");
    expect(error.message).toMatch(message);
  });

  it("states which version it is where only that is wrong", () => {
    const version = (value: number) => failure(() => read(tiny({ version: value })));
    expect(version(1)).toMatchObject({ code: "E_GGUF_VERSION", message: expect.stringContaining("version 1") });
    expect(version(0x03000000)).toMatchObject({
      code: "E_GGUF_VERSION",
      message: expect.stringContaining("big-endian"),
    });
    expect(version(4)).toMatchObject({ code: "E_GGUF_VERSION", details: { version: 4, bigEndian: false } });
  });
});

describe("a damaged file", () => {
  const TENSORS_AT = 8;
  const KEYS_AT = 16;
  const FIRST_KEY_LENGTH_AT = 24;

  it("is refused at every length short of its own, as a truncated one", () => {
    const bytes = tiny();
    const end = Math.max(...read(bytes).tensors.map((entry) => entry.offset + entry.bytes));
    for (let length = 4; length < end; length++) {
      expect([length, codeOf(bytes.slice(0, length))]).toEqual([length, "E_FILE_TRUNCATED"]);
    }
    expect(read(bytes.slice(0, end)).tensors).toHaveLength(2);
  });

  it.each([TENSORS_AT, KEYS_AT, FIRST_KEY_LENGTH_AT])("is refused with 2^63 in the count at byte %i", (at) => {
    for (const count of [2n ** 63n, 2n ** 64n - 1n, 2n ** 32n, 2n ** 31n]) {
      expect(codeOf(patched(tiny(), (view) => view.setBigUint64(at, count, true)))).toBe("E_FILE_CORRUPT");
    }
  });

  it.each([TENSORS_AT, KEYS_AT, FIRST_KEY_LENGTH_AT])(
    "is incomplete if the count at byte %i needs more bytes",
    (at) => {
      expect(codeOf(patched(tiny(), (view) => view.setBigUint64(at, 65_000n, true)))).toBe("E_FILE_TRUNCATED");
    },
  );

  it("is refused for array lengths and string lengths beyond its end, before they are allocated", () => {
    const bytes = tiny();
    const array = indexOfText(bytes, "ggml.tokens") + "ggml.tokens".length + 8;
    const item = array + 8;
    for (const at of [array, item]) {
      expect(codeOf(patched(bytes, (view) => view.setBigUint64(at, 20_000_000n / 8n, true)))).toBe("E_FILE_TRUNCATED");
      expect(codeOf(patched(bytes, (view) => view.setBigUint64(at, 2n ** 63n, true)))).toBe("E_FILE_CORRUPT");
    }
  });

  const deep = (depth: number): WritableValue => (depth === 0 ? ["leaf"] : [deep(depth - 1)]);
  it.each<[string, ErrorCode, () => Uint8Array]>([
    ["a repeated key", "E_FILE_CORRUPT", () => tiny({ metadata: new Array(2).fill(["key", 1]) })],
    ["a repeated tensor", "E_FILE_CORRUPT", () => tiny({ tensors: [tensor("same"), tensor("same")] })],
    ["deep arrays", "E_FILE_CORRUPT", () => tiny({ metadata: { key: deep(4) } })],
    ["many arrays in arrays", "E_FILE_CORRUPT", () => tiny({ metadata: { key: new Array(70_000).fill([]) } })],
    ["an odd alignment", "E_FILE_CORRUPT", () => tiny({ metadata: { "general.alignment": 48 } })],
    ["no alignment", "E_FILE_CORRUPT", () => tiny({ metadata: { "general.alignment": 0 } })],
    ["a huge alignment", "E_FILE_CORRUPT", () => tiny({ metadata: { "general.alignment": 2 ** 31 } })],
    ["alignment as text", "E_FILE_CORRUPT", () => tiny({ metadata: { "general.alignment": "32" } })],
    ["no dimensions", "E_FILE_CORRUPT", () => tiny({ tensors: [tensor("t", { shape: [] })] })],
    ["five dimensions", "E_FILE_CORRUPT", () => tiny({ tensors: [tensor("t", { shape: [32, 1, 1, 1, 1] })] })],
    ["a dimension of zero", "E_FILE_CORRUPT", () => tiny({ tensors: [tensor("t", { shape: [32, 0] })] })],
    ["2^64 elements", "E_FILE_CORRUPT", () => tiny({ tensors: [tensor("t", { shape: [2 ** 32, 2 ** 32] })] })],
    ["0 times 2^63", "E_FILE_CORRUPT", () => tiny({ tensors: [tensor("t", { shape: [2n ** 63n, 2n ** 63n, 0] })] })],
    ["an offset off the grid", "E_FILE_CORRUPT", () => tiny({ tensors: [tensor("t", { offset: 16 })] })],
    ["an offset of 2^63", "E_FILE_CORRUPT", () => tiny({ tensors: [tensor("t", { offset: 2n ** 63n })] })],
    ["tensors on one place", "E_FILE_CORRUPT", () => tiny({ tensors: [tensor("a"), tensor("b", { offset: 32 })] })],
    ["a tensor beyond the end", "E_FILE_TRUNCATED", () => tiny({ tensors: [tensor("t", { offset: 64 })] })],
    ["more rows than data", "E_FILE_TRUNCATED", () => tiny({ tensors: [tensor("t", { shape: [32, 2 ** 30] })] })],
    ["half a block", "E_TENSOR_SHAPE", () => tiny({ tensors: [tensor("t", { shape: [48] })] })],
    ["half a K block", "E_TENSOR_SHAPE", () => tiny({ tensors: [tensor("t", { type: "Q4_K", shape: [128, 2] })] })],
  ])("is refused for %s", (_, code, bytes) => {
    expect(codeOf(bytes())).toBe(code);
  });

  it("is refused for a value type that does not exist", () => {
    const bytes = tiny({ metadata: { key: true } });
    const type = indexOfText(bytes, "key") + 3;
    expect(codeOf(patched(bytes, (view) => view.setUint32(type, 13, true)))).toBe("E_FILE_CORRUPT");
  });

  it.each([
    [16, "IQ2_XXS"],
    [34, "TQ1_0"],
    [39, "MXFP4"],
    [1234, "1234"],
  ])("names the tensor type %i as %s, and those that work", (type, name) => {
    const error = failure(() => read(tiny({ tensors: [tensor("odd.weight", { type })] })));
    expect(error.code).toBe("E_TENSOR_TYPE");
    expect(error.message).toContain("odd.weight");
    expect(error.message).toContain(name);
    expect(error.message).toContain("Q4_K");
  });

  it("cannot steer a terminal by its names", () => {
    const name = `\u001b[2J\u202e\n${"x".repeat(200)}`;
    const { message } = failure(() => read(tiny({ tensors: [tensor(name), tensor(name)] })));
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the ones that must not appear
    expect(message).not.toMatch(/[\u0000-\u001f\u202e]/);
    expect(message.length).toBeLessThan(250);
  });
});

describe("mutations", () => {
  const survives = (bytes: Uint8Array): void => {
    try {
      read(bytes);
    } catch (error) {
      if (!(error instanceof PiPhiError)) throw error;
    }
  };
  const nested = { "general.alignment": 32, list: [["x"], ["yz"]], long: { type: "u64", value: [1n, 2n] } } as const;
  const files = [tiny(), tiny({ metadata: nested, tensors: [tensor("t", { type: "F32", shape: [3, 3] })] })];

  it("of single bits give a PiPhiError or a model", () => {
    for (const bytes of files) {
      for (let bit = 0; bit < bytes.length * 8; bit++) {
        const copy = bytes.slice();
        copy[bit >> 3] ^= 1 << (bit & 7);
        survives(copy);
      }
    }
  });

  it("of several bytes, cut anywhere, give a PiPhiError or a model", () => {
    const mutation = fc.tuple(fc.nat(), fc.constantFrom(0, 1, 8, 9, 10, 0x7f, 0x80, 0xff));
    const mutations = fc.array(mutation, { minLength: 1, maxLength: 12 });
    const property = fc.property(fc.constantFrom(...files), mutations, fc.nat(), (bytes, changes, cut) => {
      const copy = bytes.slice(0, cut % 3 === 0 ? cut % bytes.length : bytes.length);
      for (const [at, value] of changes) if (copy.length > 4) copy[4 + (at % (copy.length - 4))] = value;
      survives(copy);
    });
    fc.assert(property, { seed: 20240131, numRuns: 20_000 });
  }, 60_000);
});
