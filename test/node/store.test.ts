/** The store: a model is packed once, and again whenever its pack is not what it should be. */

import {
  appendFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { readChecked } from "../../devices/node/checked.ts";
import { packFor, packPath } from "../../devices/node/store.ts";
import { crc32 } from "../../runtime/weights/crc32.ts";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryFile, temporaryPath } from "../fixtures/temporary.ts";

/** Of a model that is large enough to be packed. */
const MODEL = { layers: 4, hiddenSize: 1024, heads: 16, type: "F16", contextLength: 64 };

let model: string;
let sound: number;
const phases: string[] = [];
const pack = async (): Promise<string> => {
  phases.length = 0;
  return packFor(model, {
    dense: "int8",
    onProgress: ({ phase }) => {
      if (!phases.includes(phase)) phases.push(phase);
    },
  });
};

beforeAll(async () => {
  vi.stubEnv("PIPHI_HOME", temporaryPath("store"));
  model = temporaryFile("large.gguf", randomModel(MODEL));
  expect(statSync(model).size).toBeGreaterThan(64 << 20);
  sound = crc32(readFileSync(await pack()));
});

const current = () => crc32(readFileSync(packPath(model, "int8")));
/** Changes one bit of a file. */
function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] ^= 4;
  writeFileSync(file, bytes);
}

test("a model is packed on first use, and then used as it is", async () => {
  expect(path.dirname(path.dirname(await pack()))).toBe(temporaryPath("store"));
  expect(phases).toEqual([]);
  rmSync(packPath(model, "int8"));
  await pack();
  expect(phases).toEqual(["pack"]);
  expect(current()).toBe(sound);
});

test("a pack is used as it is; small models are not packed", async () => {
  const mine = packPath(model, "int8");
  expect(await packFor(mine, { dense: "int8" })).toBe(mine);
  const small = temporaryFile("small.gguf", randomModel({}));
  expect(await packFor(small, { dense: "int8" })).toBe(small);
  expect(await packFor(model, { dense: "int8", make: false })).toBe(model);
});

test("a damaged pack of the user's own is refused, whether or not packs are to be made", async () => {
  const mine = temporaryFile("mine.pack.gguf", readFileSync(packPath(model, "int8")));
  flip(mine, statSync(mine).size >> 1);
  for (const make of [true, false]) {
    await expect(packFor(mine, { dense: "int8", make })).rejects.toMatchObject({ code: "E_FILE_CORRUPT" });
  }
});

describe("packed again, and then like new", () => {
  test.each<[string, (file: string) => void]>([
    ["cut in the weights", (file) => truncateSync(file, statSync(file).size - 70_000)],
    ["cut to nothing", (file) => truncateSync(file, 0)],
    ["half-written: the header comes last", (file) => writeFileSync(file, Buffer.alloc(statSync(file).size))],
    ["with a bit flipped in the header", (file) => flip(file, 1000)],
    ["with a bit flipped in the weights", (file) => flip(file, statSync(file).size >> 1)],
    ["of another version", (file) => flip(file, readFileSync(file).indexOf("piphi.pack.version") + 22)],
    ["replaced by something else", (file) => writeFileSync(file, "not a model")],
    ["of an older model file", () => utimesSync(model, 1, statSync(model).mtimeMs / 1000 + 1)],
  ])("a pack that is %s", async (_, spoil) => {
    spoil(packPath(model, "int8"));
    await pack();
    expect(phases.at(-1)).toBe("pack");
    await pack();
    expect(phases).toEqual([]);
  });
});

test("a pack whose time has changed, as in a store that was copied, is checked once", async () => {
  const file = packPath(model, "int8");
  utimesSync(file, 5, 5);
  await pack();
  expect(phases).toEqual(["check"]);
  await pack();
  expect(phases).toEqual([]);
});

test("a model file that grew by some bytes is another one", async () => {
  appendFileSync(model, Buffer.alloc(32));
  await pack();
  expect(phases).toEqual(["pack"]);
});

describe("another model under the same name, of the same size and time", () => {
  /** Other weights: the lowest bit of each. */
  const other = () => {
    const bytes = readFileSync(model);
    for (let at = 5 << 20; at < bytes.length; at += 2) bytes[at] ^= 1;
    return bytes;
  };
  const keepingTime = (replace: () => void) => {
    const { atimeMs, mtimeMs } = statSync(model);
    replace();
    utimesSync(model, atimeMs / 1000, mtimeMs / 1000);
  };

  test.each<[string, () => void]>([
    ["renamed over it", () => renameSync(temporaryFile("other.gguf", other()), model)],
    ["written into it", () => writeFileSync(model, other())],
  ])("%s: is packed", async (_, replace) => {
    const before = current();
    keepingTime(replace);
    await pack();
    expect(phases).toEqual(["pack"]);
    expect(current()).not.toBe(before);
    await pack();
    expect(phases).toEqual([]);
  });

  test("the same bytes again, as in a copy of all: used as it is", async () => {
    await pack();
    keepingTime(() => renameSync(temporaryFile("same.gguf", readFileSync(model)), model));
    await pack();
    expect(phases).toEqual([]);
  });
});

describe("names and places", () => {
  test("a name of 250 bytes, with a line's end in it, is packed and checked once", async () => {
    const name = `${"\u00e4".repeat(120)}\n.gguf`;
    const file = temporaryFile(name, readFileSync(model));
    const phasesOf = async () => {
      const seen = new Set<string>();
      await packFor(file, { dense: "int8", onProgress: ({ phase }) => seen.add(phase) });
      return [...seen];
    };
    expect(await phasesOf()).toEqual(["pack"]);
    expect(await phasesOf()).toEqual([]);
    utimesSync(packPath(file, "int8"), 7, 7);
    expect(await phasesOf()).toEqual(["check"]);
    expect(await phasesOf()).toEqual([]);
  });

  test("a folder in the pack's place is reported as a store that cannot be written", async () => {
    const place = packPath(model, "int8");
    rmSync(place);
    mkdirSync(place);
    await expect(pack()).rejects.toMatchObject({ code: "E_FILE_WRITE" });
    rmSync(place, { recursive: true });
  });

  test.runIf(process.platform === "linux")("a place that takes no folders is reported at once", async () => {
    vi.stubEnv("PIPHI_HOME", "/proc/piphi");
    await expect(pack()).rejects.toMatchObject({
      code: "E_FILE_WRITE",
      message: expect.stringContaining("/proc/piphi"),
    });
    vi.stubEnv("PIPHI_HOME", temporaryPath("store"));
  });
});

test("the list of checked files: lines that are something else do no harm", () => {
  expect(readChecked("")).toEqual(new Map([["", ""]]));
  expect(readChecked("a b 3\n[1]\tdigest\n\n\t\n").get("[1]")).toBe("digest");
});
