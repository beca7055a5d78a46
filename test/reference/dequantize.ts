/**
 * ggml's block types decoded one weight at a time, straight from their definitions: the oracle for everything that
 * reads weights. Arithmetic is that of ggml, f32 after each operation (Math.fround).
 */

const f = Math.fround;

/** IEEE binary16 to a number, infinities and NaN included. */
export function halfToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const mantissa = bits & 1023;
  if (exponent === 31) return mantissa ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return sign * (exponent ? 2 ** (exponent - 25) * (1024 + mantissa) : 2 ** -24 * mantissa);
}

/** The nearest binary16 to a number, ties to even, as a number. */
export function roundToHalf(x: number): number {
  const magnitude = Math.abs(x);
  // Not less than the exponent of the smallest normal number; log2 may be off by one next to a power of two.
  let exponent = Math.max(-14, Math.floor(Math.log2(magnitude)));
  if (2 ** exponent > magnitude) exponent = Math.max(-14, exponent - 1);
  else if (2 ** (exponent + 1) <= magnitude) exponent++;
  const steps = magnitude / 2 ** (exponent - 10);
  const below = Math.floor(steps);
  const up = steps - below > 0.5 || (steps - below === 0.5 && below % 2 === 1);
  const rounded = (below + (up ? 1 : 0)) * 2 ** (exponent - 10);
  return Math.sign(x) * (rounded > 65504 ? Number.POSITIVE_INFINITY : rounded);
}

/** The weights of one block. `half(i)`: the f16 at byte i. */
type Decoder = (b: Uint8Array, half: (at: number) => number) => number[];

interface Layout {
  elements: number;
  bytes: number;
  decode: Decoder;
}

const columns = (n: number, weight: (column: number) => number): number[] =>
  Array.from({ length: n }, (_, i) => weight(i));

/** Nibble of column i: 16 bytes hold columns 0-15 in the low and 16-31 in the high nibbles. */
const nibble = (b: Uint8Array, at: number, i: number): number => (b[at + (i % 16)] >> (i < 16 ? 0 : 4)) & 15;
const bit = (b: Uint8Array, at: number, i: number): number => (b[at + (i >> 3)] >> (i & 7)) & 1;
const signed = (byte: number): number => (byte << 24) >> 24;

const LEVELS = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/** The 6-bit scale and minimum of sub-block s in the 12 bytes from `at` on. */
export function scaleAndMinimum(b: Uint8Array, at: number, s: number): [scale: number, minimum: number] {
  const q = b.subarray(at, at + 12);
  if (s < 4) return [q[s] & 63, q[s + 4] & 63];
  return [(q[s + 4] & 15) + 16 * (q[s - 4] >> 6), (q[s + 4] >> 4) + 16 * (q[s] >> 6)];
}

/** 2-bit field of column i: each 32 bytes hold 128 columns, 32 of them at each of the four bit positions. */
const pair = (b: Uint8Array, at: number, i: number): number =>
  (b[at + 32 * Math.floor(i / 128) + (i % 32)] >> (2 * (Math.floor(i / 32) % 4))) & 3;

/** Nibble of column i: each 32 bytes hold 64 columns, the first 32 in the low nibbles. */
const nibbleK = (b: Uint8Array, at: number, i: number): number =>
  (b[at + 32 * Math.floor(i / 64) + (i % 32)] >> (i % 64 < 32 ? 0 : 4)) & 15;

/** High bit of column i: byte i % 32 holds one bit for each 32 columns. */
const bitK = (b: Uint8Array, at: number, i: number): number => (b[at + (i % 32)] >> Math.floor(i / 32)) & 1;

function scaleQ3_K(b: Uint8Array, s: number): number {
  const low = (b[96 + (s % 8)] >> (s < 8 ? 0 : 4)) & 15;
  const high = (b[104 + (s % 4)] >> (2 * Math.floor(s / 4))) & 3;
  return low + 16 * high - 32;
}

/** The scale of sub-block s of an IQ4_XS block, without d. */
export function scaleIQ4_XS(b: Uint8Array, s: number): number {
  const low = (b[4 + (s >> 1)] >> (s % 2 ? 4 : 0)) & 15;
  const high = ((b[2] + 256 * b[3]) >> (2 * s)) & 3;
  return low + 16 * high - 32;
}

