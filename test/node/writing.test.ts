/** What a written file may replace, who may read it, and names at their limits. */

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { nodeDevice } from "../../devices/node/device.ts";
import { openFile } from "../../devices/node/files.ts";
import { makeFolders, PRIVATE_MODE, removeLeftovers, writeAtomically } from "../../devices/node/writing.ts";
import { temporaryPath } from "../fixtures/temporary.ts";

let folder: string;
let folders = 0;
beforeEach(() => {
  folder = temporaryPath(`writing-${folders++}`);
  fs.mkdirSync(folder);
});

const at = (name: string) => path.join(folder, name);
const write = (file: string, mode?: number) =>
  writeAtomically(file, async (sink) => sink.write(0, Buffer.from("new")), mode);
const read = (name: string) => fs.readFileSync(at(name), "utf8");
const modeOf = (name: string) => fs.statSync(at(name)).mode & 0o777;
const posix = process.platform !== "win32";

describe.runIf(posix)("what is no regular file stays what it is", () => {
  test("a pipe, a device, and links to them", async () => {
    execFileSync("mkfifo", [at("pipe")]);
    fs.symlinkSync("/dev/null", at("null"));
    fs.symlinkSync("pipe", at("link"));
    for (const name of ["pipe", "null", "link"]) {
      const refused = { code: "E_FILE_WRITE", message: expect.stringMatching(/pipe or a device/) };
      await expect(write(at(name))).rejects.toMatchObject(refused);
      expect(() => removeLeftovers(at(name))).toThrow(expect.objectContaining({ code: "E_FILE_WRITE" }));
    }
    expect(fs.lstatSync(at("pipe")).isFIFO()).toBe(true);
    expect(fs.lstatSync(at("null")).isSymbolicLink()).toBe(true);
    expect(fs.readdirSync(folder).toSorted()).toEqual(["link", "null", "pipe"]);
  });

  test("a symbolic link, whose target is written, there or not yet", async () => {
    fs.mkdirSync(at("else"));
    fs.writeFileSync(at("else/target"), "old");
    fs.symlinkSync("else/target", at("link"));
    fs.symlinkSync("link", at("second"));
    fs.symlinkSync("else/fresh", at("dangling"));
    for (const name of ["second", "dangling"]) {
      await write(at(name));
      expect(fs.lstatSync(at(name)).isSymbolicLink()).toBe(true);
      expect(read(name)).toBe("new");
    }
    expect(fs.readdirSync(at("else")).toSorted()).toEqual(["fresh", "target"]);
  });

  test("links in a circle, and a folder", async () => {
    fs.symlinkSync("b", at("a"));
    fs.symlinkSync("a", at("b"));
    await expect(write(at("a"))).rejects.toMatchObject({ code: "E_FILE_WRITE", details: { errno: "ELOOP" } });
    await expect(write(folder)).rejects.toMatchObject({ code: "E_FILE_WRITE", details: { errno: "EISDIR" } });
  });
});

describe.runIf(posix)("permissions", () => {
  test("a session is its owner's; what is replaced keeps what it had", async () => {
    const save = (name: string) => nodeDevice().create!(at(name), async (sink) => sink.write(0, Buffer.from("new")));
    await save("session");
    expect(modeOf("session")).toBe(0o600);
    for (const mode of [0o644, 0o640, 0o600]) {
      fs.chmodSync(at("session"), mode);
      await save("session");
      expect(modeOf("session")).toBe(mode);
    }
    await write(at("export"), PRIVATE_MODE);
    expect(modeOf("export")).toBe(0o600);
    await write(at("pack"));
    expect(modeOf("pack")).toBe(0o666 & ~process.umask());
  });
});

describe("names", () => {
  test.each(["x".repeat(255), "x".repeat(215), `${"\u00e4".repeat(120)}.gguf`])(
    "as long as a file system takes: %s",
    async (name) => {
      await write(at(name));
      expect(fs.readdirSync(folder)).toEqual([name]);
    },
  );

  test("one that is longer is refused with what to do", async () => {
    const tooLong = { code: "E_FILE_WRITE", message: expect.stringMatching(/too long.*choose a shorter one/) };
    await expect(write(at("x".repeat(256)))).rejects.toMatchObject(tooLong);
  });

  test("what was left of a file with a long name is found", async () => {
    const file = at("x".repeat(250));
    let part = "";
    const failing = writeAtomically(file, async () => {
      [part] = fs.readdirSync(folder);
      throw new Error("enough");
    });
    await expect(failing).rejects.toMatchObject({ code: "E_FILE_WRITE" });
    fs.writeFileSync(at(part.replace(`.${process.pid}-`, ".999999999-")), "left");
    removeLeftovers(file);
    expect(fs.readdirSync(folder)).toEqual([]);
  });
});

describe("folders", () => {
  test("are made with those above them, and again", () => {
    for (let round = 0; round < 2; round++) makeFolders(at("a/b/c"));
    expect(fs.statSync(at("a/b/c")).isDirectory()).toBe(true);
  });

  test("are not made below a file", () => {
    fs.writeFileSync(at("file"), "");
    const refused = { code: "E_FILE_WRITE", message: expect.stringMatching(/part of the path is a file/) };
    expect(() => makeFolders(at("file/b"))).toThrow(expect.objectContaining(refused));
  });

  test.runIf(process.platform === "linux")("in /proc: refused at once, where Node never returns", () => {
    expect(() => makeFolders("/proc/x/y")).toThrow(expect.objectContaining({ code: "E_FILE_WRITE" }));
  });
});

describe("a file that is read", () => {
  const open = () => {
    fs.writeFileSync(at("file"), "content");
    fs.utimesSync(at("file"), 1000, 1000);
    return openFile(at("file"));
  };

  test("is unchanged by other names, links and permissions", () => {
    const source = open();
    expect(source.unchanged!()).toBe(true);
    fs.linkSync(at("file"), at("second"));
    expect(source.unchanged!()).toBe(true);
    fs.chmodSync(at("file"), 0o600);
    expect(source.unchanged!()).toBe(true);
    fs.rmSync(at("second"));
    expect(source.unchanged!()).toBe(true);
    fs.renameSync(at("file"), at("third"));
    expect(source.unchanged!()).toBe(true);
    fs.rmSync(at("third"));
    expect(source.unchanged!()).toBe(true);
    source.close();
  });

  test("is changed by a write, even where its time was set back", () => {
    const source = open();
    fs.writeFileSync(at("file"), "CONTENT");
    fs.utimesSync(at("file"), 1000, 1000);
    expect(source.unchanged!()).toBe(false);
    source.close();
  });

  test.runIf(posix)("that is a link to nothing is called so", () => {
    fs.symlinkSync("nowhere", at("link"));
    const error = { code: "E_NOT_FOUND", message: expect.stringMatching(/link to nowhere/) };
    expect(() => openFile(at("link"))).toThrow(expect.objectContaining(error));
  });
});
