/** Memory and heat while a model answers: units lose their places and return, threads come and go, the text stays. */

import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { nodeDevice } from "../../devices/node/device.ts";
import { packFile } from "../../devices/node/index.ts";
import type { Device, Pressure } from "../../runtime/device.ts";
import type { EngineLoadOptions } from "../../runtime/engine/assembly.ts";
import { Engine } from "../../runtime/engine/engine.ts";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryFile, temporaryPath } from "../fixtures/temporary.ts";

const MIB = 1 << 20;
const MODEL = { layers: 24, hiddenSize: 256, heads: 4, contextLength: 128, peaked: 5 };
const PROMPT = "the light and the light";
const OPTIONS = { maxTokens: 40, ignoreEos: true };
const CALM: Pressure = { availableBytes: 2 ** 33 };
const SHORT: Pressure = { availableBytes: MIB };

let source: string;
let pack: string;
let expected: number[];
/** The pack with all units but a few of them in memory. */
let ramBytes: number;
beforeAll(async () => {
  source = temporaryFile("pressure.gguf", randomModel(MODEL));
  pack = temporaryPath("pressure.pack.gguf");
  await packFile(source, pack);
  await withEngine(nodeDevice(), {}, async (engine) => {
    expected = await tokensOf(engine);
    ramBytes = engine.info.memory.pinnedBytes * 0.9;
  });
});

/** The engine runs in this thread, whose clock goes on by a second whenever it is looked at. */
let clock = 0;
beforeEach(() => {
  vi.spyOn(performance, "now").mockImplementation(() => (clock += 1000));
});
afterEach(() => {
  vi.restoreAllMocks();
});

/**
 * A device that is as short as `pressure` says, and notes what was given back: after each look no more than a few units of
 * the model, which is small.
 */
function deviceLike(pressure: () => Pressure, changes: Partial<Device> = {}) {
  const released: number[] = [];
  let units = 0;
  const real = nodeDevice();
  const device: Device = {
    ...real,
    pressure() {
      units = 3;
      return pressure();
    },
    releasePages(memory, address, bytes) {
      if (units-- <= 0) return false;
      released.push(bytes);
      return real.releasePages!(memory, address, bytes);
    },
    ...changes,
  };
  return { device, released };
}
const streaming = (): Partial<Device> => ({ overheadBytes: undefined, availableBytes: () => ramBytes });

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

const tokensOf = async (engine: Engine, onToken = () => {}, options = {}): Promise<number[]> => {
  return (await engine.generate(PROMPT, { ...OPTIONS, ...options }, onToken)).tokens;
};

describe.each([1, 2, 3])("streamed, %i threads", (threads) => {
  test.each([0, 7])(
    "memory becomes short in the middle of an answer, again and again: the same text; %i guesses",
    async (drafts) => {
      let now = CALM;
      const { device, released } = deviceLike(() => now, streaming());
      await withEngine(device, { threads }, async (engine) => {
        const before = engine.memoryUse();
        expect(before.mode).toBe("streamed");
        expect(before.pressure).toBeUndefined();
        let count = 0;
        const tokens = await tokensOf(engine, () => (now = count++ % 5 === 4 ? SHORT : CALM), { drafts });
        expect(tokens).toEqual(expected);
        const after = engine.memoryUse();
        const bytes = released.reduce((sum, each) => sum + each, 0);
        expect(bytes).toBeGreaterThan(0);
        expect(after.streamedBytesPerToken).toBe(before.streamedBytesPerToken + bytes);
        expect(after.pinnedBytes).toBe(before.pinnedBytes - bytes);
        expect(after.pressure).toMatchObject({ releasedBytes: bytes, threads });
        expect(after.pressure?.reasons).toEqual(["memory was short: 1 MiB left"]);
        expect(await tokensOf(engine)).toEqual(expected);
      });
    },
  );
});

