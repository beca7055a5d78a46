/** `estimate` of `piphi/web` in a real browser: what Node says, from a small part of the file. */

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Estimate, LoadOptions } from "../../runtime/api.ts";
import { findChromium, launchChromium } from "../../tools/bench/peers/chromium.mjs";
import { writeGguf } from "../fixtures/gguf-writer.ts";
import { randomModelParts, writeShards } from "../fixtures/random-model.ts";
import { temporaryFile } from "../fixtures/temporary.ts";
import { startServer, type TestServer } from "./server.ts";

type Node = typeof import("../../devices/node/index.ts");
/** Within the page. */
declare const piphi: typeof import("../../devices/web/index.ts");

const NODE = new URL("../../dist/devices/node/index.js", import.meta.url).href;
const MIB = 1 << 20;
const PADDING = 96 * MIB;
/** What the buffers of a kernel and a browser may take of an answer that nobody reads; a busy machine reads late. */
const IN_FLIGHT = 40 * MIB;

const random = randomModelParts();
const small = writeGguf(random);
const wordy = writeGguf({ ...random, metadata: { ...random.metadata, "general.description": "w".repeat(9 * MIB) } });
const parts = writeShards(random, 3);

const models = new Map([
  ["/small.gguf", small],
  ["/large.gguf", padded(small)],
  ["/wordy.gguf", padded(wordy)],
  ["/cut.gguf", small.slice(0, -1000)],
  ["/other.gguf", new TextEncoder().encode("PK\x03\x04 and so on")],
  ["/empty-header.gguf", small.slice(0, 100)],
  ["/lonely-00001-of-00003.gguf", parts[0]],
  ...parts.map((part, i) => [`/random-0000${i + 1}-of-00003.gguf`, part] as const),
]);

/** A file whose weights are followed by zeros: as large as a real one's, with the same header. */
function padded(model: Uint8Array): Uint8Array {
  const file = new Uint8Array(model.length + PADDING);
  file.set(model);
  return file;
}

const executable = findChromium();

