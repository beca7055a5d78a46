/**
 * From a file's blocks (blocks.ts) to the kernels' tiles (16 rows x 32 columns, drawn in matmul_q4.ts, matmul_q8.ts).
 *
 *   carried as integers      Q4_0 -> q4    Q4_1 Q4_K -> q4m    Q8_0 Q5_0 IQ4_NL IQ4_XS -> q8
 *   rounded                  F32 F16 BF16 Q5_1 Q2_K Q3_K Q5_K Q6_K -> q8: decoded to f32, then one scale for 32 columns
 *   decoded                  every type -> f32
 *
 * The full routes know only groups of 16 rows. A group with fewer is copied block by block into scratch, between
 * zero bytes: in every format a block of zero bytes holds zero weights.
 *
 * Scratch:  | 4096: signed bytes, for each of 8 tiles 16 rows x 32 | 1024: 256 f32 | 3360: 16 blocks of a short group |
 */

import {
  Block, blockBytes, blockColumns, codebook, decode, dequantize_row, half, highNibbles, highQ5_0, lowNibbles, lowQ5_0, minimumK,
  scaleIQ4_XS, scaleK, toHalf,
} from "./blocks";
import { halfToFloat, roundToInt } from "./lanes";

export { dequantize_row } from "./blocks";

/** Tile kinds and their bytes, as in runtime/weights/tiles.ts. */
const enum Kind { Q4 = 0, Q4M = 1, Q8 = 2, F32 = 3 }
const enum Tile { Q4 = 288, Q4M = 320, Q8 = 544, F32 = 2048 }
/** Where the scales (and the mins) lie in a tile. */
const enum At { Q4_SCALES = 256, Q4_MINS = 288, Q8_SCALES = 512 }
const enum Scratch { FLOATS = 4096, BLOCKS = 5120, BYTES = 8480 }

/** Bytes of scratch that `retile` needs. */
export function retile_scratch_bytes(): usize {
  return Scratch.BYTES;
}

/**
 * Converts one row group: `rows` (1..16) consecutive rows of `k` weights, blocks of ggml's `type`, to k/32 tiles of
 * `kind` (index in TILE_KINDS) at `dst`. Rows beyond `rows` become zero weights. `k` is a multiple of 32 and of the
 * block; `scratch` has retile_scratch_bytes(). Returns 1 if a scale or a value is NaN or beyond its format, else 0.
 * Traps for a pair of type and kind that the list above does not have.
 */
export function retile(type: i32, kind: i32, src: usize, rows: i32, k: i32, dst: usize, scratch: usize): i32 {
  const columns = blockColumns(type), bytes = <usize>blockBytes(type);
  assert(rows >= 1 && rows <= 16 && k > 0 && k % columns == 0);
  const blocks = <usize>(k / columns);
  if (rows == 16) return retileGroup(type, kind, src, bytes * blocks, blocks, dst, scratch);

  const staged = scratch + Scratch.BLOCKS;
  const step = <usize>(columns >> 5) * tileBytes(kind);
  let bad = 0;
  memory.fill(staged, 0, bytes << 4);
  for (let b: usize = 0; b < blocks; b++) {
    for (let r: usize = 0; r < <usize>rows; r++) {
      memory.copy(staged + r * bytes, src + (r * blocks + b) * bytes, bytes);
    }
    bad |= retileGroup(type, kind, staged, bytes, 1, dst, scratch);
    dst += step;
  }
  return bad;
}

function tileBytes(kind: i32): usize {
  switch (kind) {
    case Kind.Q4: return Tile.Q4;
    case Kind.Q4M: return Tile.Q4M;
    case Kind.Q8: return Tile.Q8;
    case Kind.F32: return Tile.F32;
  }
  assert(false);
  return 0;
}

/** Sixteen rows, `stride` bytes apart, of `blocks` blocks each. */
function retileGroup(type: i32, kind: i32, src: usize, stride: usize, blocks: usize, dst: usize, scratch: usize): i32 {
  if (kind == Kind.F32) return decodeRows(type, src, stride, blocks, dst, scratch);
  const tiles = blocks * (blockColumns(type) >> 5);
  if (kind == Kind.Q4) {
    assert(type == Block.Q4_0);
    copyQ4_0(src, stride, tiles, dst);
    return hasNonFinite(dst + At.Q4_SCALES, 32, Tile.Q4, tiles);
  }
  if (kind == Kind.Q4M) {
    assert(type == Block.Q4_1 || type == Block.Q4_K);
    if (type == Block.Q4_1) copyQ4_1(src, stride, tiles, dst);
    else copyQ4_K(src, stride, blocks, dst);
    return hasNonFinite(dst + At.Q4_SCALES, 64, Tile.Q4M, tiles);
  }
  assert(kind == Kind.Q8);
  switch (type) {
    case Block.Q8_0: copyQ8_0(src, stride, tiles, dst); break;
    case Block.Q5_0: copyQ5_0(src, stride, tiles, dst, scratch); break;
    case Block.IQ4_NL: copyIQ4_NL(src, stride, tiles, dst, scratch); break;
    case Block.IQ4_XS: copyIQ4_XS(src, stride, blocks, dst, scratch); break;
    default:
      assert(type != Block.Q4_0 && type != Block.Q4_1 && type != Block.Q4_K);
      roundRows(type, src, stride, blocks, dst, scratch);
  }
  return hasNonFinite(dst + At.Q8_SCALES, 32, Tile.Q8, tiles);
}

