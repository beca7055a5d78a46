/**
 * A rotation that evens out a head before its keys and values become bytes.
 *
 * Phi-2's keys have a few dimensions far larger than the others; with one scale for a row they would leave the others
 * only a few of the 255 steps. The orthonormal Walsh-Hadamard transform of 16 spreads each over its 16 neighbours. Scores do not
 * change if queries and keys are both transformed; and since the transform is its own inverse, transforming the sum
 * of transformed values gives the sum of values (QuaRot, https://arxiv.org/abs/2404.00456).
 */

// @ts-ignore: decorator
@inline function lanes4(v: v128): v128 {
  const far = i8x16.shuffle(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  const a = f32x4.add(far, f32x4.mul(v, f32x4(1, 1, -1, -1)));
  const near = i8x16.shuffle(a, a, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11);
  return f32x4.add(near, f32x4.mul(a, f32x4(1, -1, 1, -1)));
}

/** Transforms n f32 in place, 16 at a time; n a multiple of 16. */
export function hadamard16(x: usize, n: usize): void {
  const quarter = f32x4.splat(0.25);
  for (const end = x + (n << 2); x < end; x += 64) {
    const a = lanes4(v128.load(x)), b = lanes4(v128.load(x, 16));
    const c = lanes4(v128.load(x, 32)), d = lanes4(v128.load(x, 48));
    const e = f32x4.add(a, b), f = f32x4.sub(a, b), g = f32x4.add(c, d), h = f32x4.sub(c, d);
    v128.store(x, f32x4.mul(quarter, f32x4.add(e, g)));
    v128.store(x, f32x4.mul(quarter, f32x4.add(f, h)), 16);
    v128.store(x, f32x4.mul(quarter, f32x4.sub(e, g)), 32);
    v128.store(x, f32x4.mul(quarter, f32x4.sub(f, h)), 48);
  }
}

/** The scalar form of `hadamard16`, and its specification: entry (i, j) is -1 to the number of common bits, over 4. */
export function hadamard16_reference(x: usize, n: usize, y: usize): void {
  for (let i: usize = 0; i < n; i++) {
    let sum: f64 = 0;
    for (let j: usize = 0; j < 16; j++) {
      const value = <f64>load<f32>(x + (((i & ~15) + j) << 2));
      sum += popcnt(i & 15 & j) & 1 ? -value : value;
    }
    store<f32>(y + (i << 2), <f32>(sum / 4));
  }
}
