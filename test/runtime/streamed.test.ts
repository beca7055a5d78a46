/** One model in memory, mapped, and streamed through less memory than it has bytes: the same text, and typed faults. */

import { copyFileSync, renameSync, truncateSync, utimesSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { nodeDevice } from "../../devices/node/device.ts";
import { EMBEDDED_MODEL, load, packFile } from "../../devices/node/index.ts";
import type { LoadOptions } from "../../runtime/api.ts";
import type { Device } from "../../runtime/device.ts";
import { Engine } from "../../runtime/engine/engine.ts";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryFile, temporaryPath } from "../fixtures/temporary.ts";

const MIB = 1 << 20;
const MODEL = { layers: 24, hiddenSize: 256, heads: 4, contextLength: 128, peaked: 5 };
const PROMPT = "the light and the light";
const TOKENS = { maxTokens: 40, ignoreEos: true };

/** A device on which the model's memory may take so much. */
function deviceWith(ramBytes: number): Device {
  return { ...nodeDevice(), overheadBytes: undefined, availableBytes: () => ramBytes };
}

/** An engine in this thread: its own memory limit, and its text. */
async function withEngine<T>(
  file: string,
  device: Device,
  options: Omit<LoadOptions, "signal" | "onProgress">,
  use: (engine: Engine) => Promise<T>,
): Promise<T> {
  const engine = await Engine.load(device, file, options, () => {});
  try {
    return await use(engine);
  } finally {
    engine.close();
  }
}

const textOf = (engine: Engine, options = {}) =>
  engine.generate(PROMPT, { ...TOKENS, ...options }, () => {}).then(({ tokens }) => tokens);

/** The least memory that the pack runs in: all of its units stream. */
async function leastRam(file: string): Promise<number> {
  for (let ram = MIB; ; ram += MIB) {
    try {
      await withEngine(file, deviceWith(ram), { threads: 1 }, async () => {});
      return ram;
    } catch (error) {
      expect(error).toMatchObject({ code: "E_MEMORY" });
    }
  }
}

let source: string;
let pack: string;
let least: number;
let expected: number[];
beforeAll(async () => {
  source = temporaryFile("streamed.gguf", randomModel(MODEL));
  pack = temporaryPath("streamed.pack.gguf");
  await packFile(source, pack);
  least = await leastRam(pack);
  expected = await withEngine(source, nodeDevice(), {}, (engine) => textOf(engine));
});