/** Whether one of the f16 in `bytes` bytes at `p`, in each of `count` tiles, is infinite or NaN. */
function hasNonFinite(p: usize, bytes: usize, tile: usize, count: usize): i32 {
  const exponent = i16x8.splat(0x7c00);
  let bad = i16x8.splat(0);
  for (const end = p + tile * count; p < end; p += tile) {
    for (let i: usize = 0; i < bytes; i += 16) {
      bad = v128.or(bad, i16x8.eq(v128.and(v128.load(p + i), exponent), exponent));
    }
  }
  return v128.any_true(bad) ? 1 : 0;
}

/** The f16 at `p` of 16 rows, side by side. */
// @ts-expect-error: decorator
@inline function copyHalves(p: usize, stride: usize, dst: usize): void {
  for (let end = dst + 32; dst < end; dst += 2) {
    store<u16>(dst, load<u16>(p));
    p += stride;
  }
}

/** Transposes 4 x 4 groups of 4 bytes; the results lie 32 bytes apart. */
// @ts-expect-error: decorator
@inline function storeSteps4(a: v128, b: v128, c: v128, d: v128, dst: usize): void {
  const abLow = v128.shuffle<u32>(a, b, 0, 4, 1, 5), cdLow = v128.shuffle<u32>(c, d, 0, 4, 1, 5);
  v128.store(dst, v128.shuffle<u64>(abLow, cdLow, 0, 2));
  v128.store(dst + 32, v128.shuffle<u64>(abLow, cdLow, 1, 3));
  const abHigh = v128.shuffle<u32>(a, b, 2, 6, 3, 7), cdHigh = v128.shuffle<u32>(c, d, 2, 6, 3, 7);
  v128.store(dst + 64, v128.shuffle<u64>(abHigh, cdHigh, 0, 2));
  v128.store(dst + 96, v128.shuffle<u64>(abHigh, cdHigh, 1, 3));
}

// @ts-expect-error: decorator
@inline function mixLow(rows: v128, rows8: v128): v128 {
  return v128.bitselect(rows, i16x8.shl(rows8, 4), i8x16.splat(15));
}

// @ts-expect-error: decorator
@inline function mixHigh(rows: v128, rows8: v128): v128 {
  return v128.bitselect(i16x8.shr_u(rows, 4), rows8, i8x16.splat(15));
}

/**
 * 16 bytes of nibbles of rows 0-3 (from `p` on, `stride` apart) and of rows 8-11 become four steps of A: the low
 * nibbles at `low`, the high ones at `high`. With rows 4-7 and 12-15: four steps of B.
 */
// @ts-expect-error: decorator
@inline function packNibbles(p: usize, stride: usize, low: usize, high: usize): void {
  const p8 = p + (stride << 3), two = stride << 1, three = two + stride;
  const a = v128.load(p), b = v128.load(p + stride), c = v128.load(p + two), d = v128.load(p + three);
  const a8 = v128.load(p8), b8 = v128.load(p8 + stride), c8 = v128.load(p8 + two), d8 = v128.load(p8 + three);
  storeSteps4(mixLow(a, a8), mixLow(b, b8), mixLow(c, c8), mixLow(d, d8), low);
  storeSteps4(mixHigh(a, a8), mixHigh(b, b8), mixHigh(c, c8), mixHigh(d, d8), high);
}

/** 16 bytes of nibbles of all 16 rows: four steps of the low nibbles, four of the high ones. */
function packRows(p: usize, stride: usize, low: usize, high: usize): void {
  packNibbles(p, stride, low, high);
  packNibbles(p + (stride << 2), stride, low + 16, high + 16);
}

function copyQ4_0(src: usize, stride: usize, tiles: usize, tile: usize): void {
  for (const end = tile + tiles * Tile.Q4; tile < end; tile += Tile.Q4) {
    packRows(src + 2, stride, tile, tile + 128);
    copyHalves(src, stride, tile + At.Q4_SCALES);
    src += 18;
  }
}