describe.skipIf(!executable)("estimate of piphi/web", () => {
  let browser: Browser;
  let node: Node;

  beforeAll(async () => {
    browser = await launchChromium(executable!);
    node = (await import(/* @vite-ignore */ NODE)) as Node;
  });

  afterAll(() => browser?.close());

  describe.each([
    { mode: "with shared memory", isolated: true, threads: 3 },
    { mode: "without shared memory", isolated: false, threads: 1 },
  ])("$mode", ({ isolated, threads }) => {
    let server: TestServer;
    let page: Page;
    const workers: string[] = [];

    beforeAll(async () => {
      server = await startServer(isolated, models);
      page = await browser.newPage();
      page.on("worker", (worker) => workers.push(worker.url()));
      await page.goto(server.origin);
      await page.waitForFunction("globalThis.piphi");
    });

    afterAll(async () => {
      await page?.close();
      server?.close();
    });

    const estimate = (model?: string, options: LoadOptions & { store?: boolean } = {}): Promise<Estimate> => {
      return page.evaluate(([model, options]) => piphi.estimate(model, options), [model, options] as const);
    };

    /** What Node says of a file with as many threads as the page may have; a page cannot tell how fast it is. */
    const expected = async (model: Uint8Array | undefined, options: LoadOptions = {}): Promise<Estimate> => {
      const there = await node.estimate(model && temporaryFile("model.gguf", model), { ...options, threads });
      return { ...there, predictedTokensPerSecond: null, predictedFrom: null };
    };

    it("says of the embedded model what Node says", async () => {
      const variants: LoadOptions[] = [
        { ram: "1G" },
        { ram: "1G", contextLength: 64, kv: "f16", dense: "exact" },
        { ram: "2M" },
      ];
      for (const options of variants) {
        const there = await expected(undefined, options);
        expect(there.fits).toBe(options.ram === "1G");
        // Node counts itself in, a page cannot tell what its browser takes.
        const { remedy: hereRemedy, ...here } = await estimate(undefined, { ...options, threads: 3 });
        const { remedy, ...figures } = there;
        expect(here).toEqual(figures);
        expect(typeof hereRemedy).toBe(typeof remedy);
      }
      expect((await estimate()).fits).toBe(true);
    });

    it("says the same of whatever holds the file", async () => {
      const all = await page.evaluate(async () => {
        const fetchFile = async (path: string) => new File([await (await fetch(path)).blob()], path.slice(1));
        const whole = await fetchFile("/small.gguf");
        const buffer = await whole.arrayBuffer();
        const part = (i: number) => `/random-0000${i}-of-00003.gguf`;
        const sources = {
          url: new URL("/small.gguf", location.href),
          unranged: "/small.gguf?whole",
          unsized: "/small.gguf?unsized",
          blobUrl: URL.createObjectURL(whole),
          file: whole,
          blob: whole.slice(),
          buffer,
          files: await Promise.all([part(2), part(1), part(3)].map(fetchFile)),
          partUrl: `${part(2)}?token=secret#there`,
        };
        const estimates: Record<string, Estimate> = {};
        for (const [name, source] of Object.entries(sources)) {
          estimates[name] = await piphi.estimate(source, { threads: 3, ram: "1G" });
        }
        return { estimates, bufferBytes: buffer.byteLength };
      });
      const there = await expected(small, { ram: "1G" });
      for (const [source, here] of Object.entries(all.estimates)) expect(here, source).toEqual(there);
      expect(all.bufferBytes).toBe(small.length);
    });

    it("transfers the header only", async () => {
      const options = { threads: 3, ram: "1G" };
      const there = await expected(small, options);
      const transfer = async (model: string) => {
        const { pathname } = new URL(model, server.origin);
        server.sent.delete(pathname);
        expect(await estimate(model, { ...options, store: false }), model).toEqual(there);
        return server.sent.get(pathname);
      };
      expect(await transfer("/large.gguf")).toBe(4 * MIB);
      expect(await transfer("/large.gguf?unsized")).toBe(4 * MIB);
      expect(await transfer("/large.gguf?whole")).toBeLessThan(4 * MIB + IN_FLIGHT);
      // Its header is 9 MiB: more is asked for until it is there.
      expect(await transfer("/wordy.gguf")).toBeLessThan(48 * MIB);
    });

    it("reads no more of a File than its header", async () => {
      const read = await page.evaluate(async () => {
        const file = new File([await (await fetch("/wordy.gguf")).blob()], "wordy.gguf");
        const ends: number[] = [];
        const slice = file.slice.bind(file);
        file.slice = (start, end, type) => {
          ends.push(end ?? file.size);
          return slice(start, end, type);
        };
        const { bytes } = await piphi.estimate(file, { threads: 3 });
        return { bytes, furthest: Math.max(...ends) };
      });
      expect(read.bytes).toEqual((await expected(small)).bytes);
      expect(read.furthest).toBeLessThan(32 * MIB);
    });

    it("names what cannot be loaded", async () => {
      const failures: [string, string, RegExp][] = [
        ["/none.gguf", "E_NOT_FOUND", /404/],
        ["/locked.gguf", "E_FILE_READ", /403/],
        ["/page.gguf", "E_NOT_GGUF", /an HTML page/],
        ["/other.gguf", "E_NOT_GGUF", /a zip archive/],
        ["/cut.gguf", "E_FILE_TRUNCATED", /incomplete/],
        ["/cut.gguf?unsized", "E_FILE_TRUNCATED", /incomplete/],
        ["/empty-header.gguf", "E_FILE_TRUNCATED", /incomplete/],
        ["/short.gguf", "E_FILE_TRUNCATED", /incomplete/],
        ["/broken.gguf", "E_FILE_READ", /could not be downloaded/],
        ["http://127.0.0.1:1/offline.gguf", "E_FILE_READ", /could not be downloaded/],
        ["/lonely-00001-of-00003.gguf", "E_NOT_FOUND", /lonely-00002-of-00003/],
        ["http://", "E_USAGE", /address/],
      ];
      for (const [model, code, message] of failures) {
        const error = await page.evaluate((model) => {
          return piphi.estimate(model).then(String, ({ name, code, message }) => ({ name, code, message }));
        }, model);
        expect(error, model).toEqual({ name: "PiPhiError", code, message: expect.stringMatching(message) });
      }
      const codes = await page.evaluate(async () => {
        const part = await (await fetch("/random-00001-of-00003.gguf")).blob();
        const code = (model: unknown, options = {}) => {
          return piphi.estimate(model as never, options).then(String, ({ code }) => code);
        };
        return {
          threads: await code("/small.gguf", { threads: 1000 }),
          number: await code(7),
          empty: await code(new Blob()),
          page: await code(new Blob(["<!doctype html>"])),
          part: await code([new File([part], "random-00001-of-00003.gguf")]),
        };
      });
      expect(codes).toEqual({
        threads: "E_USAGE",
        number: "E_USAGE",
        empty: "E_NOT_GGUF",
        page: "E_NOT_GGUF",
        part: "E_NOT_FOUND",
      });
    });

    it("can be interrupted", async () => {
      const code = await page.evaluate(() => {
        const signal = AbortSignal.timeout(200);
        return piphi.estimate("/endless.gguf", { signal }).then(String, ({ code }) => code);
      });
      expect(code).toBe("E_CANCELLED");
    });

    it("starts no worker", () => {
      expect(workers).toEqual([]);
    });
  });
});