describe("the same tokens", () => {
  test.each([{ share: false }, { share: true }])("mapped, %j", async (options) => {
    await withEngine(pack, nodeDevice(), options, async (engine) => {
      expect(engine.info.memory.mode).toBe("mapped");
      expect(await textOf(engine)).toEqual(expected);
    });
  });

  test("read into memory where nothing can be mapped, which says why", async () => {
    const device: Device = { ...nodeDevice(), map: () => "not today" };
    await withEngine(pack, device, {}, async (engine) => {
      expect(engine.info.memory).toMatchObject({ mode: "resident", notMapped: "not today" });
      expect(await textOf(engine)).toEqual(expected);
    });
  });

  test("mapped weights move into huge pages where everything and a little more fits", async () => {
    const total = await withEngine(source, nodeDevice(), {}, async ({ memory }) => memory.buffer.byteLength);
    const asked = async (ramBytes: number, options = {}) => {
      let hugePages: boolean | undefined;
      const device = deviceWith(ramBytes);
      const map: Device["map"] = (...args) => {
        hugePages = args[5];
        return nodeDevice().map!(...args);
      };
      await withEngine(pack, { ...device, map }, options, async () => {});
      return hugePages;
    };
    expect(await asked(total + 128 * MIB)).toBe(true);
    expect(await asked(total + 128 * MIB, { share: true })).toBe(false);
    expect(await asked(total + 32 * MIB)).toBe(false);
  });

  test.each([1, 2, 3])("streamed, %i threads, with and without guesses, at several sizes", async (threads) => {
    const seen = new Set<number>();
    for (const ram of [least, least + MIB, least + 3 * MIB]) {
      await withEngine(pack, deviceWith(ram), { threads }, async (engine) => {
        const { mode, streamedBytesPerToken } = engine.info.memory;
        expect(mode).toBe("streamed");
        seen.add(streamedBytesPerToken);
        expect(await textOf(engine)).toEqual(expected);
        expect(await textOf(engine, { drafts: 0 })).toEqual(expected);
      });
    }
    expect(seen.size).toBeGreaterThan(1);
  });

  test("past the end of the context, and from a session that was saved elsewhere", async () => {
    const rolling = { overflow: "roll", maxTokens: 200 } as const;
    const [long, saved] = await withEngine(source, nodeDevice(), {}, async (engine) => {
      const tokens = await textOf(engine, rolling);
      const { session } = await engine.sessions.begin("the light");
      return [tokens, await engine.sessions.export(session, "")] as const;
    });
    await withEngine(pack, deviceWith(least), {}, async (engine) => {
      expect(await textOf(engine, rolling)).toEqual(long);
      expect(await textOf(engine, { ...rolling, drafts: 0 })).toEqual(long);
      const { session } = await engine.sessions.restore(saved);
      // There is no memory for a cache beside the one that is planned: its text is read again.
      expect(await textOf(engine)).toEqual(expected);
      const tokens = engine.sessions.tokens(session);
      const { cachedTokens } = await engine.generate([...tokens, 7], TOKENS, () => {}, session);
      expect(cachedTokens).toBe(0);
      expect(await engine.sessions.export(session, "").then(({ length }) => length)).toBeGreaterThan(saved.length);
    });
  });

  test("scores, too, also of the first rows of the embedding after other rows", async () => {
    const first = Array.from({ length: 20 }, (_, id) => id);
    const scores = async (engine: Engine) => {
      return [(await engine.score(PROMPT, 5)).positions, (await engine.score(first, 5)).positions];
    };
    const resident = await withEngine(source, nodeDevice(), {}, scores);
    expect(await withEngine(pack, deviceWith(least), {}, scores)).toEqual(resident);
    expect(await withEngine(pack, nodeDevice(), {}, scores)).toEqual(resident);
  });

  test("the embedded model, packed", async () => {
    const own = temporaryPath("home.pack.gguf");
    await packFile(EMBEDDED_MODEL, own);
    const phi = await load(own);
    const plain = await load();
    try {
      const answer = await phi.chat([{ role: "user", content: "turn on the kitchen lights" }]);
      expect(answer.text).toBe((await plain.chat([{ role: "user", content: "turn on the kitchen lights" }])).text);
      expect(phi.info.quantization).toBe(plain.info.quantization);
    } finally {
      await phi.close();
      await plain.close();
    }
  });
});

describe("streamed, when things go wrong", () => {
  test("a cancelled answer leaves the stream in order for the next", async () => {
    await withEngine(pack, deviceWith(least), { threads: 2 }, async (engine) => {
      for (const after of [0, 1, 3, 7]) {
        let count = 0;
        const stop = () => {
          if (count++ === after) engine.cancel();
        };
        const { stopReason } = await engine.generate(PROMPT, TOKENS, stop);
        expect(stopReason).toBe("cancelled");
        expect(await textOf(engine)).toEqual(expected);
      }
    });
  });

  test("a pack that is replaced by renaming goes on from the old file", async () => {
    const mine = temporaryPath("replaced.pack.gguf");
    copyFileSync(pack, mine);
    await withEngine(mine, deviceWith(least), {}, async (engine) => {
      renameSync(temporaryFile("other", "something else"), mine);
      expect(await textOf(engine)).toEqual(expected);
    });
  });

  test("a pack that is changed in place is refused", async () => {
    const mine = temporaryPath("changed.pack.gguf");
    copyFileSync(pack, mine);
    await withEngine(mine, deviceWith(least), {}, async (engine) => {
      utimesSync(mine, new Date(0), new Date(0));
      await expect(textOf(engine)).rejects.toMatchObject({ code: "E_PACK_CHANGED" });
    });
  });

  test("a pack that ends in the middle of an answer is a typed error, and the process lives", async () => {
    const mine = temporaryPath("short.pack.gguf");
    copyFileSync(pack, mine);
    await withEngine(mine, deviceWith(least), { threads: 2 }, async (engine) => {
      const cut = () => truncateSync(mine, 2 * MIB);
      const failing = engine.generate(PROMPT, TOKENS, cut);
      await expect(failing).rejects.toMatchObject({ code: "E_FILE_TRUNCATED" });
      await expect(textOf(engine)).rejects.toMatchObject({ code: "E_PACK_CHANGED" });
    });
  });
});
