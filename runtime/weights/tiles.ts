/**
 * The kernels' weight layouts and which block type of a file goes into which.
 *
 * A matrix of n rows (outputs) and k columns (inputs) is cut into tiles of 16 rows x 32 columns. Tiles of one row
 * group follow each other along k; row groups follow along n: tile (r, c) lies at (r * k/32 + c) * tileBytes.
 *
 *   q4   288 B  step s (8 steps of 4 k): A[16] then B[16]. Byte 4*l+j of A is row l (low nibble) and row 8+l (high)
 *               of column 4s+j; B holds rows 4+l and 12+l. Nibble = q + 8. Then 16 f16 scales. w = scale * q
 *   q4m  320 B  the same nibbles without the offset (0..15), 16 f16 scales, 16 f16 mins. w = scale * q + min
 *   q8   544 B  step s (16 steps of 2 k): 32 signed bytes, byte 2*r+j is row r of column 2s+j. Then 16 f16 scales
 *   f32 2048 B  column by column: 16 f32, one a row
 */

export const TILE_ROWS = 16;
export const TILE_COLUMNS = 32;

/** Index = the number by which the kernels know the kind. */
export const TILE_KINDS = ["q4", "q4m", "q8", "f32"] as const;
export type TileKind = (typeof TILE_KINDS)[number];
export const TILE_BYTES: Record<TileKind, number> = { q4: 288, q4m: 320, q8: 544, f32: 2048 };

export interface BlockType {
  /** ggml's number for the type. */
  readonly id: number;
  readonly name: string;
  /** Weights in a block. */
  readonly elements: number;
  readonly bytes: number;
  /**
   * The tile that carries it. Exact: F32 F16 BF16 at precision "f32"; Q4_0 IQ4_NL Q5_0 Q8_0; Q4_1 (up to f16 scales that
   * the file itself has); Q4_K, IQ4_XS up to the rounding of scale products to f16 (2^-12 relative).
   * The others are rounded to int8 per 32, a 16th or less of the noise their own quantization brought in.
   */
  readonly tile: TileKind;
}

const types: BlockType[] = [
  { id: 0, name: "F32", elements: 1, bytes: 4, tile: "q8" },
  { id: 1, name: "F16", elements: 1, bytes: 2, tile: "q8" },
  { id: 2, name: "Q4_0", elements: 32, bytes: 18, tile: "q4" },
  { id: 3, name: "Q4_1", elements: 32, bytes: 20, tile: "q4m" },
  { id: 6, name: "Q5_0", elements: 32, bytes: 22, tile: "q8" },
  { id: 7, name: "Q5_1", elements: 32, bytes: 24, tile: "q8" },
  { id: 8, name: "Q8_0", elements: 32, bytes: 34, tile: "q8" },
  { id: 10, name: "Q2_K", elements: 256, bytes: 84, tile: "q8" },
  { id: 11, name: "Q3_K", elements: 256, bytes: 110, tile: "q8" },
  { id: 12, name: "Q4_K", elements: 256, bytes: 144, tile: "q4m" },
  { id: 13, name: "Q5_K", elements: 256, bytes: 176, tile: "q8" },
  { id: 14, name: "Q6_K", elements: 256, bytes: 210, tile: "q8" },
  { id: 20, name: "IQ4_NL", elements: 32, bytes: 18, tile: "q8" },
  { id: 23, name: "IQ4_XS", elements: 256, bytes: 136, tile: "q8" },
  { id: 30, name: "BF16", elements: 1, bytes: 2, tile: "q8" },
];

/** Tiles in a pack file: bytes to any other reader. */
export const TILES_TYPE: BlockType = { id: 24, name: "I8", elements: 1, bytes: 1, tile: "q8" };

export const BLOCK_TYPES: ReadonlyMap<number, BlockType> = new Map(types.map((type) => [type.id, type]));

/** "exact" carries F32, F16 and BF16 as f32; "int8" rounds them to q8 tiles. */
export type DensePrecision = "int8" | "exact";

/** The tile kind for a file's block type. */
export function tileKindOf(type: BlockType, dense: DensePrecision): TileKind {
  return type.elements === 1 && dense === "exact" ? "f32" : type.tile;
}

/** Bytes of an n x k matrix in tiles; n is rounded up to whole tiles, k must be a multiple of 32. */
export function tiledBytes(kind: TileKind, n: number, k: number): number {
  return Math.ceil(n / TILE_ROWS) * (k / TILE_COLUMNS) * TILE_BYTES[kind];
}

/** Bytes of `k` weights of a block type in the file. */
export function rowBytes(type: BlockType, k: number): number {
  return (k / type.elements) * type.bytes;
}
