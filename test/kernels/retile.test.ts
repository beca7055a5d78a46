import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { KernelBuild } from "../../runtime/device.ts";
import {
  BLOCK_TYPES,
  type BlockType,
  rowBytes,
  TILE_KINDS,
  type TileKind,
  tiledBytes,
} from "../../runtime/weights/tiles.ts";
import { dequantize, halfToNumber, roundToHalf, scaleAndMinimum, scaleIQ4_XS } from "../reference/dequantize.ts";
import { untile } from "../reference/tiles.ts";
import { HALVES, random, randomBlocks, SCALE_OFFSETS } from "./blocks.ts";
import { instantiate, isBuilt, type Kernels } from "./instantiate.ts";

const SEED = Number(process.env.PIPHI_TEST_SEED ?? Date.now() % 2 ** 31);
const PAGES = 16;
const MEMORY_BYTES = PAGES * 65536;
const GUARD_BYTES = 64;
const GUARD = 0xa5;

interface FixtureCase {
  type: string;
  id: number;
  count: number;
  bytes: string;
  values: string;
}
const fixture = new URL("../fixtures/data/blocks.json", import.meta.url);
const cases: FixtureCase[] = JSON.parse(readFileSync(fixture, "utf8")).cases;
const bytesOf = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, "base64"));
const floatsOf = (bytes: Uint8Array): Float32Array => new Float32Array(bytes.slice().buffer);

const types = [...BLOCK_TYPES.values()];
const named = (name: string): BlockType => types.find((type) => type.name === name)!;
const isDense = (type: BlockType): boolean => type.elements === 1;
const ROUNDED = ["F32", "F16", "BF16", "Q5_1", "Q2_K", "Q3_K", "Q5_K", "Q6_K"];
const UNCHANGED = ["Q4_0", "Q4_1", "Q8_0", "Q5_0", "IQ4_NL"];

interface Special {
  offset: number;
  row: number;
  special: readonly number[];
}

/** Infinity, -infinity and NaN, little-endian, at each place of a scale in a block of the first and the last row. */
function specials(type: BlockType): Special[] {
  const f32 = [0x7f80, 0xff80, 0x7fc1];
  const uppers = isDense(type) && type.name !== "F16" ? f32 : [0x7c00, 0xfc00, 0x7e01];
  const padding = type.name === "F32" ? [0, 0] : [];
  const offsets = isDense(type) ? [0] : SCALE_OFFSETS[type.name];
  return offsets.flatMap((offset) =>
    uppers.flatMap((bits) => [0, 15].map((row) => ({ offset, row, special: [...padding, bits & 255, bits >> 8] }))),
  );
}

interface Converted {
  bad: number;
  tiles: Uint8Array;
}

/**
 * One call of `retile` with guard bytes around the tiles and the scratch; all three buffers lie against each other,
 * and the source, or the tiles with `tilesLast`, ends where the memory ends.
 */
function retile(
  k: Kernels,
  type: BlockType,
  kind: TileKind,
  source: Uint8Array,
  rows: number,
  columns: number,
  tilesLast = false,
): Converted {
  const memory = new Uint8Array(k.memory.buffer);
  const scratchBytes = k.exports.retile_scratch_bytes();
  const tileBytes = tiledBytes(kind, 16, columns);
  const src = tilesLast ? 65536 : MEMORY_BYTES - source.length;
  const dst = tilesLast ? MEMORY_BYTES - tileBytes : 65536 + GUARD_BYTES;
  const scratch = 262144;
  memory.fill(GUARD, 65536);
  memory.set(source, src);
  const bad = k.exports.retile(type.id, TILE_KINDS.indexOf(kind), src, rows, columns, dst, scratch);

  const untouched = (from: number): void => {
    const to = Math.min(from + GUARD_BYTES, MEMORY_BYTES);
    expect(memory.slice(from, to).every((byte) => byte === GUARD)).toBe(true);
  };
  untouched(dst - GUARD_BYTES);
  untouched(dst + tileBytes);
  untouched(scratch - GUARD_BYTES);
  untouched(scratch + scratchBytes);
  expect(Buffer.compare(memory.slice(src, src + source.length), source)).toBe(0);
  return { bad, tiles: memory.slice(dst, dst + tileBytes) };
}

/** `count` weights of a type, decoded by the kernel; the destination ends where the memory ends. */
function dequantizeRow(
  k: Kernels,
  id: number,
  source: Uint8Array,
  count: number,
): { bad: number; values: Float32Array } {
  const memory = new Uint8Array(k.memory.buffer);
  const dst = MEMORY_BYTES - 4 * count;
  memory.fill(GUARD, 65536);
  memory.set(source, dst - GUARD_BYTES - source.length);
  const bad = k.exports.dequantize_row(id, dst - GUARD_BYTES - source.length, count, dst);
  expect(memory.slice(dst - GUARD_BYTES, dst).every((byte) => byte === GUARD)).toBe(true);
  return { bad, values: floatsOf(memory.slice(dst)) };
}

