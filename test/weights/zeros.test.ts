/** Files whose download was interrupted after their full size had been taken: refused by name, in memory and as a pack. */

import { existsSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { nodeDevice } from "../../devices/node/device.ts";
import { packFile } from "../../devices/node/index.ts";
import { Engine } from "../../runtime/engine/engine.ts";
import { findZeros } from "../../runtime/weights/zeros.ts";
import { type WritableTensor, writeGguf } from "../fixtures/gguf-writer.ts";
import { randomModelParts } from "../fixtures/random-model.ts";
import { temporaryFile, temporaryPath } from "../fixtures/temporary.ts";

const STRETCH = 256 << 10;
const MODEL = { layers: 1, hiddenSize: 256, heads: 4, vocabSize: 4000, contextLength: 64 };

/** A model of which `spoil` changes one tensor's bytes. */
function spoiled(name: string, tensor: string, spoil: (data: Uint8Array) => void): string {
  const parts = randomModelParts(MODEL);
  spoil((parts.tensors.find((each) => each.name === tensor) as WritableTensor).data);
  return temporaryFile(name, writeGguf(parts));
}

async function load(file: string): Promise<void> {
  const engine = await Engine.load(nodeDevice(), file, { threads: 2 }, () => {});
  await engine.close();
}

const zeroFrom = (from: number) => (data: Uint8Array) => void data.fill(0, from);

describe("a model file with zeros", () => {
  test.each<[string, (data: Uint8Array) => void]>([
    ["blk.0.ffn_up.weight", zeroFrom(0)],
    ["blk.0.attn_qkv.weight", zeroFrom(0)],
    ["blk.0.attn_norm.weight", zeroFrom(0)],
    ["output_norm.weight", zeroFrom(0)],
  ])("in all of %s is refused, and not packed", async (tensor, spoil) => {
    const file = spoiled("zeros.gguf", tensor, spoil);
    const fault = { code: "E_FILE_CORRUPT", message: expect.stringContaining(tensor), details: { tensor } };
    await expect(load(file)).rejects.toMatchObject(fault);
    const pack = temporaryPath("zeros.pack.gguf");
    await expect(packFile(file, pack)).rejects.toMatchObject(fault);
    expect(existsSync(pack)).toBe(false);
  });

  test("in rows that stand for no token, and in biases, is as good as any", async () => {
    const unused = Math.round((300 / MODEL.vocabSize) * 100) / 100;
    for (const tensor of ["token_embd.weight", "output.weight"]) {
      await load(spoiled("padding.gguf", tensor, (data) => void data.fill(0, Math.ceil(data.length * unused))));
    }
    await load(spoiled("bias.gguf", "blk.0.ffn_up.bias", zeroFrom(0)));
  });
});

describe("a stretch of zeros", () => {
  const large = () => new Uint8Array(8 * STRETCH).fill(1);

  test.each([0, 1, 1000, STRETCH, 3 * STRETCH + 77, 6.5 * STRETCH])("is found from %i on", (from) => {
    const bytes = large().fill(0, from, from + 1.5 * STRETCH);
    const at = findZeros(bytes, bytes.length);
    expect(at).toBeGreaterThanOrEqual(from);
    expect(at).toBeLessThanOrEqual(from + STRETCH / 2);
  });

  test("that is shorter is none, unless it is all", () => {
    const bytes = large().fill(0, 1000, 1000 + STRETCH - 1);
    expect(findZeros(bytes, bytes.length)).toBe(-1);
    expect(findZeros(new Uint8Array(100), 100)).toBe(0);
    expect(findZeros(new Uint8Array(100), 200)).toBe(-1);
    expect(findZeros(new Uint8Array(100).fill(1, 99), 100)).toBe(-1);
    expect(findZeros(new Uint8Array(0), 0)).toBe(-1);
  });
});
