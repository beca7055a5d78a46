/** `piphi/web` in a real browser, with shared memory and without. */

import { availableParallelism } from "node:os";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findChromium, launchChromium } from "../../tools/bench/peers/chromium.mjs";
import { writeGguf } from "../fixtures/gguf-writer.ts";
import { randomModel, randomModelParts, writeShards } from "../fixtures/random-model.ts";
import { temporaryFile } from "../fixtures/temporary.ts";
import { BOASTFUL, LONELY, startServer, type TestServer } from "./server.ts";

type Node = typeof import("../../devices/node/index.ts");
/** Within the page. */
declare const piphi: typeof import("../../devices/web/index.ts");

const PROMPT = "Instruct: turn on the kitchen lights\nOutput:";
const NODE = new URL("../../dist/devices/node/index.js", import.meta.url).href;

const random = randomModelParts({ peaked: 5, contextLength: 128 });
const parts = writeShards(random, 3);
const partName = (i: number) => `/random-0000${i + 1}-of-00003.gguf`;
const models = new Map([
  ["/random.gguf", writeGguf(random)],
  // Seconds of text, so that a cancel that does not arrive shows.
  ["/long.gguf", randomModel({ layers: 8, hiddenSize: 256, contextLength: 2048 })],
  ...parts.map((part, i) => [partName(i), part] as const),
  ["/lonely-00001-of-00003.gguf", parts[0]],
  ["/cut.gguf", writeGguf(random).slice(0, -1000)],
  ["/other.gguf", new TextEncoder().encode("PK\x03\x04 and so on")],
]);

const executable = findChromium();
if (!executable) {
  console.warn(
    "piphi/web is not tested: there is no Chromium. `apt-get install chromium`, or set CHROMIUM to its path.",
  );
}

