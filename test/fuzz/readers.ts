/** All readers of files that others wrote. A new reader is an entry of READERS: files that are sound, and a way to read them. */

import { readFileSync } from "node:fs";
import { readChecked } from "../../devices/node/checked.ts";
import { nodeDevice } from "../../devices/node/device.ts";
import { load, packFile } from "../../devices/node/index.ts";
import { chooseKernels } from "../../runtime/compute/builds.ts";
import { allocateMemory, instantiateKernels } from "../../runtime/compute/instance.ts";
import type { Kernels } from "../../runtime/compute/kernels.ts";
import { RETILE_SCRATCH_BYTES } from "../../runtime/compute/sizes.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import type { Phi } from "../../runtime/index.ts";
import { createTokenizer } from "../../runtime/text/tokenizer.ts";
import { crc32 } from "../../runtime/weights/crc32.ts";
import { readGguf } from "../../runtime/weights/gguf.ts";
import { Loader, loadVectors, outputBytes, planLoad, stagingBytesOf } from "../../runtime/weights/load.ts";
import { openModel } from "../../runtime/weights/model.ts";
import { checksumText, originOf } from "../../runtime/weights/pack.ts";
import { BLOCK_TYPES } from "../../runtime/weights/tiles.ts";
import { verifyPack } from "../../runtime/weights/verify.ts";
import { vocabularyOf } from "../../runtime/weights/vocabulary.ts";
import { writeGguf } from "../fixtures/gguf-writer.ts";
import {
  memorySource,
  type RandomModelOptions,
  randomModel,
  randomModelParts,
  writeShards,
} from "../fixtures/random-model.ts";
import { temporaryFile, temporaryPath } from "../fixtures/temporary.ts";
import type { Files, Reader } from "./fuzz.ts";

const SMALL: RandomModelOptions = { layers: 1, hiddenSize: 32, heads: 2, vocabSize: 300, contextLength: 64 };
/** With a context that can roll. */
const ROLLING: RandomModelOptions = { ...SMALL, contextLength: 96, peaked: 5 };
const FILE = "fuzzed.gguf";

/** Opens a model of one file, uses it and closes it. */
function withModel(bytes: Uint8Array, use: (model: ReturnType<typeof openModel>) => void): void {
  const model = openModel((name) => memorySource(name, bytes), FILE, "int8");
  try {
    use(model);
  } finally {
    model.close();
  }
}

/** Where the weights begin: the header is what readers trust. */
const headerBytes = (file: Uint8Array): number => readGguf(memorySource(FILE, file)).dataOffset;

const header: Reader = {
  name: "header",
  share: 7,
  async seeds() {
    const numbers = ["u8", "i8", "u16", "i16", "u32", "i32", "f32", "bool", "u64", "i64", "f64"] as const;
    const every = Object.fromEntries(numbers.map((type) => [`a ${type}`, { type, value: 1 }]));
    const lists = Object.fromEntries(numbers.map((type) => [`list of ${type}`, { type, value: [1, 0, 1] }]));
    const texts = { text: "text", texts: ["a", ""], nested: [["x"], ["y", "z"]], "general.alignment": 64 };
    const tensor = { name: "t", shape: [32, 2], type: "Q4_0", data: new Uint8Array(36).fill(1) };
    const odd = writeGguf({ metadata: { ...every, ...lists, ...texts }, tensors: [tensor], alignment: undefined });
    return [[odd], [writeGguf({ metadata: {}, tensors: [], version: 2 })], [randomModel(SMALL)]];
  },
  focus: headerBytes,
  read: ([bytes]) => readGguf(memorySource(FILE, bytes)),
};

const manifest: Reader = {
  name: "manifest",
  share: 5,
  seeds: async () =>
    [{}, { fused: false }, { type: "Q8_0", vectorType: "F16" }].map((more) => [randomModel({ ...SMALL, ...more })]),
  focus: headerBytes,
  read: ([bytes]) =>
    withModel(bytes, ({ weights, shape }) =>
      loadVectors(weights.manifest!, shape, new ArrayBuffer(shape.vectors.bytes), 0),
    ),
};

const vocabulary: Reader = {
  name: "vocabulary",
  share: 4,
  seeds: async () => [{}, { pre: false }, { vocabSize: 320 }].map((more) => [randomModel({ ...SMALL, ...more })]),
  focus: headerBytes,
  read: ([bytes]) =>
    withModel(bytes, ({ metadata, config }) => {
      const tokenizer = createTokenizer(vocabularyOf(metadata, config.vocabSize));
      tokenizer.decode(tokenizer.encode("the light is  on\n\u00e9 <|endoftext|>", { control: true }));
    }),
};

/** The kernels that turn blocks into tiles, with the memory that they work in. */
let converter: Promise<{ kernels: Kernels; memory: WebAssembly.Memory }> | undefined;
const CONVERTER_BYTES = 8 << 20;
const OUTPUT = 4 << 20;