function copyQ4_1(src: usize, stride: usize, tiles: usize, tile: usize): void {
  for (const end = tile + tiles * Tile.Q4M; tile < end; tile += Tile.Q4M) {
    packRows(src + 4, stride, tile, tile + 128);
    copyHalves(src, stride, tile + At.Q4_SCALES);
    copyHalves(src + 2, stride, tile + At.Q4_MINS);
    src += 20;
  }
}

/** 32 bytes of a block hold 32 columns in their low nibbles and the next 32 in the high ones: two tiles. */
function copyQ4_K(src: usize, stride: usize, blocks: usize, tile: usize): void {
  for (const end = tile + blocks * (8 * Tile.Q4M); tile < end; tile += 8 * Tile.Q4M) {
    for (let pair: usize = 0; pair < 4; pair++) {
      const low = tile + pair * (2 * Tile.Q4M), p = src + 16 + (pair << 5);
      packRows(p, stride, low, low + Tile.Q4M);
      packRows(p + 16, stride, low + 128, low + Tile.Q4M + 128);
    }
    for (let r: usize = 0; r < 16; r++) scalesQ4_K(src + r * stride, tile + At.Q4_SCALES + (r << 1));
    src += 144;
  }
}

/** One row's scale and min in eight tiles. The products are exact in f32, so each is rounded once. */
function scalesQ4_K(block: usize, dst: usize): void {
  const d = half(block), dmin = half(block + 2);
  for (let s = 0; s < 8; s++) {
    store<u16>(dst, toHalf(d * scaleK(block + 4, s)));
    store<u16>(dst + (At.Q4_MINS - At.Q4_SCALES), toHalf(-(dmin * minimumK(block + 4, s))));
    dst += Tile.Q4M;
  }
}

/** Transposes 8 x 8 groups of 2 bytes of the rows at `p`, `stride` apart; the results lie 32 bytes apart. */
// @ts-expect-error: decorator
@inline function storeSteps8(p: usize, stride: usize, dst: usize): void {
  const a = v128.load(p), b = v128.load(p += stride), c = v128.load(p += stride), d = v128.load(p += stride);
  const e = v128.load(p += stride), f = v128.load(p += stride), g = v128.load(p += stride), h = v128.load(p += stride);
  storeSteps4(low16(a, b), low16(c, d), low16(e, f), low16(g, h), dst);
  storeSteps4(high16(a, b), high16(c, d), high16(e, f), high16(g, h), dst + 128);
}

// @ts-expect-error: decorator
@inline function low16(a: v128, b: v128): v128 {
  return v128.shuffle<u16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
}

// @ts-expect-error: decorator
@inline function high16(a: v128, b: v128): v128 {
  return v128.shuffle<u16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
}

/** 32 signed bytes of 16 rows, `stride` apart, become the 16 steps of a q8 tile. */
function packBytes(p: usize, stride: usize, tile: usize): void {
  for (let half: usize = 0; half < 2; half++) {
    const rows = p + half * (stride << 3), steps = tile + (half << 4);
    storeSteps8(rows, stride, steps);
    storeSteps8(rows + 16, stride, steps + 256);
  }
}

function copyQ8_0(src: usize, stride: usize, tiles: usize, tile: usize): void {
  for (const end = tile + tiles * Tile.Q8; tile < end; tile += Tile.Q8) {
    packBytes(src + 2, stride, tile);
    copyHalves(src, stride, tile + At.Q8_SCALES);
    src += 34;
  }
}

function copyQ5_0(src: usize, stride: usize, tiles: usize, tile: usize, bytes: usize): void {
  for (const end = tile + tiles * Tile.Q8; tile < end; tile += Tile.Q8) {
    for (let r: usize = 0; r < 16; r++) {
      v128.store(bytes + (r << 5), lowQ5_0(src + r * stride));
      v128.store(bytes + (r << 5) + 16, highQ5_0(src + r * stride));
    }
    packBytes(bytes, 32, tile);
    copyHalves(src, stride, tile + At.Q8_SCALES);
    src += 22;
  }
}

/** The 32 levels that 16 bytes of nibbles choose. */
// @ts-expect-error: decorator
@inline function storeLevels(nibbles: usize, dst: usize): void {
  const v = v128.load(nibbles);
  v128.store(dst, codebook(lowNibbles(v)));
  v128.store(dst + 16, codebook(highNibbles(v)));
}

