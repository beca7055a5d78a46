/** Reads past the page cache from a disk that gives less than it is asked for, or refuses. */

import type fs from "node:fs";
import { renameSync } from "node:fs";
import { beforeEach, expect, test, vi } from "vitest";
import { temporaryFile } from "../fixtures/temporary.ts";

/** What the next reads give: bytes at most, or an error's code. */
let script: (number | string)[] = [];

vi.mock("node:fs", async (original) => {
  const { default: real } = await original<{ default: typeof fs }>();
  const read = (...args: Parameters<typeof fs.read>) => {
    const [fd, into, at, length, offset, done] = args as unknown as [
      number,
      Uint8Array,
      number,
      number,
      number,
      (error: Error | null, bytesRead?: number) => void,
    ];
    const next = script.shift() ?? length;
    if (typeof next === "number") return real.read(fd, into, at, Math.min(length, next), offset, done);
    done(Object.assign(new Error(`${next}: refused, read`), { code: next }));
  };
  // promisify gives what Node's own read has: an object with the count.
  const custom = Symbol.for("nodejs.util.promisify.custom");
  Object.assign(read, {
    [custom]: (...args: unknown[]) =>
      new Promise((resolve, reject) => {
        const done = (error: Error | null, bytesRead: number) => (error ? reject(error) : resolve({ bytesRead }));
        (read as (...all: unknown[]) => void)(...args, done);
      }),
  });
  return { default: { ...real, read }, ...real, read };
});
const { openAhead } = await import("../../devices/node/direct.ts");

const content = Uint8Array.from({ length: 65536 }, (_, i) => (i * 31 + (i >> 8)) & 255);
const file = temporaryFile("short.bin", content);
/** On an aligned place, as direct reads want it. */
const into = new Uint8Array(new WebAssembly.Memory({ initial: 1 }).buffer, 0, 16384);
beforeEach(() => {
  script = [];
  into.fill(0);
});

test.each([
  ["in blocks", [512, 4096, 1024]],
  ["anywhere", [100, 7, 4000, 1]],
  ["in blocks, and then anywhere", [4096, 13, 512]],
  ["refused for a direct read", ["EINVAL"]],
  ["short, then refused", [512, "EINVAL", 3]],
])("short reads, %s: all bytes all the same", async (_, next) => {
  const source = openAhead(file);
  script = [...next];
  await source.read(8192, into);
  expect(script).toEqual([]);
  expect(Buffer.compare(into, content.subarray(8192, 8192 + 16384))).toBe(0);
  source.close();
});

test.each([[["EIO"]], [[512, "EIO"]], [[100, "EIO"]], [["EINVAL", "EIO"]]])(
  "an error after %j: E_FILE_READ, and the next read works",
  async (next) => {
    const source = openAhead(file);
    script = [...next];
    await expect(source.read(0, into)).rejects.toMatchObject({ code: "E_FILE_READ", details: { errno: "EIO" } });
    await source.read(0, into);
    expect(Buffer.compare(into, content.subarray(0, 16384))).toBe(0);
    source.close();
  },
);

test("refused for several reads at once: all of them come from the page cache", async () => {
  const source = openAhead(file);
  script = ["EINVAL", "EINVAL"];
  await Promise.all([0, 8192].map((offset) => source.read(offset, into.subarray(offset, offset + 8192))));
  expect(source.direct()).toBe(false);
  expect(Buffer.compare(into, content.subarray(0, 16384))).toBe(0);
  source.close();
});

test("another file of the same name is not read", async () => {
  const kept = temporaryFile("kept.bin", content);
  const source = openAhead(kept);
  const other = content.map((byte) => 255 - byte);
  renameSync(temporaryFile("new.bin", other), kept);
  script = [100];
  await source.read(0, into);
  expect(Buffer.compare(into, content.subarray(0, 16384))).toBe(0);
  source.close();
});
