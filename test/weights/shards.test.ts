/** Models in several files: found by any of them, and refused where they do not belong together. */

import { describe, expect, it } from "vitest";
import type { ByteSource } from "../../runtime/device.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { type Gguf, openShards } from "../../runtime/weights/shards.ts";
import { memorySource, randomModel, randomModelParts, writeShards } from "../fixtures/random-model.ts";

const FILE = "model.gguf";

describe("shards", () => {
  const model = randomModelParts({ layers: 3 });
  const name = (part: number, count = 3) => `models/phi-0000${part}-of-0000${count}.gguf`;
  const shards = writeShards(model, 3);
  const files = () => new Map(shards.map((bytes, i) => [name(i + 1), bytes]));

  function opener(bytes: Map<string, Uint8Array>) {
    const isOpen = new Set<string>();
    const open = (file: string): ByteSource => {
      const content = bytes.get(file);
      if (!content) throw new PiPhiError("E_NOT_FOUND", `${file} does not exist.`);
      isOpen.add(file);
      return { ...memorySource(file, content), close: () => isOpen.delete(file) };
    };
    return { open, isOpen };
  }

  const summary = (gguf: Gguf) => [gguf.sources.map((source) => source.name), gguf.tensors.map((entry) => entry.name)];

  it.each([1, 2, 3])("are opened through part %i", (part) => {
    const gguf = openShards(opener(files()).open, name(part));
    expect(gguf.metadata.getString("general.architecture")).toBe("phi2");
    expect(summary(gguf)).toEqual([[name(1), name(2), name(3)], model.tensors.map((entry) => entry.name)]);
    for (const { source } of gguf.tensors) expect(gguf.sources).toContain(source);
  });

  it("may be one file that is none", () => {
    const gguf = openShards(() => memorySource(FILE, randomModel({ layers: 3 })), FILE);
    expect(summary(gguf)).toEqual([[FILE], model.tensors.map((entry) => entry.name)]);
  });

  const refused = (bytes: Map<string, Uint8Array>, part = name(1)) => {
    const { open, isOpen } = opener(bytes);
    try {
      openShards(open, part);
    } catch (error) {
      expect(isOpen.size).toBe(0);
      expect((error as PiPhiError).message).toMatch(/\.$/);
      return error as PiPhiError;
    }
    throw new Error("nothing was thrown");
  };

  it.each([2, 3])("are refused without part %i, and nothing stays open", (missing) => {
    const bytes = files();
    bytes.delete(name(missing));
    expect(refused(bytes)).toMatchObject({ code: "E_NOT_FOUND", message: expect.stringContaining(name(missing)) });
  });

  it("are refused under names that do not tell the others", () => {
    expect(refused(new Map([["renamed.gguf", shards[0]]]), "renamed.gguf").code).toBe("E_NOT_FOUND");
    expect(refused(new Map([[name(1, 5), shards[0]]]), name(1, 5)).code).toBe("E_NOT_FOUND");
  });

  it("are found by upper-case names, too", () => {
    const upper = new Map([...files()].map(([file, bytes]) => [file.replace(".gguf", ".GGUF"), bytes]));
    const gguf = openShards(opener(upper).open, name(2).replace(".gguf", ".GGUF"));
    expect(gguf.sources.map((source) => source.name)).toEqual([...upper.keys()]);
  });

  it.each(["joined.gguf", name(1)])("are refused where they were joined by cat, as %s", (joined) => {
    const bytes = new Uint8Array(shards.flatMap((part) => [...part]));
    expect(refused(new Map([[joined, bytes]]), joined)).toMatchObject({
      code: "E_FILE_CORRUPT",
      message: expect.stringMatching(/3 parts of a model, one after another.*--merge/),
    });
  });

  it.each([".part1of2", ".part2of2", ".part-b", ".gguf.002", "-split-a"])("cut bytewise, %s: says so", (ending) => {
    const whole = writeShards(model, 1)[0];
    for (const piece of [whole.slice(0, 9000), whole.slice(9000)]) {
      const error = refused(new Map([[`phi${ending}`, piece]]), `phi${ending}`);
      expect(error).toMatchObject({ code: "E_FILE_TRUNCATED", message: expect.stringContaining("Join all pieces") });
    }
  });

  it("are refused when exchanged, of another model, or damaged", () => {
    expect(refused(files().set(name(3), shards[1])).code).toBe("E_FILE_CORRUPT");
    const other = writeShards({ ...model, tensors: model.tensors.slice(1) }, 3);
    expect(refused(files().set(name(3), other[2])).code).toBe("E_FILE_CORRUPT");
    expect(refused(files().set(name(2), shards[1].slice(0, -100))).code).toBe("E_FILE_TRUNCATED");
    const repeated = writeShards({ ...model, tensors: [...model.tensors.slice(0, -1), model.tensors[0]] }, 3);
    expect(refused(new Map(repeated.map((bytes, i) => [name(i + 1), bytes]))).code).toBe("E_FILE_CORRUPT");
  });
});
