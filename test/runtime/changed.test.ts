/** Files that change while a model answers from them, and what closing a model leaves. */

import { closeSync, copyFileSync, openSync, utimesSync, writeSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { nodeDevice } from "../../devices/node/device.ts";
import { packFile } from "../../devices/node/index.ts";
import type { Device } from "../../runtime/device.ts";
import { Engine } from "../../runtime/engine/engine.ts";
import { type WritableValue, writeGguf } from "../fixtures/gguf-writer.ts";
import { randomModel, randomModelParts } from "../fixtures/random-model.ts";
import { temporaryFile, temporaryPath } from "../fixtures/temporary.ts";

const MODEL = { layers: 12, hiddenSize: 256, heads: 4, contextLength: 128, peaked: 5 };
const OPTIONS = { maxTokens: 12, ignoreEos: true, drafts: 0 };

let pack: string;
let weightBytes: number;
beforeAll(async () => {
  pack = temporaryPath("whole.pack.gguf");
  weightBytes = await packFile(temporaryFile("whole.gguf", randomModel(MODEL)), pack);
});

/** Writes other weights into the middle of a file; `hidden`: and sets its time back. */
function overwrite(file: string, hidden: boolean): void {
  const fd = openSync(file, "r+");
  writeSync(fd, Buffer.alloc(1 << 16, 7), 0, 1 << 16, weightBytes >> 1);
  closeSync(fd);
  if (hidden) utimesSync(file, 1000, 1000);
}

const streaming = (): Device => ({
  ...nodeDevice(),
  overheadBytes: undefined,
  availableBytes: () => weightBytes * 0.8,
});

describe.each<[string, () => Device]>([
  ["mapped", nodeDevice],
  ["streamed", streaming],
])("a pack that is overwritten in the middle of an answer, %s", (mode, device) => {
  test.each([true, false])("is no success (its time set back: %s)", async (hidden) => {
    const mine = temporaryPath(`${mode}-${hidden}.pack.gguf`);
    copyFileSync(pack, mine);
    utimesSync(mine, 1000, 1000);
    const engine = await Engine.load(device(), mine, { threads: 1 }, () => {});
    expect(engine.info.memory.mode).toBe(mode);
    let deltas = 0;
    const change = () => {
      if (++deltas === 3) overwrite(mine, hidden);
    };
    const changed = { code: "E_PACK_CHANGED", message: expect.stringMatching(/Load the model again/) };
    await expect(engine.generate("the light", OPTIONS, change)).rejects.toMatchObject(changed);
    await expect(engine.generate("the light", OPTIONS, () => {})).rejects.toMatchObject(changed);
    await engine.close();
  });
});

test("a model file that changes while it is read is not loaded", async () => {
  const file = temporaryFile("read.gguf", randomModel(MODEL));
  const device = nodeDevice();
  const open: Device["open"] = (name) => {
    const source = device.open(name);
    return { ...source, unchanged: () => false };
  };
  const loading = Engine.load({ ...device, open }, file, { threads: 1 }, () => {});
  await expect(loading).rejects.toMatchObject({ code: "E_PACK_CHANGED" });
});

test("a closed model gives its memory back, whoever still refers to it", async () => {
  const device = nodeDevice();
  const released: number[] = [];
  const releasePages: Device["releasePages"] = (memory, address, bytes) => {
    released.push(bytes);
    return device.releasePages!(memory, address, bytes);
  };
  const file = temporaryFile("closed.gguf", randomModel(MODEL));
  const engine = await Engine.load({ ...device, releasePages }, file, { threads: 1 }, () => {});
  const { memory } = engine;
  const weights = new Uint8Array(memory.buffer).subarray(-65536 * 4);
  expect(weights.some((byte) => byte !== 0)).toBe(true);
  const { weights: weightsBytes, kv } = { weights: engine.info.memory.pinnedBytes, kv: 1 };
  await engine.close();
  expect(Math.max(...released)).toBeGreaterThan(weightsBytes + kv);
  if (process.platform === "linux") expect(weights.every((byte) => byte === 0)).toBe(true);
});

describe("a file with fewer tokens than rows", () => {
  test("answers, and never with what stands for no token", async () => {
    const parts = randomModelParts({ contextLength: 64, vocabSize: 320 });
    const { metadata } = randomModelParts({ vocabSize: 280 });
    const vocabulary = Object.entries(metadata).filter(([key]) => key.startsWith("tokenizer.")) as [
      string,
      WritableValue,
    ][];
    const file = temporaryFile(
      "fewer.gguf",
      writeGguf({ ...parts, metadata: { ...parts.metadata, ...Object.fromEntries(vocabulary) } }),
    );
    const engine = await Engine.load(nodeDevice(), file, { threads: 1 }, () => {});
    const { tokens } = await engine.generate(
      "the",
      { maxTokens: 40, ignoreEos: true, temperature: 2, seed: 1 },
      () => {},
    );
    expect(tokens).toHaveLength(40);
    expect(Math.max(...tokens)).toBeLessThan(280);
    await engine.close();
  });
});