function decodeQ6_K(b: Uint8Array, half: (at: number) => number): number[] {
  return columns(256, (i) => {
    const low = (b[64 * Math.floor(i / 128) + (i % 64)] >> (i % 128 < 64 ? 0 : 4)) & 15;
    const q = low + 16 * pair(b, 128, i) - 32;
    return f(f(half(208) * signed(b[192 + Math.floor(i / 16)])) * q);
  });
}

/** Q4_K and Q5_K. */
function affineK(b: Uint8Array, half: (at: number) => number, q: (column: number) => number): number[] {
  return columns(256, (i) => {
    const [scale, minimum] = scaleAndMinimum(b, 4, Math.floor(i / 32));
    return f(f(f(half(0) * scale) * q(i)) - f(half(2) * minimum));
  });
}

const LAYOUTS: Record<number, Layout> = {
  0: { elements: 1, bytes: 4, decode: (b) => [new DataView(b.buffer, b.byteOffset).getFloat32(0, true)] },
  1: { elements: 1, bytes: 2, decode: (_, half) => [half(0)] },
  30: {
    elements: 1,
    bytes: 2,
    decode: (b) => [new DataView(Uint8Array.of(0, 0, b[0], b[1]).buffer).getFloat32(0, true)],
  },
  2: { elements: 32, bytes: 18, decode: (b, half) => columns(32, (i) => f(half(0) * (nibble(b, 2, i) - 8))) },
  3: { elements: 32, bytes: 20, decode: (b, half) => columns(32, (i) => f(f(half(0) * nibble(b, 4, i)) + half(2))) },
  6: {
    elements: 32,
    bytes: 22,
    decode: (b, half) => columns(32, (i) => f(half(0) * (nibble(b, 6, i) + 16 * bit(b, 2, i) - 16))),
  },
  7: {
    elements: 32,
    bytes: 24,
    decode: (b, half) => columns(32, (i) => f(f(half(0) * (nibble(b, 8, i) + 16 * bit(b, 4, i))) + half(2))),
  },
  8: { elements: 32, bytes: 34, decode: (b, half) => columns(32, (i) => f(half(0) * signed(b[2 + i]))) },
  10: {
    elements: 256,
    bytes: 84,
    decode: (b, half) =>
      columns(256, (i) => {
        const scale = b[Math.floor(i / 16)];
        return f(f(f(half(80) * (scale & 15)) * pair(b, 16, i)) - f(half(82) * (scale >> 4)));
      }),
  },
  11: {
    elements: 256,
    bytes: 110,
    decode: (b, half) =>
      columns(256, (i) => f(f(half(108) * scaleQ3_K(b, i >> 4)) * (pair(b, 32, i) + 4 * bitK(b, 0, i) - 4))),
  },
  12: { elements: 256, bytes: 144, decode: (b, half) => affineK(b, half, (i) => nibbleK(b, 16, i)) },
  13: {
    elements: 256,
    bytes: 176,
    decode: (b, half) => affineK(b, half, (i) => nibbleK(b, 48, i) + 16 * bitK(b, 16, i)),
  },
  14: { elements: 256, bytes: 210, decode: decodeQ6_K },
  20: { elements: 32, bytes: 18, decode: (b, half) => columns(32, (i) => f(half(0) * LEVELS[nibble(b, 2, i)])) },
  23: {
    elements: 256,
    bytes: 136,
    decode: (b, half) =>
      columns(256, (i) => {
        const s = Math.floor(i / 32);
        return f(f(half(0) * scaleIQ4_XS(b, s)) * LEVELS[nibble(b, 8 + 16 * s, i % 32)]);
      }),
  },
};

/** `count` weights of ggml's type `typeId`, a multiple of its block's, from the start of `bytes`. */
export function dequantize(typeId: number, bytes: Uint8Array, count: number): Float32Array {
  const layout = LAYOUTS[typeId];
  if (!layout) throw new RangeError(`no reference for type ${typeId}`);
  if (count % layout.elements) throw new RangeError(`${count} weights cut a block of ${layout.elements}`);
  const values = new Float32Array(count);
  for (let i = 0; i < count / layout.elements; i++) {
    const block = bytes.subarray(i * layout.bytes, (i + 1) * layout.bytes);
    if (block.length !== layout.bytes) throw new RangeError(`${bytes.length} bytes end before ${count} weights do`);
    values.set(
      layout.decode(block, (at) => halfToNumber(block[at] + 256 * block[at + 1])),
      i * layout.elements,
    );
  }
  return values;
}
