/** Pack files: what is in them, and what becomes of damaged ones. */

import { execFileSync, spawn } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
} from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openFile } from "../../devices/node/files.ts";
import { checkPack, load, packFile } from "../../devices/node/index.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { crc32 } from "../../runtime/weights/crc32.ts";
import { readGguf } from "../../runtime/weights/gguf.ts";
import { openModel } from "../../runtime/weights/model.ts";
import { packTensors } from "../../runtime/weights/pack.ts";
import { memorySource, randomModel, randomModelParts, writeShards } from "../fixtures/random-model.ts";
import { temporaryFile, temporaryPath } from "../fixtures/temporary.ts";

const MODEL = { hiddenSize: 256, heads: 4, contextLength: 64 };
const DIST = new URL("../../dist/devices/node/index.js", import.meta.url).href;

const codeOf = (action: () => unknown): string => {
  try {
    action();
    return "fine";
  } catch (error) {
    if (error instanceof PiPhiError) return error.code;
    throw error;
  }
};
const openBytes = (bytes: Uint8Array) => openModel((name) => memorySource(name, bytes), "x.pack.gguf", "int8").close();

const smallDisk = mountSmallDisk();
afterAll(() => {
  if (smallDisk) execFileSync("umount", [smallDisk]);
});

let source: string;
let pack: string;
let bytes: Uint8Array;
beforeAll(async () => {
  source = temporaryFile("source.gguf", randomModel(MODEL));
  pack = temporaryPath("a.pack.gguf");
  expect(await packFile(source, pack)).toBe(statSync(pack).size);
  bytes = new Uint8Array(readFileSync(pack));
});

test("crc32 is the usual one", () => {
  expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
});

describe("a pack", () => {
  test("is a GGUF file with aligned tensors in the order of use, and keeps the tokenizer", () => {
    const gguf = readGguf(memorySource("a", bytes));
    expect(gguf).toMatchObject({ version: 3, alignment: 65536 });
    const names = gguf.tensors.map(({ name }) => name);
    expect(names.slice(0, 4)).toEqual(["blk.0.vectors", "blk.1.vectors", "output.vectors", "token_embd.weight"]);
    expect(names.slice(4)).toEqual([
      ...[0, 1].flatMap((i) =>
        ["attn_qkv", "ffn_up", "attn_output", "ffn_down"].map((part) => `blk.${i}.${part}.weight`),
      ),
      "output.weight",
    ]);
    for (const [i, { offset }] of gguf.tensors.entries()) {
      expect((offset - gguf.dataOffset) % 65536).toBe(0);
      if (i > 0) expect(offset).toBeGreaterThan(gguf.tensors[i - 1].offset);
    }
    const before = readGguf(memorySource("b", readFileSync(source))).metadata;
    for (const [key, value] of before) if (key !== "general.alignment") expect(gguf.metadata.get(key)).toEqual(value);
  });

  test.each([
    ["Q4_0, split", { ...MODEL, fused: false }],
    ["Q4_K, Q6_K head", { ...MODEL, type: "Q4_K", outputType: "Q6_K" }],
    ["Q8_0", { ...MODEL, type: "Q8_0" }],
    ["F16", { ...MODEL, type: "F16" }],
    ["F16 kept exactly", { ...MODEL, type: "F16" }, "exact"],
  ] as const)(
    "%s: gives the same log-probabilities as its source",
    async (_, model, dense: "int8" | "exact" = "int8") => {
      const file = temporaryFile("s.gguf", randomModel(model));
      const own = temporaryPath("s.pack.gguf");
      await packFile(file, own, { dense });
      await checkPack(own);
      const scores = [];
      for (const name of [file, own]) {
        const phi = await load(name, { dense });
        const { ids, positions } = await phi.score("the light", { top: 5 });
        scores.push({ ids, positions, quantization: phi.info.quantization });
        await phi.close();
      }
      expect(scores[1]).toEqual(scores[0]);
    },
  );

  test("can be made of several parts, and twice into the same file", async () => {
    const parts = writeShards(randomModelParts(MODEL), 3);
    const files = parts.map((part, i) => temporaryFile(`parts-0000${i + 1}-of-00003.gguf`, part));
    const own = temporaryPath("parts.pack.gguf");
    await packFile(files[1], own);
    await packFile(files[0], own);
    const { shape, close } = openModel(openFile, own, "int8");
    close();
    expect(shape.bytes + readGguf(memorySource("p", readFileSync(own))).dataOffset).toBe(statSync(own).size);
    await checkPack(own);
  });

  test("of a pack is refused", async () => {
    await expect(packFile(pack, temporaryPath("b.pack.gguf"))).rejects.toMatchObject({ code: "E_USAGE" });
    await expect(checkPack(source)).rejects.toMatchObject({ code: "E_USAGE" });
  });

  test("lists each tensor once", () => {
    const { config, shape, close } = openModel(openFile, source, "int8");
    close();
    const kinds = {
      layers: shape.layers.map(() => ({ qkv: ["q4"], attnOutput: "q4", ffnUp: "q4", ffnDown: "q4" }) as const),
    };
    const names = packTensors(config, shape, { ...kinds, output: "q4", embedding: shape.embedding }).map(
      ({ name }) => name,
    );
    expect(new Set(names).size).toBe(names.length);
  });
});