/** Equal numbers everywhere; -0 and +0 differ. Says where the first difference lies. */
function expectSame(actual: Float32Array, expected: Float32Array, label = ""): void {
  const at = expected.findIndex((value, i) => !Object.is(value, actual[i]));
  expect([actual.length, at, actual[at]], label).toEqual([expected.length, -1, undefined]);
}

/** Checks rounded weights: within half a step, with scales that are no larger than they must be. */
function expectRounded(expected: Float32Array, weights: Float32Array, scales: Float32Array, label: string): void {
  const wrong = expected.findIndex((value, i) => {
    const block = expected.subarray(i - (i % 32), i - (i % 32) + 32);
    const maximum = block.reduce((m, x) => Math.max(m, Math.abs(x)), 0);
    const bound = scales[i] === 0 ? 127 * 2 ** -25 : scales[i] * 0.50001;
    return !(scales[i] <= (maximum / 127) * (1 + 2 ** -11) + 2 ** -24 && Math.abs(weights[i] - value) <= bound);
  });
  expect([wrong, expected[wrong], weights[wrong], scales[wrong]], label).toEqual([-1, undefined, undefined, undefined]);
}

it.each(cases)("the reference decodes $type as gguf-py does", ({ id, bytes, values, count }) => {
  expectSame(dequantize(id, bytesOf(bytes), count), floatsOf(bytesOf(values)));
});

it("finds both builds of the kernels", () => {
  expect({ simd: isBuilt("simd"), relaxed: isBuilt("relaxed") }).toEqual({ simd: true, relaxed: true });
});

