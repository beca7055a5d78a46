/** What attention does to rows and how it caches them (kernels/{rope,hadamard,attention}.ts), stated once more. */

import { halfToNumber } from "../reference/dequantize.ts";

const f = Math.fround;

/** A row of cos and sin for each position. */
export const rotations = (positions: readonly number[], rotary: number): Float32Array =>
  Float32Array.from({ length: positions.length * rotary }, (_, i) => {
    const angle = positions[Math.floor(i / rotary)] * 10000 ** ((-2 * ((i % rotary) >> 1)) / Math.max(rotary, 1));
    return i % 2 === 0 ? Math.cos(angle) : Math.sin(angle);
  });

/**
 * The orthonormal Walsh-Hadamard transform of each 16 numbers; `round` is f32's for the bits of kernels/hadamard.ts.
 * It is its own inverse.
 */
export function hadamard(row: Float32Array, round = f): Float64Array {
  const x = Float64Array.from(row);
  for (const stride of [2, 1, 4, 8]) {
    for (let i = 0; i < x.length; i++) {
      if (i & stride) continue;
      const [a, b] = [x[i], x[i + stride]];
      x[i] = round(a + b);
      x[i + stride] = round(a - b);
    }
  }
  return x.map((v) => round(v / 4));
}

/** NeoX pairs (i, i + rotary/2) turned by a row of the table, each operation rounded to f32. */
export function rotated(row: Float32Array, rotary: number, table: Float32Array, index: number): Float32Array {
  const result = row.slice();
  for (let i = 0; i < rotary / 2; i++) {
    const [cos, sin] = table.subarray(index * rotary + 2 * i);
    const [a, b] = [row[i], row[i + rotary / 2]];
    result[i] = f(f(a * cos) - f(b * sin));
    result[i + rotary / 2] = f(f(b * cos) + f(a * sin));
  }
  return result;
}

const scratch = new DataView(new ArrayBuffer(4));

/** The bits of the f16 nearest to an f32, ties to even, saturating. */
function halfBitsOf(x: number): number {
  const magnitude = Math.min(Math.abs(x), 65504);
  scratch.setFloat32(0, magnitude);
  const exponent = Math.max(-14, (scratch.getUint32(0) >>> 23) - 127);
  const steps = magnitude / 2 ** (exponent - 10);
  let rounded = Math.floor(steps);
  if (steps - rounded > 0.5 || (steps - rounded === 0.5 && rounded % 2 === 1)) rounded++;
  // Counting steps of the format from zero on gives its bit pattern.
  const bits = rounded + (exponent + 14) * 1024;
  return bits | (x < 0 || Object.is(x, -0) ? 0x8000 : 0);
}

/** Nearest integer, ties to even, as adding 1.5 * 2^23 gives it. */
export const nearest = (x: number): number => f(f(x) + 12582912) - 12582912;

export interface HeadCache {
  half: boolean;
  context: number;
  headDim: number;
  view: DataView;
}

/** Where number i of a position lies, by the picture in kernels/attention.ts. */
export function addresses({ half, context, headDim }: HeadCache, position: number) {
  const scales = 2 * context * headDim;
  return {
    key: (i: number) =>
      half ? 2 * (position * headDim + i) : (position & ~31) * headDim + (i >> 1) * 64 + (position & 31) * 2 + (i & 1),
    value: (i: number) =>
      half
        ? 2 * ((context + position) * headDim + i)
        : context * headDim + (position >> 1) * 2 * headDim + 2 * i + (position & 1),
    keyScale: scales + 2 * position,
    valueScale: scales + 2 * (context + position),
  };
}

export function storeRow(cache: HeadCache, row: Float32Array, address: (i: number) => number, scaleAt: number): void {
  const { view, half } = cache;
  if (half) {
    for (const [i, x] of row.entries()) view.setUint16(address(i), halfBitsOf(x), true);
    return;
  }
  const bits = halfBitsOf(f(row.reduce((m, x) => Math.max(m, Math.abs(x)), 0) / 127));
  const inverse = bits > 0 ? f(1 / halfToNumber(bits)) : 0;
  view.setUint16(scaleAt, bits, true);
  for (const [i, x] of row.entries()) {
    view.setInt8(address(i), Math.max(-127, Math.min(127, nearest(f(x * inverse)))));
  }
}

/** Key and value of one position, as numbers. */
export function loadRows(cache: HeadCache, position: number): { key: number[]; value: number[]; valueMaximum: number } {
  const { view, half, headDim } = cache;
  const { key, value, keyScale, valueScale } = addresses(cache, position);
  const read = (address: (i: number) => number, scaleAt: number) =>
    Array.from({ length: headDim }, (_, i) =>
      half
        ? halfToNumber(view.getUint16(address(i), true))
        : view.getInt8(address(i)) * halfToNumber(view.getUint16(scaleAt, true)),
    );
  const values = read(value, valueScale);
  const valueMaximum = half
    ? Math.max(...values.map(Math.abs))
    : 127 * Math.abs(halfToNumber(view.getUint16(valueScale, true)));
  return { key: read(key, keyScale), value: values, valueMaximum };
}
