/** Storage that fails while a model is loaded or answers: typed errors, and the next attempt works. */

import { copyFileSync, renameSync, rmSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Worker } from "node:worker_threads";
import esbuild from "esbuild";
import { beforeAll, describe, expect, test } from "vitest";
import { nodeDevice } from "../../devices/node/device.ts";
import { readError } from "../../devices/node/files.ts";
import { packFile } from "../../devices/node/index.ts";
import type { Device, Thread } from "../../runtime/device.ts";
import type { EngineLoadOptions } from "../../runtime/engine/assembly.ts";
import { Engine } from "../../runtime/engine/engine.ts";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryFile, temporaryPath } from "../fixtures/temporary.ts";
import { BEFORE, FAILURES } from "./faulty-reader.ts";

const MODEL = { layers: 12, hiddenSize: 256, heads: 4, contextLength: 128, peaked: 5 };
const PROMPT = "the light and the light";
const OPTIONS = { maxTokens: 24, ignoreEos: true, drafts: 0 };

let pack: string;
let reader: string;
let expected: number[];
let weightBytes: number;
beforeAll(async () => {
  pack = temporaryPath("faults.pack.gguf");
  await packFile(temporaryFile("faults.gguf", randomModel(MODEL)), pack);
  const entry = fileURLToPath(new URL("faulty-reader.ts", import.meta.url));
  const options = { bundle: true, write: false, platform: "node", format: "esm", logLevel: "silent" } as const;
  reader = temporaryFile("reader.mjs", (await esbuild.build({ ...options, entryPoints: [entry] })).outputFiles[0].text);
  await withEngine(nodeDevice(), {}, async (engine) => {
    expected = await tokensOf(engine);
    weightBytes = engine.info.memory.pinnedBytes;
  });
});

/** A device that streams about half of the weights, from a disk whose failures `words` order. */
function faultyDevice(words: Int32Array): Device {
  const real = nodeDevice();
  const startWorker: Device["startWorker"] = (role) =>
    role === "reader" ? startReader(words) : real.startWorker(role);
  return { ...real, overheadBytes: undefined, availableBytes: () => weightBytes * 0.8, startWorker };
}

function startReader(words: Int32Array): Thread {
  const worker = new Worker(reader, { workerData: words.buffer, execArgv: [] });
  return {
    post: (message) => worker.postMessage(message),
    onMessage: (listener) => worker.on("message", listener),
    onFailure: (listener) => worker.on("error", listener),
    terminate: () => void worker.terminate(),
  };
}

async function withEngine(
  device: Device,
  options: EngineLoadOptions,
  use: (engine: Engine) => Promise<void>,
  file = pack,
): Promise<void> {
  const engine = await Engine.load(device, file, options, () => {});
  try {
    await use(engine);
  } finally {
    engine.close();
  }
}

const tokensOf = async (engine: Engine, onToken = () => {}): Promise<number[]> => {
  return (await engine.generate(PROMPT, OPTIONS, onToken)).tokens;
};

const newWords = () => new Int32Array(new SharedArrayBuffer(8));
function fail(words: Int32Array, failures: number, before: number): void {
  Atomics.store(words, BEFORE, before);
  Atomics.store(words, FAILURES, failures);
}
const EIO = { code: "E_FILE_READ", details: { errno: "EIO" } };

describe.each([1, 3])("streamed, %i threads", (threads) => {
  test("a read that fails in the middle of a token, wherever: E_FILE_READ, and then the same text", async () => {
    const words = newWords();
    await withEngine(faultyDevice(words), { threads }, async (engine) => {
      expect(engine.info.memory.mode).toBe("streamed");
      expect(await tokensOf(engine)).toEqual(expected);
      for (const before of [0, 1, 2, 5, 17, 40]) {
        for (const failures of [1, 3]) {
          let count = 0;
          const failing = tokensOf(engine, () => {
            if (count++ === 3) fail(words, failures, before);
          });
          await expect(failing).rejects.toMatchObject(EIO);
          // The reader goes on reading ahead, and may meet the other failures there: no more answers fail than are left.
          let tokens: number[] | undefined;
          for (let attempt = 0; attempt < failures && !tokens; attempt++) {
            tokens = await tokensOf(engine).catch((error) => void expect(error).toMatchObject(EIO));
          }
          expect(tokens).toEqual(expected);
        }
      }
    });
  });

  test("a read that fails while the weights that stay are read: no model, and the next load works", async () => {
    const words = newWords();
    for (const before of [0, 3, 8]) {
      fail(words, 1, before);
      await expect(Engine.load(faultyDevice(words), pack, { threads }, () => {})).rejects.toMatchObject(EIO);
    }
    await withEngine(faultyDevice(words), { threads }, async (engine) => {
      expect(await tokensOf(engine)).toEqual(expected);
    });
  });

  test("a row of the embedding that cannot be read: E_FILE_READ, and then the same text", async () => {
    let failing = false;
    const device = faultyDevice(newWords());
    const open: Device["open"] = (name) => {
      const source = device.open(name);
      const read: typeof source.read = (offset, into) => {
        if (failing) throw readError(name, offset, Object.assign(new Error("EIO"), { code: "EIO" }));
        source.read(offset, into);
      };
      return { ...source, read };
    };
    await withEngine({ ...device, open }, { threads }, async (engine) => {
      let count = 0;
      await expect(tokensOf(engine, () => (failing = ++count === 5))).rejects.toMatchObject(EIO);
      failing = false;
      expect(await tokensOf(engine)).toEqual(expected);
    });
  });
});

test("weights that are read once, from a disk that fails at any read: E_FILE_READ, and the next load works", async () => {
  let reads = 0;
  let failAt = Number.POSITIVE_INFINITY;
  const real = nodeDevice();
  const open: Device["open"] = (name) => {
    const source = real.open(name);
    const read: typeof source.read = (offset, into) => {
      if (reads++ >= failAt) throw readError(name, offset, Object.assign(new Error("EIO"), { code: "EIO" }));
      source.read(offset, into);
    };
    return { ...source, read };
  };
  const device: Device = { ...real, open, map: () => "not today" };
  const load = () =>
    withEngine(device, { threads: 1 }, async (engine) => expect(await tokensOf(engine)).toEqual(expected));
  await load();
  const all = reads;
  expect(all).toBeGreaterThan(2);
  for (failAt = 0; failAt < all; failAt++) {
    reads = 0;
    await expect(load()).rejects.toMatchObject(EIO);
  }
  reads = 0;
  await load();
});

describe.each([true, false])("the pack under a model that is loaded, streamed: %s", (streamed) => {
  const device = () => (streamed ? faultyDevice(newWords()) : nodeDevice());

  test.each([
    ["removed", (file: string) => rmSync(file)],
    ["replaced", (file: string) => renameSync(temporaryFile("other", "something else"), file)],
  ])("%s: answers go on from the file that was opened", async (_, change) => {
    const mine = temporaryPath(`mine-${streamed}.pack.gguf`);
    copyFileSync(pack, mine);
    const use = async (engine: Engine) => {
      let count = 0;
      expect(await tokensOf(engine, () => void (count++ === 3 && change(mine)))).toEqual(expected);
      expect(await tokensOf(engine)).toEqual(expected);
    };
    await withEngine(device(), {}, use, mine);
    await expect(Engine.load(device(), mine, {}, () => {})).rejects.toMatchObject({
      code: expect.stringMatching(/^E_NOT_(FOUND|GGUF)$/),
    });
  });
});
