/**
 * Turning the first keys of a cache further, for conversations that are longer than it.
 *
 * When a cache is full, its first tile of 32 positions stays (the attention sinks of Xiao et al., 2023,
 * https://arxiv.org/abs/2309.17453: much of every softmax rests on them), the oldest tiles after it go, and the others
 * move down as they are. Rotary embedding knows distances only, so what moved keeps its old positions, the count of
 * positions goes on, and just the first tile is turned forward by as many positions as went: it then lies right before
 * the others, as it always did.
 *
 *   before   | first 0..31 | goes 32..32+d | stays 32+d..       |          places = positions
 *   after    | first, turned by d | stays, unchanged   | room  |          place p has position p + d
 */

import { keyAt, storeKeyRow } from "./cache";
import { hadamard16, hadamard16_reference } from "./hadamard";
import { floatToHalf, halfToFloat } from "./lanes";
import { rotate } from "./rope";

// @ts-ignore: decorator
@inline const TILE: usize = 32;

/**
 * Turns the keys of the first 32 positions of a head's cache by one rotation, in place. `rotation` f32[rotary/2][cos, sin];
 * `scratch` f32[headDim]. Each call rounds the keys once: start from keys that were not turned yet.
 */
export function turn_keys(half: bool, cache: usize, context: usize, headDim: usize, rotary: usize, rotation: usize, scratch: usize): void {
  for (let position: usize = 0; position < TILE; position++) {
    for (let i: usize = 0; i < headDim; i++) {
      store<f32>(scratch + (i << 2), <f32>keyAt(half, cache, context, headDim, position, i));
    }
    if (!half) hadamard16(scratch, headDim);
    rotate(scratch, rotary, rotation, 0);
    storeKeyRow(half, scratch, cache, context, headDim, position);
  }
}

/** The scalar form of `turn_keys`, in f64, and its specification; `scratch` f32[2 * headDim]. */
export function turn_keys_reference(half: bool, cache: usize, context: usize, headDim: usize, rotary: usize, rotation: usize, scratch: usize): void {
  const row = scratch, other = scratch + (headDim << 2), pair = rotary << 1;
  for (let position: usize = 0; position < TILE; position++) {
    for (let i: usize = 0; i < headDim; i++) {
      store<f32>((half ? row : other) + (i << 2), <f32>keyAt(half, cache, context, headDim, position, i));
    }
    if (!half) hadamard16_reference(other, headDim, row);
    for (let i: usize = 0; i < pair; i += 4) {
      const a = <f64>load<f32>(row + i), b = <f64>load<f32>(row + pair + i);
      const cos = <f64>load<f32>(rotation + (i << 1)), sin = <f64>load<f32>(rotation + (i << 1), 4);
      store<f32>(row + i, <f32>(a * cos - b * sin));
      store<f32>(row + pair + i, <f32>(b * cos + a * sin));
    }
    if (half) {
      const key = cache + position * (headDim << 1);
      for (let i: usize = 0; i < headDim; i++) store<u16>(key + (i << 1), floatToHalf(load<f32>(row + (i << 2))));
      continue;
    }
    hadamard16_reference(row, headDim, other);
    let largest: f32 = 0;
    for (let i: usize = 0; i < headDim; i++) largest = max(largest, abs(load<f32>(other + (i << 2))));
    const bits = floatToHalf(largest / 127.0), scale = <f64>halfToFloat(bits);
    store<u16>(cache + ((context * headDim) << 1) + (position << 1), bits);
    for (let i: usize = 0; i < headDim; i++) {
      const steps = scale > 0 ? nearest(<f64>load<f32>(other + (i << 2)) / scale) : <f64>0;
      store<i8>(cache + ((i >> 1) << 6) + (position << 1) + (i & 1), <i8>max<f64>(-127, min<f64>(127, steps)));
    }
  }
}
