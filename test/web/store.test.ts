/** Models that are kept in a browser: brought there through every fault, found again, healed, removed. */

import { createHash } from "node:crypto";
import type { BrowserContext, CDPSession, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { findChromium, launchPersistent } from "../../tools/bench/peers/chromium.mjs";
import { randomModel, randomModelParts, writeShards } from "../fixtures/random-model.ts";
import { temporaryPath } from "../fixtures/temporary.ts";
import { startServer, type TestServer } from "./server.ts";
import { Shelf } from "./shelf-server.ts";

/** Within the page. */
declare const piphi: typeof import("../../devices/web/index.ts");

const MODEL = randomModel({ peaked: 5, contextLength: 128, hiddenSize: 256, layers: 4 });
const OTHER = randomModel({ seed: 2, peaked: 5, contextLength: 128, hiddenSize: 256, layers: 4 });
const PARTS = writeShards(randomModelParts({ peaked: 5, contextLength: 128, hiddenSize: 256, layers: 4 }), 3);
const PATH = "/kept.gguf";
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

const executable = findChromium();

describe.skipIf(!executable)("the store in a browser", () => {
  let server: TestServer;
  let elsewhere: TestServer;
  let context: BrowserContext;
  let page: Page;
  let devtools: CDPSession;
  let expected: number[];
  const shelf = new Shelf();

  beforeAll(async () => {
    // With a profile on a disk, as people have it: windows without one keep files in memory, and do not know when they changed.
    context = await launchPersistent(executable!, temporaryPath("chromium"));
    server = await startServer(true, new Map(), shelf.handle);
    elsewhere = await startServer(true, new Map(), shelf.handle);
    shelf.models.set(PATH, { bytes: MODEL });
    page = await openPage();
    expected = await answer({ store: false });
  });

  afterAll(async () => {
    await context?.close();
    server?.close();
    elsewhere?.close();
  });

  /** Each test has a browser that was never here before, and a server that does nothing wrong. */
  beforeEach(async () => {
    for (const open of context.pages().slice(1)) await open.close();
    page = await openPage();
    devtools = await context.newCDPSession(page);
    await devtools.send("Storage.overrideQuotaForOrigin", { origin: server.origin });
    await devtools.send("Storage.clearDataForOrigin", { origin: server.origin, storageTypes: "all" });
    shelf.models.clear();
    shelf.models.set(PATH, { bytes: MODEL, etag: '"1"' });
    shelf.asked = [];
  });

  async function openPage(): Promise<Page> {
    const opened = await context.newPage();
    await opened.goto(server.origin);
    await opened.waitForFunction("globalThis.piphi");
    return opened;
  }

  type Options = { store?: boolean | string; sha256?: string | string[]; threads?: number };

  /** Loads a model in a page, and what it says. */
  function answer(options: Options = {}, model = PATH, on = page): Promise<number[]> {
    return on.evaluate(
      async ([model, options]) => {
        const phi = await piphi.load(model, { threads: 2, store: true, ...options });
        const { tokens } = await phi.generate("the light is", { maxTokens: 16, ignoreEos: true });
        await phi.close();
        return tokens;
      },
      [model, options] as const,
    );
  }

  function failure(options: Options = {}, model = PATH, on = page): Promise<{ code: string; message: string }> {
    return on.evaluate(
      ([model, options]) => {
        return piphi
          .load(model, { store: true, ...options })
          .then(() => ({ code: "none", message: "" }))
          .catch(({ code, message }) => ({ code, message }));
      },
      [model, options] as const,
    );
  }

  const list = (on = page) => on.evaluate(() => piphi.store.list());

  it("keeps a model as a pack: the next visit asks for nothing, and answers the same", async () => {
    const phases = await page.evaluate(async (model) => {
      const phases = new Set<string>();
      const phi = await piphi.load(model, { store: true, onProgress: ({ phase }) => phases.add(phase) });
      await phi.close();
      return [...phases];
    }, PATH);
    expect(phases).toEqual(["download", "pack", "weights"]);
    expect(shelf.asked).toHaveLength(1);
    const again = await openPage();
    expect(await answer({}, PATH, again)).toEqual(expected);
    expect(shelf.asked).toHaveLength(1);
    const [model, ...others] = await list(again);
    expect(others).toEqual([]);
    expect(model).toMatchObject({
      address: `${server.origin}${PATH}`,
      complete: true,
      loadedBytes: MODEL.length,
      totalBytes: MODEL.length,
      sha256: [sha256(MODEL)],
      quantization: "Q4_0",
    });
    expect(model.bytes).toBeGreaterThan(MODEL.length / 2);
    expect(model.usedMs).toBeGreaterThan(1e12);
    const usage = await again.evaluate(() => piphi.store.usage());
    expect(usage).toMatchObject({ usedBytes: model.bytes, persistent: expect.any(Boolean) });
    expect(usage.quotaBytes).toBeGreaterThan(model.bytes);
  });

  it("downloads ahead of use, by a name, with the checksum that is asked for", async () => {
    const model = await page.evaluate(
      ([path, sum]) => piphi.store.download(`${path}?signature=secret`, { store: "kept", sha256: sum }),
      [PATH, sha256(MODEL).toUpperCase()] as const,
    );
    expect(model).toMatchObject({ keptAs: "kept", complete: true, usedMs: expect.any(Number) });
    expect(JSON.stringify(model)).not.toContain("secret");
    // Another signature, the same name.
    expect(await answer({ store: "kept" }, `${PATH}?signature=other`)).toEqual(expected);
    expect(shelf.asked).toHaveLength(1);
    expect(await page.evaluate(() => piphi.store.remove("kept"))).toBe(true);
    expect(await page.evaluate(() => piphi.store.remove("kept"))).toBe(false);
    expect(await list()).toEqual([]);
    expect(
      await page.evaluate(() => piphi.store.download("/kept.gguf", { store: false }).catch(({ code }) => code)),
    ).toBe("E_USAGE");
  });

  it("leaves small models to the browser's own cache, unless it is told to keep them", async () => {
    expect(await answer({ store: undefined })).toEqual(expected);
    expect(await list()).toEqual([]);
  });

  it("goes on where the connection broke, wherever that was", async () => {
    const cutAfter = Math.ceil(MODEL.length / 3.5);
    shelf.models.set(PATH, { bytes: MODEL, etag: '"1"', cutAfter, cuts: 3 });
    expect(await answer()).toEqual(expected);
    expect(shelf.asked.map(({ status }) => status)).toEqual([200, 206, 206, 206]);
    expect(shelf.asked.slice(1).every(({ ifRange }) => ifRange === '"1"')).toBe(true);
  });

  /** Leaves the first half of a model in the store. */
  async function leaveHalf(bytes: Uint8Array): Promise<void> {
    shelf.models.set(PATH, { bytes, etag: '"1"', stallAfter: Math.floor(bytes.length / 2) });
    const failed = page.evaluate(
      ([model, half]) => {
        const onProgress = ({ loadedBytes }: { loadedBytes: number }) => {
          if (loadedBytes === half) Object.assign(globalThis, { half });
        };
        return piphi.load(model, { store: true, onProgress }).catch(({ code }) => code);
      },
      [PATH, Math.floor(bytes.length / 2)] as const,
    );
    await page.waitForFunction(() => "half" in globalThis);
    shelf.refuse(PATH);
    expect(await failed).toBe("E_FILE_READ");
    await page.evaluate(() => Reflect.deleteProperty(globalThis, "half"));
    shelf.asked = [];
  }

  it("goes on in the next visit where this one ended", async () => {
    await leaveHalf(MODEL);
    expect(await list()).toMatchObject([{ complete: false, loadedBytes: Math.floor(MODEL.length / 2), sha256: [] }]);
    expect(await answer({}, PATH, await openPage())).toEqual(expected);
    expect(shelf.asked).toMatchObject([{ range: `bytes=${Math.floor(MODEL.length / 2)}-`, status: 206 }]);
  });

  it("begins anew where the file has changed, or where the server knows no ranges", async () => {
    for (const change of [
      { etag: '"2"' },
      { etag: '"1"', ranges: false },
      { etag: '"1"', sized: false, ranges: false },
    ]) {
      await leaveHalf(OTHER);
      shelf.models.set(PATH, { bytes: MODEL, ...change });
      expect(await answer()).toEqual(expected);
      expect(await page.evaluate((model) => piphi.store.remove(model), PATH)).toBe(true);
    }
    // Of another origin that hides its headers, only the checksum tells.
    const [hidden, address] = ["/hidden.gguf", `${elsewhere.origin}/hidden.gguf`];
    shelf.models.set(hidden, { bytes: OTHER, exposed: false, cutAfter: OTHER.length / 2, status: 403, refusals: 0 });
    const failed = failure({ sha256: sha256(MODEL) }, address);
    await expect.poll(() => shelf.asked.length).toBeGreaterThan(0);
    shelf.models.set(hidden, { bytes: MODEL, exposed: false });
    expect(await failed).toMatchObject({ code: "none" });
  });

  it("reads what servers send in other ways", async () => {
    const ways = {
      unsized: { sized: false, ranges: false },
      gzip: { gzip: true },
      redirect: { redirect: "/target.gguf" },
    };
    shelf.models.set("/target.gguf", { bytes: MODEL });
    for (const [name, way] of Object.entries(ways)) {
      shelf.models.set(`/${name}.gguf`, { bytes: MODEL, ...way });
      expect(await answer({}, `/${name}.gguf`), name).toEqual(expected);
    }
    // Of another origin, whose answers tell the page nothing but the bytes.
    shelf.models.set(PATH, {
      bytes: MODEL,
      etag: '"1"',
      exposed: false,
      cutAfter: Math.ceil(MODEL.length / 2),
      cuts: 1,
    });
    expect(await answer({}, `${elsewhere.origin}${PATH}`)).toEqual(expected);
    // A server that has too much to do for a moment.
    shelf.models.set("/busy.gguf", { bytes: MODEL, status: 503, refusals: 2 });
    expect(await answer({}, "/busy.gguf")).toEqual(expected);
  });

  it("keeps split models", async () => {
    PARTS.forEach((bytes, i) => {
      shelf.models.set(`/split-0000${i + 1}-of-00003.gguf`, {
        bytes,
        etag: `"${i}"`,
        cutAfter: bytes.length - 1000,
        cuts: 1,
      });
    });
    const second = "/split-00002-of-00003.gguf";
    expect(await answer({ sha256: PARTS.map(sha256) }, second)).toEqual(expected);
    const asked = shelf.asked.length;
    expect(await answer({}, second)).toEqual(expected);
    expect(shelf.asked).toHaveLength(asked);
    expect(await list()).toMatchObject([
      { complete: true, loadedBytes: PARTS.reduce((sum, { length }) => sum + length, 0) },
    ]);
  });

  it("keeps nothing of what is no model, and says what it is", async () => {
    const damaged = MODEL.slice();
    damaged.fill(0xff, damaged.length - 2000);
    const bad: [string, Partial<Parameters<typeof shelf.models.set>[1]>, string, RegExp][] = [
      [
        "/html.gguf",
        { bytes: new TextEncoder().encode("<!doctype html><title>Sign in</title>") },
        "E_NOT_GGUF",
        /an HTML page/,
      ],
      ["/cut.gguf", { bytes: MODEL.slice(0, -1000) }, "E_FILE_TRUNCATED", /incomplete/],
      [
        "/unsized.gguf",
        { bytes: MODEL.slice(0, -1000), sized: false, ranges: false },
        "E_FILE_TRUNCATED",
        /incomplete/,
      ],
      ["/damaged.gguf", { bytes: damaged }, "E_TENSOR_VALUES", /NaN/],
      ["/gone.gguf", { bytes: MODEL, status: 404, refusals: 9 }, "E_NOT_FOUND", /404/],
    ];
    for (const [path, model, code, message] of bad) {
      shelf.models.set(path, model as never);
      expect(await failure({}, path), path).toMatchObject({ code, message: expect.stringMatching(message) });
    }
    expect(await failure({ sha256: sha256(OTHER) })).toMatchObject({ code: "E_FILE_CORRUPT" });
    expect(await failure({ sha256: "12" })).toMatchObject({ code: "E_USAGE" });
    shelf.models.set("/secret.gguf", { bytes: MODEL, cors: false });
    const cors = await failure({}, `${elsewhere.origin}/secret.gguf`);
    expect(cors).toMatchObject({ code: "E_FILE_READ", message: expect.stringMatching(/CORS/) });
    expect((await list()).filter(({ loadedBytes }) => loadedBytes > 0)).toEqual([]);
  });

  /** Changes files of the store behind its back. */
  const tamper = (suffix: string, change: "delete" | "damage" | "cut") => {
    return page.evaluate(
      async ([suffix, change]) => {
        const root = await navigator.storage.getDirectory();
        const folder = await root.getDirectoryHandle("piphi");
        for await (const name of folder.keys()) {
          if (!name.endsWith(suffix)) continue;
          if (change === "delete") await folder.removeEntry(name);
          else {
            const handle = await folder.getFileHandle(name);
            const size = (await handle.getFile()).size & ~3;
            const writable = await handle.createWritable({ keepExistingData: true });
            if (change === "cut") await writable.truncate(size - 1000);
            else {
              const data = new Uint8Array(size / 2).fill(0x55);
              await writable.write({ type: "write", position: size / 4, data });
            }
            await writable.close();
          }
        }
      },
      [suffix, change] as const,
    );
  };

  it("heals what was damaged, cut or deleted", async () => {
    await answer();
    for (const [suffix, change] of [
      [".pack.gguf", "damage"],
      [".pack.gguf", "cut"],
      [".pack.gguf", "delete"],
      [".record", "delete"],
      [".record", "cut"],
    ] as const) {
      shelf.asked = [];
      await tamper(suffix, change);
      expect(await answer(), `${change} ${suffix}`).toEqual(expected);
      expect(shelf.asked, `${change} ${suffix}`).toHaveLength(1);
    }
    expect(await list()).toHaveLength(1);
  });

  it("does not trust what has come of a file, but takes what is sound of it", async () => {
    await leaveHalf(MODEL);
    await tamper(".0.gguf", "damage");
    expect(await answer()).toEqual(expected);
    expect(shelf.asked[0].range).toBeUndefined();
    expect(await list()).toMatchObject([{ sha256: [sha256(MODEL)] }]);
  });

  it("downloads once for two tabs", async () => {
    const other = await openPage();
    const answers = await Promise.all([answer(), answer({}, PATH, other)]);
    expect(answers).toEqual([expected, expected]);
    expect(shelf.asked).toHaveLength(1);
  });

  it("goes on in another tab when the one that downloads is closed", async () => {
    const other = await openPage();
    shelf.models.set(PATH, { bytes: MODEL, etag: '"1"', stallAfter: Math.floor(MODEL.length / 2) });
    const first = answer().catch(() => "closed");
    while (shelf.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 10));
    const second = answer({}, PATH, other);
    shelf.models.set(PATH, { bytes: MODEL, etag: '"1"' });
    await page.close();
    expect(await first).toBe("closed");
    expect(await second).toEqual(expected);
  });

  it("refuses before it downloads what there is no room for, and half-stores nothing", async () => {
    const setQuota = (quotaSize: number) =>
      devtools.send("Storage.overrideQuotaForOrigin", { origin: server.origin, quotaSize });
    await setQuota(MODEL.length / 2);
    const refused = await failure();
    expect(refused).toMatchObject({ code: "E_DISK_FULL", message: expect.stringMatching(/store: false/) });
    expect(shelf.asked.reduce((sum, { sent }) => sum + sent, 0)).toBeLessThanOrEqual(MODEL.length);
    expect(await list()).toEqual([]);
    // Room for the file, but not for its pack as well: the file itself is used.
    await setQuota(Math.floor(2.8 * MODEL.length));
    expect(await answer()).toEqual(expected);
    expect(await list()).toMatchObject([{ complete: true, bytes: expect.any(Number) }]);
    await setQuota(10 * MODEL.length);
    shelf.asked = [];
    expect(await answer()).toEqual(expected);
    expect(shelf.asked).toEqual([]);
  });
});