describe("a damaged pack", () => {
  test("cut anywhere is incomplete, or no pack", () => {
    for (const share of [0, 0.001, 0.01, 0.3, 0.7, 0.999]) {
      const cut = bytes.subarray(0, Math.floor(bytes.length * share));
      expect(["E_FILE_TRUNCATED", "E_NOT_GGUF", "E_FILE_CORRUPT"]).toContain(codeOf(() => openBytes(cut)));
    }
  });

  test("with any bit of its header flipped is refused with a typed error", () => {
    const { dataOffset, tensors } = readGguf(memorySource("a", bytes));
    const used = dataOffset - 1;
    expect(tensors.length).toBeGreaterThan(0);
    fc.assert(
      fc.property(fc.nat(used), fc.nat(7), (at, bit) => {
        const flipped = bytes.slice();
        flipped[at] ^= 1 << bit;
        expect(codeOf(() => openBytes(flipped))).not.toBe("fine");
      }),
      { numRuns: 150 },
    );
  });

  test("with a flipped bit among its weights is found by its checksums", async () => {
    const { tensors } = readGguf(memorySource("a", bytes));
    for (const { name, offset, bytes: size } of [tensors[0], tensors[3], tensors[tensors.length - 1]]) {
      const flipped = bytes.slice();
      flipped[offset + (size >> 1)] ^= 16;
      const file = temporaryFile("flipped.pack.gguf", flipped);
      await expect(checkPack(file)).rejects.toMatchObject({ code: "E_FILE_CORRUPT", details: { tensor: name } });
    }
    await checkPack(pack);
  });

  test("of another version says how to make a new one", () => {
    const other = bytes.slice();
    const key = Buffer.from(other).indexOf("piphi.pack.version") + "piphi.pack.version".length + 4;
    other[key] = 9;
    expect(() => openBytes(other)).toThrow(/version 9.*Pack the model again/);
    expect(codeOf(() => openBytes(other))).toBe("E_PACK_VERSION");
  });
});

describe("packing", () => {
  const leftovers = (folder: string) => readdirSync(folder).filter((name) => name.includes(".part"));

  test("that is cancelled leaves nothing", async () => {
    const own = temporaryPath("cancelled.pack.gguf");
    await expect(packFile(source, own, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: "E_CANCELLED" });
    expect([existsSync(own), leftovers(path.dirname(own))]).toEqual([false, []]);
  });

  test("that is killed leaves no file under the name, and the next attempt works", async () => {
    const large = temporaryFile("large.gguf", randomModel({ ...MODEL, layers: 24 }));
    const own = temporaryPath("killed.pack.gguf");
    const script = `import { packFile } from ${JSON.stringify(DIST)};
      await packFile(${JSON.stringify(large)}, ${JSON.stringify(own)}, { onProgress: () => process.stdout.write(".") });`;
    for (let attempt = 0; attempt < 3; attempt++) {
      const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
        stdio: ["ignore", "pipe", "ignore"],
      });
      const ended = new Promise((resolve) => child.on("exit", resolve));
      await new Promise((resolve) => child.stdout.once("data", resolve).once("end", resolve));
      child.kill("SIGKILL");
      await ended;
      if (existsSync(own)) openModel(openFile, own, "int8").close();
    }
    await packFile(large, own);
    await checkPack(own);
    expect(leftovers(path.dirname(own))).toEqual([]);
  });

  test("a damaged source leaves nothing", async () => {
    const short = temporaryPath("short.gguf");
    copyFileSync(source, short);
    truncateSync(short, statSync(source).size - 10_000);
    const own = temporaryPath("short.pack.gguf");
    await expect(packFile(short, own)).rejects.toMatchObject({ code: "E_FILE_TRUNCATED" });
    expect(existsSync(own)).toBe(false);
  });

  test("into a folder that is not there, or that may not be written", async () => {
    const nowhere = path.join(temporaryPath("no-such-folder"), "a.pack.gguf");
    await expect(packFile(source, nowhere)).rejects.toMatchObject({ code: "E_FILE_WRITE" });
    if (process.getuid?.() === 0) return; // root may write everywhere
    const locked = path.dirname(temporaryFile("locked/../x", ""));
    chmodSync(locked, 0o500);
    await expect(packFile(source, path.join(locked, "b.pack.gguf"))).rejects.toMatchObject({ code: "E_FILE_WRITE" });
    chmodSync(locked, 0o700);
  });

  test.skipIf(smallDisk === undefined)("onto a full disk (needs root on Linux: a small tmpfs is mounted)", async () => {
    const full = packFile(source, path.join(smallDisk!, "a.pack.gguf"));
    await expect(full).rejects.toMatchObject({ code: "E_DISK_FULL" });
    expect(readdirSync(smallDisk!)).toEqual([]);
  });
});

/** A file system of one megabyte; undefined where none may be mounted. */
function mountSmallDisk(): string | undefined {
  const folder = path.dirname(temporaryFile("disk", ""));
  const disk = path.join(folder, "small");
  mkdirSync(disk);
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], { stdio: "ignore" });
    return disk;
  } catch {
    return undefined;
  }
}
