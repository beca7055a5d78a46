/** Models that do not fit: a browser's engine reads their weights from the store, ahead of their use or when it uses them. */

import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findChromium, launchPersistent } from "../../tools/bench/peers/chromium.mjs";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryPath } from "../fixtures/temporary.ts";
import { type Handle, startServer, type TestServer } from "./server.ts";

/** Within the page. */
declare const piphi: typeof import("../../devices/web/index.ts");

const MODEL = randomModel({ layers: 8, hiddenSize: 256, contextLength: 128, peaked: 5 });
const PATH = "/large.gguf";

/** The package, in a browser that refuses a memory of more than so many bytes. */
const STRICT = "/strict/";
let mostBytes = 0;
const strict: Handle = (_, response, pathname) => {
  if (pathname === `${STRICT}devices/web/worker.js`) {
    const script = `const { Memory } = WebAssembly;
WebAssembly.Memory = function (limits) {
  if (limits.initial * 65536 > ${mostBytes}) throw new RangeError("no memory");
  return new Memory(limits);
};
await import("/dist/devices/web/worker.js");
removeEventListener("message", keep);
for (const data of early) dispatchEvent(new MessageEvent("message", { data }));`;
    const early = 'const early = []; const keep = ({ data }) => early.push(data); addEventListener("message", keep);';
    response.setHeader("Content-Type", "text/javascript").end(early + script);
    return true;
  }
  if (!pathname.startsWith(STRICT)) return false;
  response.writeHead(302, { Location: pathname.replace(STRICT, "/dist/") }).end();
  return true;
};

const executable = findChromium();

describe.skipIf(!executable).each([
  { mode: "with shared memory", isolated: true, threads: 2 },
  { mode: "without shared memory", isolated: false, threads: 1 },
])("a model that does not fit into a page $mode", ({ isolated, threads }) => {
  let context: BrowserContext;
  let server: TestServer;
  let page: Page;

  beforeAll(async () => {
    context = await launchPersistent(executable!, temporaryPath(`chromium-${isolated}`));
    server = await startServer(isolated, new Map([[PATH, MODEL]]), strict);
    page = await context.newPage();
    await page.goto(server.origin);
    await page.waitForFunction("globalThis.piphi");
    await page.evaluate((model) => piphi.store.download(model), PATH);
  });

  afterAll(async () => {
    await context?.close();
    server?.close();
  });

  /** What a model answers, in memory of so many bytes less than it takes as a whole. */
  const answer = (lessBytes?: number) => {
    return page.evaluate(
      async ([model, less, threads]) => {
        const options = { threads, contextLength: 128, parallel: 1, store: true };
        const whole = (await piphi.estimate(model, options)).bytes.total;
        const ram = less === undefined ? undefined : whole - less;
        const estimate = await piphi.estimate(model, { ...options, ram });
        const phi = await piphi.load(model, { ...options, ram });
        const { tokens } = await phi.generate("the light is on in the kitchen", { maxTokens: 24, ignoreEos: true });
        const { mode, pinnedBytes, streamedBytesPerToken } = await phi.memory();
        const inUse = await piphi.store.remove(model).catch(({ code }) => code);
        await phi.close();
        return { tokens, mode, pinnedBytes, streamedBytesPerToken, inUse, estimate, threads: phi.info.threads };
      },
      [PATH, lessBytes, threads] as const,
    );
  };

  it("answers the same, and takes what was estimated", async () => {
    const whole = await answer();
    expect(whole).toMatchObject({
      mode: "resident",
      streamedBytesPerToken: 0,
      threads,
      estimate: { mode: "resident" },
    });
    expect(whole.inUse).toBe(true); // it is not read any more
    await page.evaluate((model) => piphi.store.download(model), PATH);
    for (const less of [1 << 20, 3 << 20]) {
      const part = await answer(less);
      expect(part.tokens).toEqual(whole.tokens);
      expect(part).toMatchObject({ mode: "streamed", threads, inUse: "E_BUSY" });
      expect(part.estimate).toMatchObject({ mode: "streamed", fits: true });
      expect(part.streamedBytesPerToken).toBe(part.estimate.streamedBytesPerToken);
      expect(part.streamedBytesPerToken).toBeGreaterThan(0);
    }
  });

  it("says what would fit where nothing does", async () => {
    const error = await page.evaluate((model) => {
      return piphi.load(model, { store: true, ram: "1M" }).catch(({ code, message }) => ({ code, message }));
    }, PATH);
    expect(error).toMatchObject({ code: "E_MEMORY", message: expect.stringMatching(/Allow \d+ MiB more/) });
  });

  it("takes less where the browser refuses memory", async () => {
    const { expected, whole } = await page.evaluate(
      async ([model, threads]) => {
        const options = { threads, contextLength: 128, parallel: 1, store: true };
        const phi = await piphi.load(model, options);
        const { tokens } = await phi.generate("the light", { maxTokens: 8, ignoreEos: true });
        await phi.close();
        return { expected: tokens, whole: (await piphi.estimate(model, options)).bytes.total };
      },
      [PATH, threads] as const,
    );
    for (const [bytes, result] of [
      [whole - 1, { tokens: expected, mode: "streamed" }],
      [1 << 21, { code: "E_MEMORY" }],
    ] as const) {
      mostBytes = bytes;
      const taken = await page.evaluate(
        async ([model, assets, threads]) => {
          const options = { threads, contextLength: 128, parallel: 1, store: true, assets };
          try {
            const phi = await piphi.load(model, options);
            const { tokens } = await phi.generate("the light", { maxTokens: 8, ignoreEos: true });
            await phi.close();
            return { tokens, mode: phi.info.memory.mode };
          } catch (error) {
            return { code: (error as { code: string }).code };
          }
        },
        [PATH, STRICT, threads] as const,
      );
      expect(taken).toEqual(result);
    }
  });
});
