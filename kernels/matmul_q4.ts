/**
 * out[t][r] = sum over k of W[r][k] * a[t][k], W in q4 or q4m tiles (int4, 16 rows x 32 columns).
 *
 *          16 B: A of step s                    16 B: B of step s                         8 steps of 4 columns
 *   +----+----+----+----+  lane l, byte j  +----+----+----+----+
 *   | l0 | l1 | l2 | l3 |  low  nibble: row   l, column 4s+j  | l0 …  low: row  4+l, high: row 12+l
 *   +----+----+----+----+  high nibble: row 8+l, column 4s+j  +----
 *   then 16 f16 scales (q4: 288 B; the nibble is q + 8), then for q4m 16 f16 mins (320 B; the nibble is q)
 *
 *   q4:  w = scale * q          dot = scale * as * (sum(nibble * a) - 8 * sum(a))
 *   q4m: w = scale * q + min    dot = scale * as * sum(q * a) + min * as * sum(a)
 *
 * Lanes are rows, so one splat of four activations feeds all rows, and no sum crosses lanes. Within a block of 32
 * columns everything is integer; blocks are added in f32 in the order of k. Every form below therefore gives the
 * same bits: both builds, one token or many, any number of threads.
 *
 * Relaxed build: i16x8.relaxed_dot with the nibbles as the 7-bit operand. Eight steps of two products each stay
 * within 16 * 15 * 127 = 30480 < 2^15, so i16 accumulators suffice for a block (x86: pmaddubsw). The "sdot" form
 * accumulates in i32 with relaxed_dot_add (ARM with DotProd: one instruction).
 * Simd build: i16x8 products; 16-bit lanes of a tile hold four nibbles (even low, even high, odd low, odd high).
 */

import { RELAXED, halfToFloat, storeRows4, touch } from "./lanes";
import { load_q4, valueBytes4 } from "./quantize";
import { MINS, Mins, NoMins, Pairs, rowGroup1, rowGroup2, rowGroup4, rowGroups2, SCALES, Sdot, tileBytes } from "./rows_q4";

/** Row groups [from, to) for all tokens; each row group is read from memory once. */
// @ts-ignore: decorator
@inline function matmul<M, A>(w: usize, a: usize, tokens: usize, k: usize, from: usize, to: usize, out: usize, outStride: usize, bias: usize, accumulate: bool, scratch: usize): void {
  const groupBytes = (k >> 5) * tileBytes<M>();
  const aStride = valueBytes4(k) + (k >> 2);
  // Between the lines of bias and output that two row groups need lie kilobytes of weights.
  store<i32>(scratch, touch(bias + (from << 6), (to - from) << 6) ^ touch(out + (from << 6), (to - from) << 6));
  let r = from;
  if (RELAXED && tokens == 1) {
    for (; r + 2 <= to; r += 2) rowGroups2<M, A>(w + r * groupBytes, a, k, out + (r << 6), bias + (r << 6), accumulate);
  }
  for (; r < to; r++) {
    const tiles = w + r * groupBytes, c = bias + (r << 6);
    let o = out + (r << 6), x = a, left = tokens;
    if (RELAXED) {
      for (; left >= 4; left -= 4) {
        rowGroup4<M, A>(tiles, x, aStride, k, scratch);
        storeRows4(o, outStride, c, scratch, accumulate);
        o += outStride << 2;
        x += aStride << 2;
      }
    }
    for (; left >= 2; left -= 2) {
      rowGroup2<M, A>(tiles, x, aStride, k, o, o + outStride, c, accumulate);
      o += outStride << 1;
      x += aStride << 1;
    }
    if (left) rowGroup1<M, A>(tiles, x, k, o, c, accumulate);
  }
}

/**
 * Row groups [from, to) of a matrix in q4 tiles times `tokens` activation rows.
 * `w` the matrix's first tile, `a` rows of activation_bytes_q4(k), `out` f32 rows `outStride` bytes apart with room for
 * 16 * to numbers, `bias` f32[16 * to], `accumulate`: add to `out` instead of setting it, `scratch` 256 bytes.
 */
export function matmul_q4(w: usize, a: usize, tokens: usize, k: usize, from: usize, to: usize, out: usize, outStride: usize, bias: usize, accumulate: bool, scratch: usize): void {
  matmul<NoMins, Pairs>(w, a, tokens, k, from, to, out, outStride, bias, accumulate, scratch);
}

/** `matmul_q4` for q4m tiles. */
export function matmul_q4m(w: usize, a: usize, tokens: usize, k: usize, from: usize, to: usize, out: usize, outStride: usize, bias: usize, accumulate: bool, scratch: usize): void {
  matmul<Mins, Pairs>(w, a, tokens, k, from, to, out, outStride, bias, accumulate, scratch);
}

/** `matmul_q4` with i32 accumulation (one SDOT a step on ARM); the simd build has one form only. */
export function matmul_q4_sdot(w: usize, a: usize, tokens: usize, k: usize, from: usize, to: usize, out: usize, outStride: usize, bias: usize, accumulate: bool, scratch: usize): void {
  matmul<NoMins, Sdot>(w, a, tokens, k, from, to, out, outStride, bias, accumulate, scratch);
}

/** `matmul_q4_sdot` for q4m tiles. */
export function matmul_q4m_sdot(w: usize, a: usize, tokens: usize, k: usize, from: usize, to: usize, out: usize, outStride: usize, bias: usize, accumulate: bool, scratch: usize): void {
  matmul<Mins, Sdot>(w, a, tokens, k, from, to, out, outStride, bias, accumulate, scratch);
}

/** The nibble of row r (0..15) and column c (0..31) of a tile. */
// @ts-ignore: decorator
@inline function nibble(tile: usize, r: usize, c: usize): i32 {
  const byte = load<u8>(tile + ((c >> 2) << 5) + (((r >> 2) & 1) << 4) + ((r & 3) << 2) + (c & 3));
  return r < 8 ? byte & 15 : byte >> 4;
}

/** The scalar form of `matmul_q4` (mins = 0) and `matmul_q4m` (mins = 1), and their specification. */
export function matmul_q4_reference(mins: bool, w: usize, a: usize, tokens: usize, k: usize, from: usize, to: usize, out: usize, outStride: usize, bias: usize, accumulate: bool): void {
  const bytes: usize = mins ? 320 : 288;
  const aStride = valueBytes4(k) + (k >> 2);
  for (let t: usize = 0; t < tokens; t++) {
    const row = a + t * aStride;
    const scales = row + valueBytes4(k), sums = scales + (k >> 3);
    for (let r = from << 4; r < to << 4; r++) {
      let total: f32 = 0;
      for (let b: usize = 0; b < k >> 5; b++) {
        const tile = w + ((r >> 4) * (k >> 5) + b) * bytes;
        const as = load<f32>(scales + (b << 2));
        const sum = load<i32>(sums + (b << 2));
        const scale = halfToFloat(load<u16>(tile + SCALES + ((r & 15) << 1)));
        let dot = mins ? 0 : sum * -8;
        for (let c: usize = 0; c < 32; c++) dot += nibble(tile, r & 15, c) * load_q4(row, (b << 5) + c);
        let term = <f32>dot * (scale * as);
        if (mins) term += halfToFloat(load<u16>(tile + MINS + ((r & 15) << 1))) * as * <f32>sum;
        total += term;
      }
      const p = out + t * outStride + (r << 2);
      total += load<f32>(bias + (r << 2));
      store<f32>(p, accumulate ? total + load<f32>(p) : total);
    }
  }
}