describe.each<KernelBuild>(["simd", "relaxed"])(`%s build (PIPHI_TEST_SEED=${SEED})`, async (build) => {
  if (!isBuilt(build)) return;
  const k = await instantiate(build, PAGES);

  it.each(cases)("decodes $type as gguf-py does", ({ id, bytes, values, count }) => {
    const row = dequantizeRow(k, id, bytesOf(bytes), count);
    expectSame(row.values, floatsOf(bytesOf(values)));
    expect(row.bad).toBe(0);
  });

  it.each(types)("decodes random $name blocks as the reference does", (type) => {
    const next = random(SEED ^ type.id);
    for (const half of Object.values(HALVES)) {
      const source = randomBlocks(type, 1024, half, next);
      const row = dequantizeRow(k, type.id, source, 1024);
      expectSame(row.values, dequantize(type.id, source, 1024));
    }
  });

  describe.each([1, 3, 15, 16])("%i rows", (rows) => {
    it.each(UNCHANGED)("%s keeps every bit", (name) => {
      const type = named(name);
      const next = random(SEED ^ rows);
      for (const half of Object.values(HALVES)) {
        const source = randomBlocks(type, rows * 320, half, next);
        const { bad, tiles } = retile(k, type, type.tile, source, rows, 320);
        expect(bad).toBe(0);
        const { weights } = untile(type.tile, tiles, rows, 320);
        expectSame(weights, dequantize(type.id, source, rows * 320));
      }
    });

    it.each(["Q4_K", "IQ4_XS"])("%s keeps its integers and rounds scales once", (name) => {
      const type = named(name);
      const next = random(SEED ^ rows);
      for (const [range, half] of Object.entries(HALVES)) {
        const source = randomBlocks(type, rows * 512, half, next);
        const { bad, tiles } = retile(k, type, type.tile, source, rows, 512);
        expect(bad).toBe(0);
        const { weights, scales } = untile(type.tile, tiles, rows, 512);
        const view = new DataView(source.buffer);
        for (let s = 0; s < rows * 16; s++) {
          const at = Math.floor(s / 8) * type.bytes;
          const block = source.subarray(at, at + type.bytes);
          const sub = name === "Q4_K" ? scaleAndMinimum(block, 4, s % 8)[0] : scaleIQ4_XS(block, s % 8);
          expect(scales[32 * s] + 0).toBe(roundToHalf(halfToNumber(view.getUint16(at, true)) * sub) + 0);
        }
        const expected = dequantize(type.id, source, rows * 512);
        if (range === "powers")
          expectSame(
            weights.map((w) => w + 0),
            expected.map((w) => w + 0),
          );
      }
    });

    it.each(ROUNDED)("%s is rounded to the nearest step", (name) => {
      const type = named(name);
      const next = random(SEED ^ rows);
      for (const [range, half] of Object.entries(HALVES)) {
        const source = randomBlocks(type, rows * 512, half, next);
        const { bad, tiles } = retile(k, type, "q8", source, rows, 512);
        expect(bad).toBe(0);
        const { weights, scales } = untile("q8", tiles, rows, 512);
        expectRounded(dequantize(type.id, source, rows * 512), weights, scales, `${name} ${range}`);
      }
    });

    it.each(types)("$name is decoded exactly into f32 tiles", (type) => {
      const source = randomBlocks(type, rows * 512, HALVES.any, random(SEED ^ rows));
      const { bad, tiles } = retile(k, type, "f32", source, rows, 512, true);
      expect(bad).toBe(0);
      expectSame(untile("f32", tiles, rows, 512).weights, dequantize(type.id, source, rows * 512));
    });
  });

  it.each(types)("$name rows that do not exist are zero, and tiles may end the memory", (type) => {
    for (const kind of [type.tile, "f32"] as const) {
      const source = randomBlocks(type, 5 * 256, HALVES.usual, random(SEED));
      const { tiles } = retile(k, type, kind, source, 5, 256, true);
      const { weights } = untile(kind, tiles, 16, 256);
      expect(weights.subarray(0, 5 * 256).some((w) => w !== 0)).toBe(true);
      expect(weights.subarray(5 * 256).every((w) => w === 0)).toBe(true);
    }
  });

  it.each(types)("$name with NaN or infinity anywhere is reported", (type) => {
    const columns = 2 * Math.max(32, type.elements);
    const stride = rowBytes(type, columns);
    for (const { offset, row, special } of specials(type)) {
      const source = randomBlocks(type, 16 * columns, HALVES.usual, random(SEED));
      // The last block (or weight) of the row; sub-scales of one, lest a zero hides the scale.
      const block = source.subarray((row + 1) * stride - type.bytes, (row + 1) * stride);
      block.fill(0x11);
      block.set(special, offset);
      for (const kind of [type.tile, "f32"] as const) expect(retile(k, type, kind, source, 16, columns).bad).toBe(1);
      const decoded = dequantizeRow(k, type.id, source.slice(row * stride, (row + 1) * stride), columns);
      expect(decoded.bad).toBe(1);
    }
  });

  it("reports scales that f16 cannot hold", () => {
    const large = new Uint8Array(new Float32Array(16 * 32).fill(127 * 65519).buffer);
    expect(retile(k, named("F32"), "q8", large, 16, 32).bad).toBe(0);
    const tooLarge = new Uint8Array(new Float32Array(16 * 32).fill(127 * 65521).buffer);
    expect(retile(k, named("F32"), "q8", tooLarge, 16, 32).bad).toBe(1);
    expect(retile(k, named("F32"), "f32", tooLarge, 16, 32).bad).toBe(0);
    for (const name of ["Q4_K", "IQ4_XS"]) {
      const source = randomBlocks(named(name), 256, () => 0x7bff, random(SEED));
      source.fill(0x11, 4);
      expect(retile(k, named(name), named(name).tile, source, 1, 256).bad, name).toBe(1);
    }
  });

  it("handles the smallest scales: none, the first, and a negative tie that clamps", () => {
    const smallest = 2 ** -24;
    const blocks = [63.5 * smallest, 64.135 * smallest, -127.5 * smallest];
    const values = Float32Array.from({ length: 96 }, (_, i) => blocks[i >> 5]);
    const { tiles } = retile(k, named("F32"), "q8", new Uint8Array(values.buffer), 1, 96);
    const { weights, scales } = untile("q8", tiles, 1, 96);
    expect([0, 32, 64].map((i) => scales[i])).toEqual([0, smallest, smallest]);
    expect([0, 32, 64].map((i) => weights[i])).toEqual([0, 64 * smallest, -127 * smallest]);
  });

  it("loses little of normally distributed weights", () => {
    const next = random(SEED);
    const normal = (): number => 0.02 * Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
    const values = Float32Array.from({ length: 16 * 1024 }, normal);
    const { tiles } = retile(k, named("F32"), "q8", new Uint8Array(values.buffer), 16, 1024);
    const { weights } = untile("q8", tiles, 16, 1024);
    const squares = values.reduce((sum, x) => sum + x * x, 0);
    const errors = values.reduce((sum, x, i) => sum + (x - weights[i]) ** 2, 0);
    expect(Math.sqrt(errors / squares)).toBeLessThan(0.0058);
  });

  it("traps where type, kind, rows or columns do not fit", () => {
    const call = (type: number, kind: number, rows: number, columns: number) => () =>
      k.exports.retile(type, kind, 65536, rows, columns, 262144, 524288);
    const exact = new Map(types.map((type) => [type.id, TILE_KINDS.indexOf(type.tile)]));
    for (const [id, allowed] of exact) {
      for (const kind of [0, 1, 2].filter((kind) => kind !== allowed)) expect(call(id, kind, 16, 256)).toThrow();
    }
    for (const id of [-1, 4, 5, 9, 15, 16, 24, 31, 2 ** 31 - 1]) expect(call(id, 2, 16, 256)).toThrow();
    for (const kind of [-1, 4]) expect(call(8, kind, 16, 256)).toThrow();
    for (const rows of [-1, 0, 17]) expect(call(8, 2, rows, 256)).toThrow();
    for (const columns of [-32, 0, 31, 33]) expect(call(8, 2, 16, columns)).toThrow();
    expect(call(14, 2, 16, 128)).toThrow();
    expect(() => k.exports.dequantize_row(14, 65536, 128, 262144)).toThrow();
    expect(() => k.exports.dequantize_row(9, 65536, 256, 262144)).toThrow();
  });
});