async function convert(bytes: Uint8Array): Promise<void> {
  converter ??= (async () => {
    const device = nodeDevice();
    const { module } = await chooseKernels(device, "simd");
    const memory = allocateMemory(CONVERTER_BYTES, true);
    return { kernels: instantiateKernels(device, module, memory), memory };
  })();
  const { kernels, memory } = await converter;
  withModel(bytes, ({ weights, shape, sources }) => {
    if (weights.manifest === undefined) return;
    const stagingBytes = stagingBytesOf(weights.manifest);
    const plan = planLoad(weights.manifest, shape, 0, stagingBytes);
    const most = Math.max(...plan.pieces.map(outputBytes));
    if (65536 + stagingBytes + RETILE_SCRATCH_BYTES > OUTPUT || most > CONVERTER_BYTES - OUTPUT) return;
    const pieces = plan.pieces.map((piece) => ({ ...piece, to: OUTPUT }));
    const loader = new Loader({ ...plan, pieces }, sources, kernels, memory.buffer, 65536, stagingBytes);
    for (const index of pieces.keys()) loader.load(index);
  });
}

const weights: Reader = {
  name: "weights",
  share: 2,
  seeds: async () =>
    [...BLOCK_TYPES.values()].map(({ name, elements }) => [
      randomModel({ ...SMALL, hiddenSize: elements === 256 ? 256 : 32, type: name }),
    ]),
  read: ([bytes]) => convert(bytes),
};

const CHECKSUM_KEY = "piphi.pack.checksum";

const packs: Reader = {
  name: "packs",
  share: 2,
  async seeds() {
    const files = [{}, { fused: false, type: "Q8_0" }].map(async (more, i) => {
      const pack = temporaryPath(`fuzzed-${i}.pack.gguf`);
      await packFile(temporaryFile(`fuzzed-${i}.gguf`, randomModel({ ...SMALL, ...more })), pack);
      return [new Uint8Array(readFileSync(pack))];
    });
    return Promise.all(files);
  },
  focus: (file) => Buffer.from(file).lastIndexOf(CHECKSUM_KEY),
  mend(file) {
    const buffer = Buffer.from(file.buffer, file.byteOffset, file.length);
    const key = buffer.lastIndexOf(CHECKSUM_KEY);
    const at = key + CHECKSUM_KEY.length + 4 + 8;
    if (key < 0 || at + 8 > file.length) return;
    buffer.write("00000000", at, "latin1");
    try {
      const end = readGguf(memorySource(FILE, file)).tensors.find(({ name }) => name === "blk.0.vectors")?.offset;
      buffer.write(checksumText(crc32(file.subarray(0, end))), at, "latin1");
    } catch {
      // Damaged so that it has no data to begin before.
    }
  },
  async read([bytes]) {
    const model = openModel((name) => memorySource(name, bytes), FILE, "int8");
    model.close();
    if (model.weights.pack === undefined) return;
    originOf(model.metadata);
    await verifyPack(model.weights.pack, () => {});
  },
};

let phi: Promise<Phi> | undefined;

async function restore(bytes: Uint8Array): Promise<void> {
  phi ??= load(temporaryFile("sessions.gguf", randomModel(ROLLING)), { threads: 1 });
  const session = await (await phi).restore(bytes);
  try {
    await session.generate("the", { maxTokens: 1 });
  } finally {
    await session.close();
  }
}

const SESSION_PREAMBLE_BYTES = 20;

const sessions: Reader = {
  name: "sessions",
  share: 3,
  async seeds() {
    const model = await load(temporaryFile("sessions.gguf", randomModel(ROLLING)), { threads: 1 });
    const save = async (maxTokens: number, overflow: "roll" | "stop") => {
      const session = await model.session({ prefix: "the light" });
      await session.generate(" and the light", { maxTokens, overflow, ignoreEos: true });
      return [await session.export({ note: "a note" })];
    };
    const saved = [await save(3, "stop"), await save(20, "stop"), await save(90, "roll")];
    await model.close();
    return saved;
  },
  focus: () => 700,
  mend(file) {
    if (file.length < SESSION_PREAMBLE_BYTES + 4) return;
    const view = new DataView(file.buffer, file.byteOffset, file.length);
    const end = SESSION_PREAMBLE_BYTES + view.getUint32(12, true);
    if (end > file.length - 4) return;
    view.setUint32(16, crc32(file.subarray(SESSION_PREAMBLE_BYTES, end)), true);
    view.setUint32(file.length - 4, crc32(file.subarray(end, file.length - 4)), true);
  },
  read: ([bytes]) => restore(bytes),
  async close() {
    await (await phi)?.close();
    phi = undefined;
  },
};

const partName = (index: number, count: number): string =>
  `phi-${String(index + 1).padStart(5, "0")}-of-${String(count).padStart(5, "0")}.gguf`;

const split: Reader = {
  name: "split",
  share: 4,
  seeds: async () => [2, 3].map((count) => writeShards(randomModelParts(SMALL), count)),
  focus: headerBytes,
  read(files: Files) {
    const open = (name: string) => {
      const at = files.findIndex((_, i) => partName(i, files.length) === name);
      if (at < 0) throw new PiPhiError("E_NOT_FOUND", `There is no ${name}.`);
      return memorySource(name, files[at]);
    };
    openModel(open, partName(0, files.length), "int8").close();
  },
};

const checked: Reader = {
  name: "checked",
  share: 1,
  async seeds() {
    const lines = ['[["/a b.gguf",1,2,3,4,5]]\t', '[["/c\\n.gguf",1,2,3,4,5]]\tabcdef', "/old 1 2 3", ""];
    return [[new TextEncoder().encode(lines.join("\n"))]];
  },
  read([bytes]) {
    const known = readChecked(new TextDecoder().decode(bytes));
    if ([...known.values()].some((digest) => typeof digest !== "string")) throw new Error("a digest that is no text");
  },
};

export const READERS: readonly Reader[] = [header, manifest, vocabulary, weights, packs, sessions, split, checked];