describe.skipIf(!executable)("piphi/web", () => {
  let browser: Browser;
  let nodeText: string;

  beforeAll(async () => {
    browser = await launchChromium(executable!);
    const { load } = (await import(/* @vite-ignore */ NODE)) as Node;
    await using phi = await load(undefined, { threads: 1 });
    nodeText = (await phi.generate(PROMPT, { maxTokens: 64 })).text;
  });

  afterAll(() => browser?.close());

  describe.each([
    { mode: "with shared memory", isolated: true, threads: 2 },
    { mode: "without shared memory", isolated: false, threads: 1 },
  ])("$mode", ({ isolated, threads }) => {
    let server: TestServer;
    let page: Page;
    const pageErrors: Error[] = [];

    beforeAll(async () => {
      server = await startServer(isolated, models);
      page = await browser.newPage();
      page.on("pageerror", (error) => pageErrors.push(error));
      await page.goto(server.origin);
      await page.waitForFunction("globalThis.piphi");
    });

    afterAll(async () => {
      await page?.close();
      server?.close();
    });

    /** Loads `model` in the page and returns the error that this gives. */
    const loadError = (model: string, options = {}) => {
      return page.evaluate(
        ([model, options]) => piphi.load(model, options).then(String, (error) => ({ ...error, name: error.name })),
        [model, options] as const,
      );
    };

    it("answers as Node does, and streams", async () => {
      const { info, deltas, result, phases, isolation } = await page.evaluate(async (prompt) => {
        const phases = new Set<string>();
        const phi = await piphi.load(undefined, { threads: 2, onProgress: ({ phase }) => phases.add(phase) });
        const deltas: string[] = [];
        const generation = phi.generate(prompt, { maxTokens: 64 });
        for await (const { text } of generation) deltas.push(text);
        const result = await generation;
        await phi.close();
        return { info: phi.info, deltas, result, phases: [...phases], isolation: crossOriginIsolated };
      }, PROMPT);
      expect(isolation).toBe(isolated);
      expect(info.threads).toBe(threads);
      expect(phases).toEqual(["download", "weights"]);
      expect(result.text).toBe(nodeText);
      expect(result.stopReason).toBe("eos");
      expect(deltas.length).toBeGreaterThan(2);
      expect(deltas.join("")).toBe(nodeText);
    });

    it("holds answers to a shape, and refuses what is none", async () => {
      const { texts, code } = await page.evaluate(async () => {
        const phi = await piphi.load();
        const schema = {
          type: "object",
          properties: { on: { type: "boolean" }, name: { enum: ["lamp", "fan"] } },
          required: ["on", "name"],
        };
        const message = { role: "user", content: "turn on the lamp" } as const;
        const answers = await Promise.all([phi.chat([message], { schema }), phi.generate("on", { regex: "[ab]{3}" })]);
        const code = await phi.generate("on", { schema: { not: {} } }).then(String, (error) => error.code);
        await phi.close();
        return { texts: answers.map(({ text }) => text), code };
      });
      expect(JSON.parse(texts[0])).toMatchObject({ name: expect.stringMatching(/lamp|fan/) });
      expect(texts[1]).toMatch(/^[ab]{3}$/);
      expect(code).toBe("E_SHAPE");
    });

    it("cancels, and answers again after that", async () => {
      const { cancelled, next, error } = await page.evaluate(async () => {
        const phi = await piphi.load("/long.gguf", { threads: 2 });
        const abort = new AbortController();
        const generation = phi.generate("the light", { ignoreEos: true, signal: abort.signal });
        for await (const _ of generation) abort.abort();
        const cancelled = await generation;
        const next = await phi.generate("the light", { ignoreEos: true, maxTokens: 1 });
        await phi.close();
        const error = await phi.tokenize("late").catch(({ code }) => code);
        return { cancelled, next, error };
      });
      expect(cancelled.stopReason).toBe("cancelled");
      expect(next.tokens).toEqual(cancelled.tokens.slice(0, 1));
      expect(error).toBe("E_CLOSED");
    });

    it("rolls a full context, and takes up a session that Node has saved, as Node does", async () => {
      const options = { maxTokens: 150, ignoreEos: true, overflow: "roll" } as const;
      const { load } = (await import(/* @vite-ignore */ NODE)) as Node;
      await using node = await load(temporaryFile("random.gguf", models.get("/random.gguf")!), {
        threads: 1,
        kv: "int8",
      });
      const session = await node.session();
      const { tokens } = await session.generate("the light", { ...options, maxTokens: 200 });
      const saved = Buffer.from(await session.export({ note: "n" })).toString("base64");
      const all = [...(await session.tokens()), 7];
      const expected = (await session.generate(all, options)).tokens;
      const inPage = await page.evaluate(
        async ([saved, all, options]) => {
          const phi = await piphi.load("/random.gguf", { threads: 2 });
          const { tokens } = await phi.generate("the light", { ...options, maxTokens: 200 });
          const bytes = Uint8Array.from(atob(saved), (character) => character.charCodeAt(0));
          const session = await phi.restore(bytes);
          const again = await session.export();
          const same = again.every((byte, i) => byte === bytes[i]);
          const next = await session.generate(all, options);
          const refusals = [() => session.save("x"), () => phi.restore("x")];
          const codes = await Promise.all(refusals.map((act) => act().catch(({ code }) => code)));
          await phi.close();
          return { tokens, note: session.note, same, next, codes };
        },
        [saved, all, options] as const,
      );
      expect(inPage).toMatchObject({ tokens, note: "n", same: true, codes: ["E_USAGE", "E_USAGE"] });
      expect(inPage.next).toMatchObject({ tokens: expected, cachedTokens: all.length - 1 });
    });

    it("loads the parts of a model by address, and whatever holds a file", async () => {
      const fromPage = (url: string, count: number) => {
        return page.evaluate(
          async ([url, count]) => {
            const fetchFile = async (path: string) => {
              const { pathname } = new URL(path, location.href);
              return new File([await (await fetch(path)).blob()], pathname.slice(1));
            };
            const part = (i: number) => `/random-0000${i + 1}-of-00003.gguf`;
            const names = Array.from({ length: count }, (_, i) => part(i));
            const whole = await fetchFile("/random.gguf");
            const sources = {
              url: new URL(url, location.href),
              partUrl: `${part(1)}?token=secret#there`,
              file: whole,
              blob: whole.slice(),
              buffer: await whole.arrayBuffer(),
              files: await Promise.all(names.map(fetchFile)),
            };
            const texts: Record<string, string> = {};
            for (const [name, source] of Object.entries(sources)) {
              const phi = await piphi.load(source, { threads: 2 });
              texts[name] = (await phi.generate("the light is", { maxTokens: 16, ignoreEos: true })).tokens.join();
              await phi.close();
            }
            return texts;
          },
          [url, count] as const,
        );
      };
      const { url, ...others } = await fromPage("/random.gguf", 3);
      expect(url.split(",")).toHaveLength(16);
      for (const [source, text] of Object.entries(others)) expect(text, source).toBe(url);
    });

    it("names what cannot be loaded", async () => {
      const codes: [string, string, RegExp][] = [
        ["/none.gguf", "E_NOT_FOUND", /404/],
        ["/locked.gguf", "E_FILE_READ", /403/],
        ["/page.gguf", "E_NOT_GGUF", /an HTML page/],
        ["/other.gguf", "E_NOT_GGUF", /a zip archive/],
        ["/cut.gguf", "E_FILE_TRUNCATED", /incomplete/],
        ["/broken.gguf", "E_FILE_READ", /The connection was cut: load it again/],
        ["http://127.0.0.1:9/none.gguf", "E_FILE_READ", /CORS/],
        ["/lonely-00001-of-00003.gguf", "E_NOT_FOUND", /lonely-00002-of-00003/],
        ["http://", "E_USAGE", /address/],
      ];
      for (const [model, code, message] of codes) {
        expect(await loadError(model), model).toMatchObject({ name: "PiPhiError", code });
        const said = await page.evaluate((model) => piphi.load(model).catch((error) => String(error.message)), model);
        expect(said, model).toMatch(message);
      }
      expect(await loadError("/random.gguf", { threads: 1000 })).toMatchObject({ code: "E_USAGE" });
      expect(await loadError("/random.gguf", { ram: "64K" })).toMatchObject({ code: "E_MEMORY" });
      expect(await page.evaluate(() => piphi.load(7 as never).catch(({ code }) => code))).toBe("E_USAGE");
      const missing = await page.evaluate(async (name) => {
        const file = new File([await (await fetch(name)).blob()], name);
        return piphi.load([file]).catch(({ code, message }) => ({ code, message }));
      }, partName(0));
      expect(missing).toMatchObject({ code: "E_NOT_FOUND" });
    });

    it("says so if its worker cannot start", async () => {
      const error = await page.evaluate(async (url) => {
        const { load } = (await new Function("url", "return import(url)")(url)) as typeof piphi;
        return load("/random.gguf").catch(({ code, message }) => ({ code, message }));
      }, LONELY);
      expect(error).toMatchObject({ code: "E_ENGINE", message: expect.stringMatching(/worker\.js beside index\.js/) });
    });

    it("finds its files where it is told, on another origin, too", async () => {
      const elsewhere = await startServer(isolated, models);
      try {
        const text = await page.evaluate(
          async ([url, prompt]) => {
            const { load } = (await new Function("url", "return import(url)")("/lonely/index.js")) as typeof piphi;
            const phi = await load(undefined, { threads: 2, assets: url });
            const { text } = await phi.generate(prompt, { maxTokens: 64 });
            await phi.close();
            return { text, threads: phi.info.threads };
          },
          [`${elsewhere.origin}/dist`, PROMPT] as const,
        );
        expect(text).toEqual({ text: nodeText, threads });
      } finally {
        elsewhere.close();
      }
    });

    it("names what a Content-Security-Policy forbids, before it downloads the model", async () => {
      const asked: string[] = [];
      for (const [policy, remedy] of [
        ["script-src 'self' 'unsafe-inline'", "'wasm-unsafe-eval'"],
        ["worker-src 'none'", "worker-src"],
      ]) {
        const strict = await browser.newPage();
        strict.on("request", (request) => asked.push(request.url()));
        await strict.goto(`${server.origin}/?csp=${encodeURIComponent(policy)}`);
        await expect.poll(() => strict.evaluate(() => "piphi" in globalThis)).toBe(true); // a text to evaluate would be forbidden, too
        const error = await strict.evaluate(() => {
          return piphi.load("/random.gguf").catch(({ code, message }) => ({ code, message }));
        });
        await strict.close();
        expect(error).toMatchObject({ code: "E_ENGINE", message: expect.stringContaining(remedy) });
      }
      expect(asked.filter((url) => url.endsWith(".gguf"))).toEqual([]);
    });

    it("runs on one thread where a page has no SharedArrayBuffer, isolated or not", async () => {
      const bare = await browser.newPage();
      await bare.addInitScript("delete globalThis.SharedArrayBuffer");
      await bare.goto(server.origin);
      await bare.waitForFunction("globalThis.piphi");
      const answer = await bare.evaluate(async (prompt) => {
        const phi = await piphi.load(undefined, { threads: 2 });
        const { text } = await phi.generate(prompt, { maxTokens: 64 });
        await phi.close();
        return { text, threads: phi.info.threads };
      }, PROMPT);
      await bare.close();
      expect(answer).toEqual({ text: nodeText, threads: 1 });
    });

    it.runIf(isolated && availableParallelism() < 4)("uses no more threads than run side by side", async () => {
      const { threads, peakRssBytes } = await page.evaluate(async (assets) => {
        const phi = await piphi.load(undefined, { assets });
        const { peakRssBytes } = await phi.memory();
        await phi.close();
        return { threads: phi.info.threads, peakRssBytes };
      }, BOASTFUL);
      expect(threads).toBeLessThan(4);
      expect(peakRssBytes).toBeGreaterThan(1 << 20);
    });

    it("can be interrupted while it loads", async () => {
      const code = await page.evaluate(() => {
        const abort = new AbortController();
        const onProgress = () => abort.abort();
        return piphi.load("/endless.gguf", { signal: abort.signal, onProgress }).catch(({ code }) => code);
      });
      expect(code).toBe("E_CANCELLED");
    });

    it("leaves no error in the page", () => {
      expect(pageErrors).toEqual([]);
    });
  });
});
