/** Checks of the matrix kernels and of the activation quantizers in front of them. */

import { matmulOf } from "../../runtime/compute/kernels.ts";
import { TILE_BYTES, TILE_ROWS, type TileKind } from "../../runtime/weights/tiles.ts";
import {
  type Extent,
  expectSame,
  expectSameFloats,
  FLOAT_FILL_NAMES,
  type FloatFill,
  floats,
  type Subject,
} from "../checkasm.ts";

/** Bytes of the integers of a tile: nibbles for q4 and q4m. */
const INTEGERS = {
  random: (next) => next() * 256,
  zeros: () => 0,
  largest: (_, __, q8) => (q8 ? 0x7f : 0xff),
  smallest: () => 0x80,
  alternating: (_, i, q8) => (i % 2 === 0 ? (q8 ? 0x7f : 0x0f) : q8 ? 0x80 : 0xf0),
  different: (_, i) => (i * 37) & 255,
  oneHot: (_, i) => (i % 61 === 7 ? 0x77 : 0),
} satisfies Record<string, (next: () => number, i: number, q8: boolean) => number>;
export type IntegerFill = keyof typeof INTEGERS;

/** f16 bit patterns of scales and mins; all finite. */
const HALVES = {
  usual: (next) => 0x1800 + next() * 0x1400 + (next() < 0.5 ? 0x8000 : 0),
  subnormal: (next) => next() * 0x400,
  largest: () => 0x7bff,
  negative: (next) => 0x8001 + next() * 0x7000,
  zero: (next) => (next() < 0.5 ? 0 : 0x8000),
  mixed: (next) => (next() * 0x7c00) | (next() < 0.5 ? 0x8000 : 0),
} satisfies Record<string, (next: () => number) => number>;
export type HalfFill = keyof typeof HALVES;

export interface MatmulCase {
  kind: TileKind;
  k: number;
  tokens: number;
  from: number;
  to: number;
  accumulate: boolean;
  integers: IntegerFill;
  scales: HalfFill;
  activations: FloatFill;
  last: number;
}

const SCALES_AT = { q4: 256, q4m: 256, q8: 512, f32: TILE_BYTES.f32 } satisfies Record<TileKind, number>;
const GAP_BYTES = 48;

function weights({ kind, k, to, integers, scales }: MatmulCase, next: () => number): Uint8Array {
  const tiles = to * (k / 32);
  const size = TILE_BYTES[kind];
  if (kind === "f32") {
    const fill = integers === "largest" || integers === "smallest" || integers === "zeros" ? integers : "spread";
    return new Uint8Array(floats(tiles * (size / 4), fill, next).buffer);
  }
  const bytes = new Uint8Array(tiles * size);
  const view = new DataView(bytes.buffer);
  const integer: (next: () => number, i: number, q8: boolean) => number = INTEGERS[integers];
  for (let tile = 0; tile < bytes.length; tile += size) {
    for (let i = 0; i < SCALES_AT[kind]; i++) bytes[tile + i] = integer(next, i, kind === "q8");
    for (let i = SCALES_AT[kind]; i < size; i += 2) view.setUint16(tile + i, HALVES[scales](next), true);
  }
  return bytes;
}

/** Bytes of an activation row for tiles of `kind`. */
function rowBytes({ kernels }: Subject, kind: TileKind, k: number): number {
  if (kind === "f32") return k * 4;
  return kind === "q8" ? kernels.activation_bytes_q8(k) : kernels.activation_bytes_q4(k);
}

/** f32 rows of k as the kernel for `kind` reads them; `by` "kernels" or "reference" quantizes. */
function activationRows(subject: Subject, kase: MatmulCase, x: Float32Array, by: "kernels" | "reference"): Uint8Array {
  const { kind, k, tokens } = kase;
  if (kind === "f32") return new Uint8Array(x.buffer);
  const bytes = rowBytes(subject, kind, k);
  const at = subject.arena.lay({ x, rows: tokens * bytes }, 0);
  const { reference, kernels } = subject;
  const quantize =
    by === "kernels"
      ? { q4: kernels.quantize_q4, q8: kernels.quantize_q8 }
      : { q4: reference.quantize_q4_reference, q8: reference.quantize_q8_reference };
  const [rows] = subject.arena.run([{ at: at.rows, bytes: tokens * bytes }], () => {
    for (let t = 0; t < tokens; t++) {
      quantize[kind === "q8" ? "q8" : "q4"](at.x + t * k * 4, at.rows + t * bytes, k, 0, k / 32);
    }
  });
  return rows;
}

