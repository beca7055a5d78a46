/** Faults as the system makes them: memory that others take, processes that are killed, disks that are full or locked. */

import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { checkPack, packFile } from "../../devices/node/index.ts";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryFile, temporaryPath } from "../fixtures/temporary.ts";
import { ANSWER, CLI, Group, HOG, makeModel, mountSmall, unable } from "./machine.ts";

const MIB = 1 << 20;

function piphi(args: string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [CLI, ...args], { env: { ...process.env, ...env } });
  const outcome = { stdout: "", stderr: "" };
  child.stdout.on("data", (data) => (outcome.stdout += data));
  child.stderr.on("data", (data) => (outcome.stderr += data));
  const ended = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    child.on("close", (code) => resolve({ code, ...outcome }));
  });
  return { child, ended };
}

interface Answered {
  tokens: number[];
  memory: { mode: string; pressure?: { releasedBytes: number; reasons: string[] } };
}

describe.skipIf(unable)(`memory that another process takes (${unable ?? "root on Linux"})`, () => {
  let pack: string;
  let packBytes: number;
  beforeAll(async () => {
    const model = makeModel(8);
    pack = temporaryPath("memory.pack.gguf");
    packBytes = await packFile(model, pack);
    rmSync(model);
  });

  /** Answers in a group of its own, in which a hog begins to take memory some seconds after the first token. */
  async function answer(limitMib: number, hogMib: number, hogMibPerSecond: number, tokens: number) {
    const group = new Group(limitMib * MIB);
    let output = "";
    let hog: ReturnType<Group["start"]> | undefined;
    try {
      const child = group.start(ANSWER, pack, `${tokens}`);
      child.stdout!.on("data", (data) => {
        output += data;
        if (hogMib > 0) hog ??= group.start(HOG, `${hogMib}`, `${hogMibPerSecond}`);
      });
      const ended = await new Promise((resolve) => child.on("close", (code, signal) => resolve(signal ?? code)));
      const answered = JSON.parse(output.split("\n")[1] || "{}") as Answered;
      return { ended, killed: group.killed, answered };
    } finally {
      hog?.kill("SIGKILL");
      await group.remove();
    }
  }

  test("streamed: the answer survives, and is the same", async () => {
    const calm = await answer(500, 0, 0, 80);
    expect(calm).toMatchObject({ ended: 0, answered: { memory: { mode: "streamed" } } });
    expect(calm.answered.memory.pressure).toBeUndefined();
    const short = await answer(500, 220, 100, 80);
    expect(short).toMatchObject({ ended: 0, killed: 0 });
    expect(short.answered.tokens).toEqual(calm.answered.tokens);
    expect(short.answered.memory.pressure?.releasedBytes).toBeGreaterThan(30 * MIB);
    expect(short.answered.memory.pressure?.reasons[0]).toMatch(/memory was short/);
  });

  test("mapped into huge pages: the copies go back to the file's pages, and the answer is the same", async () => {
    const megabytes = Math.ceil(packBytes / MIB);
    const calm = await answer(4 * megabytes, 0, 0, 200);
    expect(calm.answered.memory.mode).toBe("mapped");
    const short = await answer(4 * megabytes, 3 * megabytes, 400, 200);
    expect(short).toMatchObject({ ended: 0, killed: 0, answered: { memory: { mode: "mapped" } } });
    expect(short.answered.tokens).toEqual(calm.answered.tokens);
    expect(short.answered.memory.pressure?.releasedBytes).toBeGreaterThan(100 * MIB);
  });
});

