/** Threads in a page that shares no memory: each has a share of the weights, and the bits are those of one thread. */

import type { BrowserContext, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findChromium, launchPersistent } from "../../tools/bench/peers/chromium.mjs";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryPath } from "../fixtures/temporary.ts";
import { type Handle, startServer, type TestServer } from "./server.ts";

/** Within the page. */
declare const piphi: typeof import("../../devices/web/index.ts");

const shared = { layers: 4, hiddenSize: 256, contextLength: 128, peaked: 5 };
const MODELS = {
  "/q4.gguf": randomModel(shared),
  "/split.gguf": randomModel({ ...shared, type: "Q8_0", outputType: "Q4_0", fused: false, seed: 3 }),
  "/large.gguf": randomModel({ ...shared, layers: 8, seed: 4 }),
};

/** The package, in a browser whose workers with a share never begin. */
const LAZY = "/lazy/";
const lazy: Handle = (_, response, pathname) => {
  if (pathname === `${LAZY}devices/web/worker.js`) {
    const script = `addEventListener("message", (event) => {
  if (event.data.role !== "shard") return;
  event.stopImmediatePropagation();
  setTimeout(() => { throw new Error("it did not like it"); });
}, { once: true });
import("/dist/devices/web/worker.js").then(() => {
  removeEventListener("message", keep);
  for (const data of early) dispatchEvent(new MessageEvent("message", { data }));
});
const early = []; const keep = ({ data }) => early.push(data); addEventListener("message", keep);`;
    response.setHeader("Content-Type", "text/javascript").end(script);
    return true;
  }
  if (!pathname.startsWith(LAZY)) return false;
  response.writeHead(302, { Location: pathname.replace(LAZY, "/dist/") }).end();
  return true;
};

const executable = findChromium();

describe.skipIf(!executable)("a page that shares no memory", () => {
  let context: BrowserContext;
  let server: TestServer;
  let page: Page;

  beforeAll(async () => {
    context = await launchPersistent(executable!, temporaryPath("chromium-shards"));
    server = await startServer(false, new Map(Object.entries(MODELS)), lazy);
    page = await context.newPage();
    await page.goto(server.origin);
    await page.waitForFunction("globalThis.piphi");
    for (const model of Object.keys(MODELS)) await page.evaluate((model) => piphi.store.download(model), model);
  });

  afterAll(async () => {
    await context?.close();
    server?.close();
  });

  type Options = { threads?: number; ram?: number; kv?: "f16"; assets?: string };

  /** The logits of a text, what follows it, and what the model says of itself. */
  const answer = (model: string, options: Options) => {
    return page.evaluate(
      async ([model, options]) => {
        const phi = await piphi.load(model, { store: true, contextLength: 128, parallel: 2, ...options });
        const text = "the light in the kitchen is on, and the door of the garage is open; ".repeat(1);
        const score = await phi.score(text, { top: 5 });
        const [one, other] = await Promise.all([
          phi.generate(text, { maxTokens: 24, ignoreEos: true }),
          phi.generate("hello", { maxTokens: 12, ignoreEos: true, drafts: 3, profile: true }),
        ]);
        const memory = await phi.memory();
        await phi.close();
        const { info } = phi;
        const seen = { threads: info.threads, sharing: info.sharing, bytesPerToken: info.bytesPerToken };
        return { score: score.positions, tokens: [one.tokens, other.tokens], memory, profile: other.profile, ...seen };
      },
      [model, options] as const,
    );
  };

  it.each(["/q4.gguf", "/split.gguf"])("computes the bits of one thread: %s", async (model) => {
    const one = await answer(model, { threads: 1 });
    expect(one).toMatchObject({ threads: 1, sharing: "none" });
    for (const threads of [2, 3]) {
      const several = await answer(model, { threads });
      expect(several).toMatchObject({ threads, sharing: "messages", bytesPerToken: one.bytesPerToken });
      expect(several.score).toEqual(one.score);
      expect(several.tokens).toEqual(one.tokens);
      expect(several.profile!.decode.messages).toBeGreaterThan(0);
      expect(several.memory.mode).toBe("resident");
    }
    const f16 = [await answer(model, { threads: 1, kv: "f16" }), await answer(model, { threads: 2, kv: "f16" })];
    expect(f16[1].score).toEqual(f16[0].score);
  });

  it("uses one thread for a small model, unless it is told to use more", async () => {
    expect(await answer("/q4.gguf", {})).toMatchObject({ threads: 1, sharing: "none" });
  });

  it("streams what does not fit, on each thread its own share", async () => {
    const model = "/large.gguf";
    const whole = await answer(model, { threads: 2 });
    const ram = whole.memory.peakRssBytes - (3 << 20);
    const part = await answer(model, { threads: 2, ram });
    expect(part).toMatchObject({ sharing: "messages", memory: { mode: "streamed" } });
    expect(part.memory.streamedBytesPerToken).toBeGreaterThan(0);
    expect(part.memory.peakRssBytes).toBeLessThanOrEqual(ram);
    expect(part.score).toEqual(whole.score);
    expect(part.tokens).toEqual(whole.tokens);
  });

  it("cancels, and takes up sessions", async () => {
    const result = await page.evaluate(async () => {
      const options = { store: true, threads: 2 } as const;
      const phi = await piphi.load("/q4.gguf", options);
      const abort = new AbortController();
      const generation = phi.generate("the light", { maxTokens: 100, ignoreEos: true, signal: abort.signal });
      for await (const _ of generation) abort.abort();
      const { stopReason } = await generation;
      const session = await phi.session({ prefix: "the light" });
      const first = await session.generate(" is", { maxTokens: 8, ignoreEos: true });
      const saved = await session.export();
      await phi.close();
      const alone = await piphi.load("/q4.gguf", { ...options, threads: 1 });
      const restored = await alone.restore(saved);
      const same = (await restored.tokens()).length;
      const again = await alone.generate("the light is", { maxTokens: 8, ignoreEos: true });
      await alone.close();
      return { stopReason, same, tokens: [first.tokens, again.tokens] };
    });
    expect(result.stopReason).toBe("cancelled");
    expect(result.same).toBeGreaterThan(8);
    expect(result.tokens[0]).toEqual(result.tokens[1]);
  });

  it("goes on with one thread where the others do not start", async () => {
    expect(await answer("/q4.gguf", { threads: 2, assets: LAZY })).toMatchObject({ threads: 1, sharing: "none" });
  });
});
