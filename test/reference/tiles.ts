/** The tiles of runtime/weights/tiles.ts read back one weight at a time, from the layouts stated there. */

import { TILE_BYTES, TILE_COLUMNS, TILE_ROWS, type TileKind } from "../../runtime/weights/tiles.ts";
import { halfToNumber } from "./dequantize.ts";

/** Weights of `rows` rows x `k` columns, row by row, with the scale (f32 tiles: 0) each of them was stored with. */
export interface Untiled {
  weights: Float32Array;
  scales: Float32Array;
}

/** Scale, integer and min of row r, column c of the tile in `view`. */
function weight(kind: TileKind, view: DataView, r: number, c: number): [scale: number, q: number, min: number] {
  const half = (at: number): number => halfToNumber(view.getUint16(at, true));
  if (kind === "f32") return [0, view.getFloat32(4 * (16 * c + r), true), 0];
  if (kind === "q8") return [half(512 + 2 * r), view.getInt8(32 * (c >> 1) + 2 * r + (c & 1)), 0];
  // Rows 0-3 and 8-11 lie in A, the others in B, 16 bytes behind it; rows from 8 on in the high nibbles.
  const byte = view.getUint8(32 * (c >> 2) + (r & 4 ? 16 : 0) + 4 * (r & 3) + (c & 3));
  const nibble = r < 8 ? byte & 15 : byte >> 4;
  return kind === "q4" ? [half(256 + 2 * r), nibble - 8, 0] : [half(256 + 2 * r), nibble, half(288 + 2 * r)];
}

/** Reads `rows` rows of `k` columns; row groups of 16 follow each other, the last may have unused rows. */
export function untile(kind: TileKind, bytes: Uint8Array, rows: number, k: number): Untiled {
  const weights = new Float32Array(rows * k);
  const scales = new Float32Array(rows * k);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < k; c++) {
      const tile = Math.floor(r / TILE_ROWS) * (k / TILE_COLUMNS) + Math.floor(c / TILE_COLUMNS);
      const view = new DataView(bytes.buffer, bytes.byteOffset + tile * TILE_BYTES[kind], TILE_BYTES[kind]);
      const [scale, q, min] = weight(kind, view, r % TILE_ROWS, c % TILE_COLUMNS);
      const product = kind === "f32" ? q : Math.fround(scale * q);
      weights[r * k + c] = kind === "q4m" ? Math.fround(product + min) : product;
      scales[r * k + c] = scale;
    }
  }
  return { weights, scales };
}