interface Laid {
  w: number;
  a: number;
  bias: number;
  out: number;
  scratch: number;
  stride: number;
  rowBytes: number;
  rows: Extent[];
}

/** Lays out a case; `out` starts with numbers to add to, or with NaN where they must not matter. */
function layCase(subject: Subject, kase: MatmulCase, next: () => number, by: "kernels" | "reference"): Laid {
  const { k, tokens, from, to, accumulate, activations, last } = kase;
  const a = activationRows(subject, kase, floats(tokens * k, activations, next), by);
  const stride = to * TILE_ROWS * 4 + GAP_BYTES;
  const outBytes = tokens * stride - GAP_BYTES;
  const at = subject.arena.lay(
    {
      w: weights(kase, next),
      a,
      bias: floats(to * TILE_ROWS, "random", next),
      out: accumulate ? floats(outBytes / 4, "random", next) : outBytes,
      scratch: 256,
    },
    last,
  );
  const rows = Array.from({ length: tokens }, (_, t) => ({
    at: at.out + t * stride + from * TILE_ROWS * 4,
    bytes: (to - from) * TILE_ROWS * 4,
  }));
  return { ...at, stride, rowBytes: rowBytes(subject, kase.kind, k), rows };
}

/** The rows a kernel computes, all tokens in one call or one call each. */
function multiply(subject: Subject, kase: MatmulCase, laid: Laid, together = true): Uint8Array[] {
  const { k, tokens, from, to, accumulate, kind } = kase;
  const { w, a, out, stride, bias, scratch, rows } = laid;
  const matmul = matmulOf(subject.kernels, kind, subject.form);
  const results = subject.arena.run([...rows, { at: scratch, bytes: 256 }], () => {
    if (together) matmul(w, a, tokens, k, from, to, out, stride, bias, accumulate, scratch);
    else {
      for (let t = 0; t < tokens; t++) {
        matmul(w, a + t * laid.rowBytes, 1, k, from, to, out + t * stride, stride, bias, accumulate, scratch);
      }
    }
  });
  return results.slice(0, tokens);
}

/** The kernel gives the bits of its reference: sums within a block are integers, and blocks add in the same order. */
export function checkMatmul(subject: Subject, kase: MatmulCase, next: () => number): void {
  const laid = layCase(subject, kase, next, "reference");
  const { k, tokens, from, to, accumulate, kind } = kase;
  const { w, a, out, stride, bias } = laid;
  const rest = [w, a, tokens, k, from, to, out, stride, bias, accumulate] as const;
  const { reference } = subject;
  const expected = subject.arena.run(laid.rows, () => {
    if (kind === "f32") reference.matmul_f32_reference(...rest);
    else if (kind === "q8") reference.matmul_q8_reference(...rest);
    else reference.matmul_q4_reference(kind === "q4m", ...rest);
  });
  expectSameFloats(multiply(subject, kase, laid), expected, "output row");
}

/** What a subject computes from f32 activations through its own quantizer, with all tokens together or one by one. */
export function product(subject: Subject, kase: MatmulCase, next: () => number, together: boolean): Uint8Array[] {
  return multiply(subject, kase, layCase(subject, kase, next, "kernels"), together);
}

const PLAIN = { integers: "random", scales: "usual", activations: "random" } as const;
export const KINDS: readonly TileKind[] = ["q4", "q4m", "q8", "f32"];

/** Every number of tokens (1..9) with every width that divides differently and 1 to 3 row groups, then Phi-2's own widths. */
export function matmulShapes(kind: TileKind): MatmulCase[] {
  const shapes: MatmulCase[] = [];
  for (const k of [32, 64, 256, 320]) {
    for (let tokens = 1; tokens <= 9; tokens++) {
      const from = (tokens + k / 32) % 3;
      const n = shapes.length;
      shapes.push({ kind, k, tokens, from, to: from + 1 + (n % 3), accumulate: n % 2 === 0, ...PLAIN, last: n });
    }
  }
  for (const [k, tokens] of [
    [2560, 1],
    [2560, 5],
    [2560, 8],
    [10240, 1],
    [10240, 4],
  ]) {
    shapes.push({ kind, k, tokens, from: 0, to: 2, accumulate: tokens === 5, ...PLAIN, last: tokens });
  }
  return shapes;
}