function copyIQ4_NL(src: usize, stride: usize, tiles: usize, tile: usize, bytes: usize): void {
  for (const end = tile + tiles * Tile.Q8; tile < end; tile += Tile.Q8) {
    for (let r: usize = 0; r < 16; r++) storeLevels(src + r * stride + 2, bytes + (r << 5));
    packBytes(bytes, 32, tile);
    copyHalves(src, stride, tile + At.Q8_SCALES);
    src += 18;
  }
}

function copyIQ4_XS(src: usize, stride: usize, blocks: usize, tile: usize, bytes: usize): void {
  for (let b: usize = 0; b < blocks; b++) {
    for (let s = 0; s < 8; s++) {
      for (let r: usize = 0; r < 16; r++) {
        const block = src + r * stride;
        storeLevels(block + 8 + (s << 4), bytes + (r << 5));
        store<u16>(tile + At.Q8_SCALES + (r << 1), toHalf(scaleIQ4_XS(block, s)));
      }
      packBytes(bytes, 32, tile);
      tile += Tile.Q8;
    }
    src += 136;
  }
}

/** Largest magnitude of 32 f32. Magnitudes compare like their bits, with NaN above infinity above all numbers. */
// @ts-expect-error: decorator
@inline function absoluteMaximum(p: usize): f32 {
  const magnitude = i32x4.splat(0x7fffffff);
  let m = v128.and(v128.load(p), magnitude);
  for (let i: usize = 16; i < 128; i += 16) m = i32x4.max_s(m, v128.and(v128.load(p + i), magnitude));
  m = i32x4.max_s(m, v128.shuffle<u64>(m, m, 1, 0));
  return reinterpret<f32>(max(i32x4.extract_lane(m, 0), i32x4.extract_lane(m, 1)));
}

/**
 * The f16 scale of 32 weights: the nearest to maximum / 127. Small ones are subnormal and so coarse that the largest
 * weight could end beyond 127.5 steps: then the next one up loses less. NaN and what is too large become infinite.
 */
// @ts-expect-error: decorator
@inline function scaleOf(maximum: f32): u32 {
  const scale = toHalf(maximum / 127.0);
  return scale != 0 && maximum > 127.5 * halfToFloat(scale) ? scale + 1 : scale;
}

// @ts-expect-error: decorator
@inline function round8(p: usize, inverse: v128): v128 {
  return i16x8.narrow_i32x4_s(
    roundToInt(f32x4.mul(v128.load(p), inverse)),
    roundToInt(f32x4.mul(v128.load(p, 16), inverse)),
  );
}

/** 32 f32 at `p` become 32 bytes (-127..127) at `bytes` and one f16 at `scale`. */
// @ts-expect-error: decorator
@inline function roundBlock(p: usize, bytes: usize, scale: usize): void {
  const bits = scaleOf(absoluteMaximum(p));
  const inverse = f32x4.splat(bits ? 1 / halfToFloat(bits) : 0);
  store<u16>(scale, bits);
  for (let i: usize = 0; i < 32; i += 16) {
    const q = i8x16.narrow_i16x8_s(round8(p + (i << 2), inverse), round8(p + (i << 2) + 32, inverse));
    v128.store(bytes + i, i8x16.max_s(q, i8x16.splat(-127)));
  }
}

function roundRows(type: i32, src: usize, stride: usize, blocks: usize, tile: usize, scratch: usize): void {
  const columns = blockColumns(type), tilesPerBlock = <usize>(columns >> 5);
  const floats = scratch + Scratch.FLOATS;
  for (let b: usize = 0; b < blocks; b++) {
    for (let r: usize = 0; r < 16; r++) {
      decode(type, src + r * stride, floats);
      for (let t: usize = 0; t < tilesPerBlock; t++) {
        const scale = tile + t * Tile.Q8 + At.Q8_SCALES + (r << 1);
        roundBlock(floats + (t << 7), scratch + (t << 9) + (r << 5), scale);
      }
    }
    for (let t: usize = 0; t < tilesPerBlock; t++) {
      packBytes(scratch + (t << 9), 32, tile);
      tile += Tile.Q8;
    }
    src += blockBytes(type);
  }
}

function decodeRows(type: i32, src: usize, stride: usize, blocks: usize, tile: usize, scratch: usize): i32 {
  const columns = blockColumns(type);
  const floats = scratch + Scratch.FLOATS;
  let bad = 0;
  for (let b: usize = 0; b < blocks; b++) {
    for (let r: usize = 0; r < 16; r++) {
      bad |= dequantize_row(type, src + r * stride, columns, floats);
      for (let c: usize = 0; c < <usize>columns; c++) {
        store<f32>(tile + (c << 6) + (r << 2), load<f32>(floats + (c << 2)));
      }
    }
    tile += <usize>columns << 6;
    src += blockBytes(type);
  }
  return bad;
}