describe("streamed", () => {
  test("what went returns, unit by unit, once memory is there again: the same text", async () => {
    let now = SHORT;
    const { device } = deviceLike(() => now, streaming());
    await withEngine(device, { threads: 2 }, async (engine) => {
      const { streamedBytesPerToken } = engine.info.memory;
      expect(await tokensOf(engine)).toEqual(expected);
      const least = engine.memoryUse();
      expect(least.streamedBytesPerToken).toBeGreaterThan(streamedBytesPerToken);
      now = CALM;
      const sizes = new Set<number>();
      for (let i = 0; i < 4; i++) {
        clock += 60_000;
        const seen = () => void sizes.add(engine.memoryUse().streamedBytesPerToken);
        expect(await tokensOf(engine, seen)).toEqual(expected);
      }
      expect(sizes.size).toBeGreaterThan(3);
      expect(engine.memoryUse().streamedBytesPerToken).toBe(streamedBytesPerToken);
      expect(engine.memoryUse().pressure).toMatchObject({ releasedBytes: 0 });
    });
  });

  test("an answer that is cancelled while a unit returns leaves all in order", async () => {
    let now = SHORT;
    const { device } = deviceLike(() => now, streaming());
    await withEngine(device, { threads: 2 }, async (engine) => {
      await tokensOf(engine);
      now = CALM;
      for (let round = 0; round < 6; round++) {
        clock += 60_000;
        let count = 0;
        const stop = () => {
          if (count++ === round) engine.cancel();
        };
        await engine.generate(PROMPT, OPTIONS, stop);
        expect(await tokensOf(engine)).toEqual(expected);
      }
    });
  });

  test("where pages cannot be given back, nothing is, and that is said", async () => {
    const { device } = deviceLike(() => SHORT, { ...streaming(), releasePages: undefined });
    await withEngine(device, {}, async (engine) => {
      const { pinnedBytes } = engine.memoryUse();
      expect(await tokensOf(engine)).toEqual(expected);
      const { pressure, ...use } = engine.memoryUse();
      expect(use.pinnedBytes).toBe(pinnedBytes);
      expect(pressure).toMatchObject({ releasedBytes: 0 });
      expect(pressure?.reasons[0]).toMatch(/koffi is missing/);
    });
  });
});

describe("not streamed", () => {
  test("read into memory: nothing can be given back; it is said that memory was short", async () => {
    const { device, released } = deviceLike(() => ({ ...SHORT, stalledShare: 0.34 }));
    const use = async (engine: Engine) => {
      expect(await tokensOf(engine)).toEqual(expected);
      expect(released).toEqual([]);
      expect(engine.memoryUse()).toMatchObject({ mode: "resident", pressure: { releasedBytes: 0 } });
      expect(engine.memoryUse().pressure?.reasons).toEqual([
        "memory was short: 1 MiB left, waited for in 34 % of the time; weights that were read into memory cannot be given back",
      ]);
    };
    await withEngine(device, {}, use, source);
  });

  test("mapped: the process's own copies give way to the file's pages", async () => {
    const copies = [9 * MIB, 0, 0];
    const map: Device["map"] = (...args) => {
      const mapped = nodeDevice().map!(...args);
      return typeof mapped === "string" ? mapped : { ...mapped, giveBackCopies: () => copies.shift() ?? 0 };
    };
    const { device } = deviceLike(() => SHORT, { map });
    await withEngine(device, {}, async (engine) => {
      expect(await tokensOf(engine)).toEqual(expected);
      expect(engine.memoryUse()).toMatchObject({ mode: "mapped", pressure: { releasedBytes: 9 * MIB } });
    });
  });

  test("between answers, too", async () => {
    const { device } = deviceLike(() => SHORT, streaming());
    await withEngine(device, {}, async (engine) => {
      await vi.waitFor(() => expect(engine.memoryUse().pressure?.releasedBytes).toBeGreaterThan(0), 10_000);
      expect(await tokensOf(engine)).toEqual(expected);
    });
  });
});

describe("heat", () => {
  test.each(["mapped", "streamed"])(
    "threads go and return in the middle of answers: the same text, %s",
    async (mode) => {
      let now: Pressure = CALM;
      const { device } = deviceLike(() => now, mode === "streamed" ? streaming() : {});
      await withEngine(device, { threads: 3 }, async (engine) => {
        expect(engine.memoryUse().mode).toBe(mode);
        const seen: number[] = [];
        let count = 0;
        const onToken = () => {
          seen.push(engine.memoryUse().pressure?.threads ?? 3);
          now = count++ % 20 < 10 ? { ...CALM, throttled: "cpu-thermal is at 86 °C" } : CALM;
          if (now === CALM) clock += 30_000;
        };
        for (let i = 0; i < 3; i++) expect(await tokensOf(engine, onToken)).toEqual(expected);
        expect(new Set(seen)).toEqual(new Set([1, 2, 3]));
        expect(engine.memoryUse().pressure).toMatchObject({ reasons: ["cpu-thermal is at 86 °C"] });
      });
    },
  );

  test("a team that has shrunk can still be closed, probed, and loaded again", async () => {
    const { device } = deviceLike(() => ({ ...CALM, throttled: "hot" }));
    for (let i = 0; i < 2; i++) {
      await withEngine(device, { threads: 4 }, async (engine) => {
        expect(await tokensOf(engine)).toEqual(expected);
        expect(engine.memoryUse().pressure?.threads).toBe(1);
        expect(await engine.bandwidth()).toBeGreaterThan(0);
      });
    }
  });
});