/**
 * Every pair of fills meets: integers with activations, scales taking turns; in turns five tokens (a pass of four,
 * and one alone) with one row group, and one token with two.
 */
export function matmulFills(kind: TileKind): MatmulCase[] {
  const integers = Object.keys(INTEGERS) as IntegerFill[];
  const scales = Object.keys(HALVES) as HalfFill[];
  const cases: MatmulCase[] = [];
  for (const integer of integers) {
    for (const activations of FLOAT_FILL_NAMES) {
      const n = cases.length;
      const size = n % 2 === 0 ? { tokens: 5, to: 1 } : { tokens: 1, to: 2 };
      const shape = { kind, k: 64, from: 0, ...size, accumulate: n % 4 >= 2, last: n };
      cases.push({ ...shape, integers: integer, scales: scales[n % scales.length], activations });
    }
  }
  return cases;
}

export interface QuantizeCase {
  to: "q4" | "q8";
  k: number;
  first: number;
  end: number;
  fill: FloatFill;
  last: number;
}

export function quantizeCases(to: "q4" | "q8"): QuantizeCase[] {
  const cases: QuantizeCase[] = [];
  for (const fill of FLOAT_FILL_NAMES) {
    for (const k of [32, 96, 2560]) {
      const first = k === 32 ? 0 : 1;
      cases.push({ to, k, first, end: k / 32 - (k > 96 ? 7 : 0), fill, last: cases.length });
    }
  }
  return cases;
}

/** The values, scales and sums of blocks [first, end), and nothing else of the row. */
function quantizedExtents(row: number, kase: QuantizeCase, bytes: number): Extent[] {
  const { k, first, end } = kase;
  const blocks = end - first;
  const words = kase.to === "q4" ? 2 : 1;
  const valueBytes = bytes - words * (k / 8);
  const extents = [{ at: row + (valueBytes / k) * 32 * first, bytes: (valueBytes / k) * 32 * blocks }];
  for (let word = 0; word < words; word++) {
    extents.push({ at: row + valueBytes + word * (k / 8) + 4 * first, bytes: 4 * blocks });
  }
  return extents;
}

export function checkQuantize(subject: Subject, kase: QuantizeCase, next: () => number): void {
  const { to, k, first, end, fill, last } = kase;
  const bytes = rowBytes(subject, to, k);
  const at = subject.arena.lay({ x: floats(k, fill, next), row: bytes }, last);
  const extents = quantizedExtents(at.row, kase, bytes);
  const { kernels, reference } = subject;
  const quantize = to === "q4" ? kernels.quantize_q4 : kernels.quantize_q8;
  const specification = to === "q4" ? reference.quantize_q4_reference : reference.quantize_q8_reference;
  const actual = subject.arena.run(extents, () => quantize(at.x, at.row, k, first, end));
  const expected = subject.arena.run(extents, () => specification(at.x, at.row, k, first, end));
  expectSame(actual, expected, "part");
}

/** What becomes of one NaN or infinity among the activations of a token, and of its neighbour without. */
export function poisoned(subject: Subject, kind: TileKind, value: number, next: () => number): Float32Array[] {
  const kase: MatmulCase = { kind, k: 64, tokens: 5, from: 0, to: 1, accumulate: false, ...PLAIN, last: 0 };
  const x = floats(kase.tokens * kase.k, "random", next);
  x[1 * kase.k + 37] = value;
  x[4 * kase.k + 3] = value;
  const a = activationRows(subject, kase, x, "kernels");
  const out = kase.tokens * 64;
  const at = subject.arena.lay({ w: weights(kase, next), a, bias: new Float32Array(16), out, scratch: 256 }, 0);
  const rows = Array.from({ length: kase.tokens }, (_, t) => ({ at: at.out + t * 64, bytes: 64 }));
  const laid = { ...at, stride: 64, rowBytes: rowBytes(subject, kind, kase.k), rows };
  return multiply(subject, kase, laid).map((row) => new Float32Array(row.buffer));
}