describe.skipIf(unable)(`packing (${unable ?? "root on Linux"})`, () => {
  let model: string;
  beforeAll(() => {
    model = temporaryFile("packing.gguf", randomModel({ layers: 5, hiddenSize: 1024, heads: 16, type: "F16" }));
  });

  test("killed 25 times, at any moment: never half a pack under its name, and the next attempt cleans up", async () => {
    const folder = temporaryPath("killed");
    mkdirSync(folder);
    const output = path.join(folder, "a.pack.gguf");
    let cut = 0;
    for (let round = 0; round < 25; round++) {
      const { child, ended } = piphi(["pack", model, output]);
      setTimeout(() => child.kill(round % 2 === 0 ? "SIGKILL" : "SIGTERM"), 150 + 1000 * Math.random());
      if ((await ended).code !== 0) cut++;
      expect(readdirSync(folder).filter((name) => name.endsWith(".part")).length).toBeLessThanOrEqual(1);
      if (existsSync(output)) await checkPack(output);
    }
    expect(cut).toBeGreaterThan(5);
    expect((await piphi(["pack", model, output]).ended).code).toBe(0);
    await checkPack(output);
    expect(readdirSync(folder)).toEqual(["a.pack.gguf"]);
  });

  test("a disk that runs full in the middle: E_DISK_FULL, nothing left; with room again, it works", async () => {
    const disk = temporaryPath("filling");
    const unmount = mountSmall(disk, "size=160m");
    try {
      const output = path.join(disk, "a.pack.gguf");
      const fill = path.join(disk, "others");
      const onProgress = (bytes: number) => {
        if (bytes < 10 * MIB || existsSync(fill)) return;
        const { bavail, bsize } = statfsSync(disk);
        try {
          writeFileSync(fill, Buffer.alloc(bavail * bsize));
        } catch (error) {
          expect(error).toMatchObject({ code: "ENOSPC" }); // the packer was faster
        }
      };
      await expect(packFile(model, output, { onProgress })).rejects.toMatchObject({ code: "E_DISK_FULL" });
      expect(readdirSync(disk)).toEqual(["others"]);
      await expect(packFile(model, output)).rejects.toMatchObject({ code: "E_DISK_FULL" });
      rmSync(fill);
      await packFile(model, output);
      await checkPack(output);
    } finally {
      unmount();
    }
  });

  test("a disk that is full does not matter to a model that runs", async () => {
    const disk = temporaryPath("full");
    const unmount = mountSmall(disk, "size=160m");
    try {
      const pack = path.join(disk, "a.pack.gguf");
      await packFile(model, pack);
      const { bavail, bsize } = statfsSync(disk);
      writeFileSync(path.join(disk, "others"), Buffer.alloc(bavail * bsize));
      expect(statfsSync(disk).bavail).toBe(0);
      const run = ["run", pack, "--raw", "-p", "the light", "-n", "4", "--json"];
      const { code, stdout } = await piphi(run, { PIPHI_HOME: disk }).ended;
      expect([code, JSON.parse(stdout).generatedTokens]).toEqual([0, 4]);
    } finally {
      unmount();
    }
  });

  test("a store on a read-only file system: a warning, and an answer from memory; a pack there is refused", async () => {
    const disk = temporaryPath("read-only");
    const unmount = mountSmall(disk, "ro,size=400m");
    try {
      const run = ["run", model, "--raw", "-p", "the light", "-n", "4", "--json"];
      const { code, stdout, stderr } = await piphi(run, { PIPHI_HOME: disk }).ended;
      expect(stderr).toMatch(/^warning: .*PIPHI_HOME.*\nThe weights are kept in memory this time\.\n$/);
      expect([code, JSON.parse(stdout).memory.mode]).toEqual([0, "resident"]);
      const refused = await piphi(["pack", model, path.join(disk, "a.pack.gguf")]).ended;
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/read-only.*\[E_FILE_WRITE\]/)]);
    } finally {
      unmount();
    }
  });

  test("a folder in which not even root may write: E_FILE_WRITE, and what was there stays", async () => {
    const folder = temporaryPath("immutable");
    mkdirSync(folder);
    writeFileSync(path.join(folder, "a.pack.gguf"), "before");
    execFileSync("chattr", ["+i", folder]);
    try {
      const refused = await piphi(["pack", model, path.join(folder, "a.pack.gguf")]).ended;
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/permissions.*\[E_FILE_WRITE\]/)]);
      expect(readdirSync(folder)).toEqual(["a.pack.gguf"]);
    } finally {
      execFileSync("chattr", ["-i", folder]);
    }
  });
});
