/** Packs on disk: several processes, what killed ones leave, and disks that refuse. */

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { checkPack, type Inspection, inspect, packFile, tokenize } from "../../devices/node/index.ts";
import { writeAtomically } from "../../devices/node/writing.ts";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryFile, temporaryPath } from "../fixtures/temporary.ts";

const DIST = new URL("../../dist/devices/node/index.js", import.meta.url).href;

let source: string;
beforeAll(() => {
  source = temporaryFile("source.gguf", randomModel({ layers: 24, hiddenSize: 256, heads: 4 }));
});

let folders = 0;
function newFolder(): string {
  const folder = temporaryPath(`packs-${folders++}`);
  mkdirSync(folder);
  return folder;
}

/** Packs in a process of its own; resolves with its exit code or the signal that ended it. */
function packElsewhere(output: string, killAfterMs?: number, signal: NodeJS.Signals = "SIGKILL") {
  const script = `import { packFile } from ${JSON.stringify(DIST)};
    await packFile(${JSON.stringify(source)}, ${JSON.stringify(output)});`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "ignore" });
  if (killAfterMs !== undefined) setTimeout(() => child.kill(signal), killAfterMs);
  return new Promise((resolve) => child.on("exit", (code, by) => resolve(by ?? code)));
}

describe("the same pack", () => {
  test("by several processes and threads at once: all succeed, and it is whole", async () => {
    const folder = newFolder();
    const output = path.join(folder, "a.pack.gguf");
    const elsewhere = [0, 1].map(() => packElsewhere(output));
    const here = [0, 1].map(() => packFile(source, output));
    expect(await Promise.all(elsewhere)).toEqual([0, 0]);
    const [bytes] = await Promise.all(here);
    expect(bytes).toBe(readFileSync(output).length);
    await checkPack(output);
    expect(readdirSync(folder)).toEqual(["a.pack.gguf"]);
  });

  test("by processes that are killed at any moment: never half of it under its name, nothing left in the end", async () => {
    const folder = newFolder();
    const output = path.join(folder, "a.pack.gguf");
    const endings = new Set<unknown>();
    for (let round = 0; round < 12; round++) {
      endings.add(await packElsewhere(output, 60 + round * 40, round % 2 === 0 ? "SIGKILL" : "SIGTERM"));
      if (existsSync(output)) await checkPack(output);
      expect(readdirSync(folder).filter((name) => name.endsWith(".part")).length).toBeLessThanOrEqual(1);
    }
    expect(endings).toContain("SIGKILL");
    await packFile(source, output);
    await checkPack(output);
    expect(readdirSync(folder)).toEqual(["a.pack.gguf"]);
  });
});

test("what the caller's own progress function throws ends it, and leaves nothing", async () => {
  const folder = newFolder();
  const onProgress = () => {
    throw new RangeError("mine");
  };
  const output = path.join(folder, "a.pack.gguf");
  await expect(packFile(source, output, { onProgress })).rejects.toThrow(new RangeError("mine"));
  expect(readdirSync(folder).filter((name) => name.endsWith(".part"))).toEqual([]);
});

test("leftovers: of a process that is gone, and old ones of other machines, go; others stay", async () => {
  const folder = newFolder();
  const output = path.join(folder, "a.pack.gguf");
  // The name of a part file of this machine, by the one that a failing write leaves room to see.
  let own = "";
  const seen = writeAtomically(output, async () => {
    [own] = readdirSync(folder);
    throw new Error("enough");
  });
  await expect(seen).rejects.toMatchObject({ code: "E_FILE_WRITE" });
  expect(readdirSync(folder)).toEqual([]);
  const of = (pid: number | string) => own.replace(`.${process.pid}-`, `.${pid}-`);
  expect(of("x")).not.toBe(own);
  const { pid: gone } = spawnSync(process.execPath, ["-e", ""]);
  const foreign = (name: string) => name.replace(/\.[0-9a-f]{6}\./, ".zzzzzz.");
  const old = "a.pack.gguf.part";
  const names = [of(gone), of(process.ppid), foreign(of(1)), old, "a.pack.gguf.partial", "b.pack.gguf.part"];
  for (const name of names) writeFileSync(path.join(folder, name), "left");
  for (const name of [old, "b.pack.gguf.part"]) utimesSync(path.join(folder, name), 0, 0);
  await packFile(source, output);
  const kept = [of(process.ppid), foreign(of(1)), "a.pack.gguf.partial", "b.pack.gguf.part", "a.pack.gguf"];
  expect(readdirSync(folder).toSorted()).toEqual(kept.toSorted());
});

describe("a disk that refuses", () => {
  test.each([
    ["ENOSPC", "E_DISK_FULL", /became full.*Delete some files/],
    ["EDQUOT", "E_DISK_FULL", /became full.*Delete some files/],
    ["EFBIG", "E_FILE_WRITE", /FAT ends at 4 GiB.*choose another/],
    ["EROFS", "E_FILE_WRITE", /read-only: choose another folder/],
    ["EACCES", "E_FILE_WRITE", /Choose another folder, or change its permissions/],
    ["EPERM", "E_FILE_WRITE", /Choose another folder, or change its permissions/],
    ["EIO", "E_FILE_WRITE", /Try again/],
  ])("in the middle, %s: typed, and what was there before is still there", async (errno, code, message) => {
    const folder = newFolder();
    const output = path.join(folder, "a.pack.gguf");
    writeFileSync(output, "before");
    const failing = writeAtomically(output, async (sink) => {
      sink.resize(1000);
      sink.write(0, new Uint8Array(500));
      throw Object.assign(new Error(`${errno}: refused, write`), { code: errno });
    });
    await expect(failing).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
    expect(readdirSync(folder)).toEqual(["a.pack.gguf"]);
    expect(readFileSync(output, "utf8")).toBe("before");
    expect(await writeAtomically(output, async (sink) => sink.write(0, new Uint8Array(7)))).toBe(7);
    expect(readFileSync(output)).toEqual(Buffer.alloc(7));
  });

  test("a name that is a folder, or lies in a file", async () => {
    const folder = newFolder();
    await expect(packFile(source, folder)).rejects.toMatchObject({ code: "E_FILE_WRITE" });
    const inFile = path.join(source, "a.pack.gguf");
    await expect(packFile(source, inFile)).rejects.toMatchObject({ code: "E_FILE_WRITE" });
  });
});

test("a pack is shown and tokenizes as its source does", async () => {
  const output = temporaryPath("shown.pack.gguf");
  await packFile(source, output);
  const [before, after] = [await inspect(source), await inspect(output)];
  const common = ({ name, quantization, parameters, config, vocabulary, promptFormat }: Inspection) => {
    return { name, quantization, parameters, config, vocabulary, promptFormat };
  };
  expect(common(after)).toEqual(common(before));
  expect(after.tensors.map(({ type }) => type)).toContain("q4 tiles");
  const held = after.tensors.reduce((sum, { bytes }) => sum + bytes, 0);
  expect(held).toBeLessThanOrEqual(after.fileBytes);
  expect(held).toBeGreaterThan(after.fileBytes / 2);
  expect(await tokenize("two  spaces", output)).toEqual(await tokenize("two  spaces", source));
});
