/** Files as pages of linear memory, and files read past the page cache. */

import { execFile, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { promisify } from "node:util";
import { Worker } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { openAhead } from "../../devices/node/direct.ts";
import { EMBEDDED_MODEL, packFile } from "../../devices/node/index.ts";
import { mapFile, mapPromoted, releasePages } from "../../devices/node/mapping.ts";
import { libc } from "../../devices/node/system/libc.ts";
import { allocateMemory } from "../../runtime/compute/instance.ts";
import { temporaryFile, temporaryPath } from "../fixtures/temporary.ts";

const PAGE = 65536;
const DIST = new URL("../../dist/devices/node/index.js", import.meta.url).href;
const pattern = (bytes: number, seed = 1) =>
  Uint8Array.from({ length: bytes }, (_, i) => (i * 31 + seed * 7 + (i >> 9)) & 255);
const bytesOf = (memory: WebAssembly.Memory, from: number, length: number) =>
  new Uint8Array(memory.buffer, from, length).slice();
/** Element by element would take minutes. */
const same = (a: Uint8Array, b: Uint8Array) => expect(Buffer.compare(a, b)).toBe(0);
const unavailable = typeof libc() === "string";

describe.skipIf(unavailable)(`mapped files (${unavailable ? libc() : "koffi is there"})`, () => {
  const content = pattern(4 * PAGE);
  const file = temporaryFile("mapped.bin", content);

  test.each([true, false])("are there at once, and zeros after closing; shared memory: %s", (shared) => {
    const memory = allocateMemory(8 * PAGE, shared);
    const mapped = mapFile(memory, 2 * PAGE, file, PAGE, 3 * PAGE);
    if (typeof mapped === "string") throw new Error(mapped);
    same(bytesOf(memory, 2 * PAGE, 3 * PAGE), content.slice(PAGE));
    same(bytesOf(memory, PAGE, PAGE), new Uint8Array(PAGE));
    new Uint8Array(memory.buffer)[2 * PAGE] ^= 255;
    same(readFileSync(file), content);
    mapped.close();
    mapped.close();
    same(bytesOf(memory, 0, 8 * PAGE), new Uint8Array(8 * PAGE));
    new Uint8Array(memory.buffer).fill(7);
  });

  test("are seen by other threads", async () => {
    const memory = allocateMemory(4 * PAGE, true);
    const mapped = mapFile(memory, 0, file, 0, 4 * PAGE);
    const script = `const { parentPort, workerData } = require("node:worker_threads");
      parentPort.postMessage(new Uint8Array(workerData.buffer).slice());`;
    const worker = new Worker(script, { eval: true, workerData: memory });
    same(await new Promise<Uint8Array>((resolve) => worker.once("message", resolve)), content);
    await worker.terminate();
    if (typeof mapped !== "string") mapped.close();
  });

  test("must lie on whole pages inside the memory and inside the file", () => {
    const memory = allocateMemory(4 * PAGE, true);
    for (const [address, offset, bytes] of [
      [1, 0, PAGE],
      [0, 4096, PAGE],
      [0, 0, PAGE + 1],
      [0, 0, 0],
      [-PAGE, 0, PAGE],
      [4 * PAGE, 0, PAGE],
      [2 * PAGE, 0, 3 * PAGE],
    ]) {
      expect(() => mapFile(memory, address, file, offset, bytes)).toThrow(RangeError);
    }
    expect(() => mapFile(memory, 0, file, 2 * PAGE, 4 * PAGE)).toThrow(/incomplete/);
    same(bytesOf(memory, 0, 4 * PAGE), new Uint8Array(4 * PAGE));
  });

  test.skipIf(process.platform !== "linux")("share their pages between processes (Linux: /proc tells)", async () => {
    const pack = temporaryPath("shared.pack.gguf");
    await packFile(EMBEDDED_MODEL, pack);
    const answer = `import { load } from ${JSON.stringify(DIST)};
      const phi = await load(${JSON.stringify(pack)}, { share: true });
      await phi.generate("turn on the lights", { maxTokens: 4 });
      process.stdout.write("ready");
      process.stdin.resume();`;
    const children = [0, 1].map(() => spawn(process.execPath, ["--input-type=module", "-e", answer]));
    try {
      await Promise.all(children.map(({ stdout }) => new Promise((resolve) => stdout.once("data", resolve))));
      const part = readFileSync(`/proc/${children[0].pid}/smaps`, "utf8").split(pack)[1];
      const kilobytes = (name: string) => Number(new RegExp(`^${name}: +(\\d+) kB`, "m").exec(part)?.[1]);
      expect(kilobytes("Rss")).toBeGreaterThan(1000);
      expect(kilobytes("Anonymous")).toBe(0);
      // Each page that both have counts half.
      expect(kilobytes("Pss")).toBeLessThan(0.6 * kilobytes("Rss"));
    } finally {
      for (const child of children) child.kill();
    }
  });

  test.skipIf(process.platform !== "linux")("move into pages of the process's own while they are used", async () => {
    const bytes = 160 * PAGE;
    const large = temporaryFile("promoted.bin", pattern(bytes, 3));
    const memory = allocateMemory(256 * PAGE, true);
    const weights = mapPromoted(memory, PAGE, large, 0, bytes);
    if (typeof weights === "string") throw new Error(weights);
    /** Bytes of the file's mapping that are left. */
    const left = () => {
      const parts = readFileSync("/proc/self/smaps", "utf8").split("promoted.bin").slice(1);
      return parts.reduce((sum, part) => sum + 1024 * Number(/^Size: +(\d+) kB/m.exec(part)?.[1]), 0);
    };
    expect(left()).toBe(bytes);
    await expect.poll(left, { timeout: 10_000 }).toBeLessThanOrEqual(2 << 20);
    same(bytesOf(memory, PAGE, bytes), pattern(bytes, 3));
    same(bytesOf(memory, 0, PAGE), new Uint8Array(PAGE));
    // Memory is short: the file's own pages are there again, once, with the same bytes.
    const copies = weights.giveBackCopies!();
    expect(copies).toBeGreaterThan(bytes - (2 << 20) - 1);
    expect(copies).toBeLessThanOrEqual(bytes);
    expect(left()).toBe(bytes);
    same(bytesOf(memory, PAGE, bytes), pattern(bytes, 3));
    expect(weights.giveBackCopies!()).toBe(0);
    weights.close();
    same(bytesOf(memory, 0, 256 * PAGE), new Uint8Array(256 * PAGE));
  });

  test.skipIf(process.platform !== "linux")("loading and closing leaves no mapping and no thread behind", async () => {
    const pack = temporaryPath("again.pack.gguf");
    await packFile(EMBEDDED_MODEL, pack);
    const script = `import { readdirSync, readFileSync } from "node:fs";
      import { load } from ${JSON.stringify(DIST)};
      const counts = [];
      for (let round = 0; round < 10; round++) {
        const phi = await load(round % 2 ? ${JSON.stringify(pack)} : undefined, { threads: 2, contextLength: 256 });
        await phi.generate("turn on the lights", { maxTokens: 4 });
        await phi.close();
        await new Promise((resolve) => setTimeout(resolve, 300));
        const lines = readFileSync("/proc/self/maps", "utf8").split("\\n").length;
        counts.push({ lines, threads: readdirSync("/proc/self/task").length });
      }
      console.log(JSON.stringify(counts));`;
    const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", script]);
    const counts: { lines: number; threads: number }[] = JSON.parse(stdout);
    const second = counts[1];
    const last = counts.at(-1)!;
    expect(last.threads).toBeLessThanOrEqual(second.threads);
    // koffi alone left three mappings for each load, six for a pack: 36 in these eight rounds.
    expect(last.lines - second.lines).toBeLessThan(24);
  });

  test("pages can be given back", () => {
    const memory = allocateMemory(16 * PAGE, true);
    new Uint8Array(memory.buffer).fill(5);
    expect(releasePages(memory, 4 * PAGE, 8 * PAGE)).toBe(true);
    if (process.platform === "linux") same(bytesOf(memory, 4 * PAGE, 8 * PAGE), new Uint8Array(8 * PAGE));
    same(bytesOf(memory, 0, 4 * PAGE), new Uint8Array(4 * PAGE).fill(5));
  });
});

describe("files read ahead", () => {
  const content = pattern(300_000);
  const files = [temporaryFile("ahead.bin", content)];

  test("several reads at once, whole and at the end of the file", async () => {
    for (const file of files) {
      const source = openAhead(file);
      const memory = allocateMemory(16 * PAGE, true);
      const read = async (offset: number, length: number) => {
        const into = new Uint8Array(memory.buffer, offset, length);
        await source.read(offset, into);
        return into.slice();
      };
      const parts = await Promise.all([0, 65536, 131072].map((offset) => read(offset, 65536)));
      for (const [i, part] of parts.entries()) same(part, content.slice(i * 65536, (i + 1) * 65536));
      same(await read(294_912, 4096), content.slice(294_912, 299_008));
      await expect(read(299_008, 4096)).rejects.toMatchObject({ code: "E_FILE_TRUNCATED" });
      source.close();
      source.close();
    }
  });

  test("a file that is not there is a typed error", () => {
    expect(() => openAhead("/no/such/file")).toThrow(/There is no file/);
  });
});
