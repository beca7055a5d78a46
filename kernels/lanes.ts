/** Small vector helpers shared by the kernels. Everything here is inlined; none of it relies on relaxed rounding. */

/** True in the build with relaxed SIMD; the other branch is removed by the compiler. */
// @ts-ignore: decorator
@inline export const RELAXED: bool = ASC_FEATURE_RELAXED_SIMD;

/** 2^112: the factor that an f16's bits, moved into an f32 by `halfBits`, lack. */
// @ts-ignore: decorator
@inline export const HALF_TO_FLOAT: f32 = 5192296858534827628530496329220096.0;

/**
 * Constants for inner loops, to be loaded once before them: V8 builds a v128 constant anew wherever it is used
 * (three instructions), but keeps what was loaded in a register.
 */
const CONSTANTS: usize = memory.data<u32>(
  [
    0x0f0f0f0f, 0x0f0f0f0f, 0x0f0f0f0f, 0x0f0f0f0f, 0x000f000f, 0x000f000f, 0x000f000f, 0x000f000f,
    0x00f000f0, 0x00f000f0, 0x00f000f0, 0x00f000f0, 0x0f000f00, 0x0f000f00, 0x0f000f00, 0x0f000f00,
    0x00010001, 0x00010001, 0x00010001, 0x00010001, 0x8fffffff, 0x8fffffff, 0x8fffffff, 0x8fffffff,
  ],
  16,
);

/** The low nibble of every byte. */
// @ts-ignore: decorator
@inline export function loadNibbleMask(): v128 {
  return v128.load(CONSTANTS);
}

/** The n-th nibble (0, 1 or 2) of every 16-bit lane. */
// @ts-ignore: decorator
@inline export function loadShortNibbleMask(n: usize): v128 {
  return v128.load(CONSTANTS + ((1 + n) << 4));
}

/** Eight i16 ones. */
// @ts-ignore: decorator
@inline export function loadOnes(): v128 {
  return v128.load(CONSTANTS, 64);
}

/** What `halfBits` keeps of a widened and shifted f16: all but the copies of the sign. */
// @ts-ignore: decorator
@inline export function loadHalfMask(): v128 {
  return v128.load(CONSTANTS, 80);
}

/** Four f16 at `p` as f32 that still lack the factor 2^112 (exact for normal and subnormal numbers). */
// @ts-ignore: decorator
@inline export function halfBits(p: usize, halfMask: v128): v128 {
  return v128.and(i32x4.shl(v128.load16x4_s(p), 13), halfMask);
}

/** Four f16 at `p` as f32; infinities and NaN are not supported. */
// @ts-ignore: decorator
@inline export function loadHalf4(p: usize): v128 {
  return f32x4.mul(halfBits(p, i32x4.splat(0x8fffffff)), f32x4.splat(HALF_TO_FLOAT));
}

/** One f16 as f32; infinities and NaN are not supported. */
// @ts-ignore: decorator
@inline export function halfToFloat(bits: u32): f32 {
  return reinterpret<f32>(((bits & 0x8000) << 16) | ((bits & 0x7fff) << 13)) * HALF_TO_FLOAT;
}

/** f32 to f16 bits, round to nearest even, saturating at the largest finite f16. */
// @ts-ignore: decorator
@inline export function floatToHalf(x: f32): u32 {
  const bits = reinterpret<u32>(x);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = min<f32>(reinterpret<f32>(bits & 0x7fffffff), 65504.0);
  if (magnitude < 6.103515625e-5) {
    // Subnormal: adding 2^-1 makes the f32 adder round at 2^-24, the last bit of such an f16.
    return sign | (reinterpret<u32>(magnitude + 0.5) - 0x3f000000);
  }
  const m = reinterpret<u32>(magnitude);
  return sign | ((m + 0xfff + ((m >>> 13) & 1) - 0x38000000) >>> 13);
}

/** Sum of the four f32 lanes, pairwise: (0+2) + (1+3). */
// @ts-ignore: decorator
@inline export function sumLanes(v: v128): f32 {
  const pairs = f32x4.add(v, i8x16.shuffle(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
  return f32x4.extract_lane(pairs, 0) + f32x4.extract_lane(pairs, 1);
}

/** Largest of the four f32 lanes; NaN if any is NaN. */
// @ts-ignore: decorator
@inline export function maxLanes(v: v128): f32 {
  return max(
    max(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)),
    max(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  );
}

/**
 * f32 to i32, round to nearest even, for |x| < 2^22: adding 1.5 * 2^23 leaves the integer in the low mantissa bits.
 * Cheaper than nearest + trunc_sat, and the same bits on every engine.
 */
// @ts-ignore: decorator
@inline export function roundToInt(x: v128): v128 {
  return i32x4.sub(f32x4.add(x, f32x4.splat(12582912.0)), i32x4.splat(0x4b400000));
}

/** The scalar twin of `roundToInt`. */
// @ts-ignore: decorator
@inline export function roundToInt1(x: f32): i32 {
  return reinterpret<i32>(x + 12582912.0) - 0x4b400000;
}

/**
 * What exp4 needs, each four times: its range; log2(e); 1.5 * 2^23, which rounds; ln 2 in two parts; the polynomial's
 * coefficients; 1.
 */
const EXP: usize = memory.data<f32>(
  [
    88.0, 88.0, 88.0, 88.0, -87.0, -87.0, -87.0, -87.0,
    1.44269504, 1.44269504, 1.44269504, 1.44269504, 12582912.0, 12582912.0, 12582912.0, 12582912.0,
    0.693359375, 0.693359375, 0.693359375, 0.693359375, 2.12194440e-4, 2.12194440e-4, 2.12194440e-4, 2.12194440e-4,
    1.9875691500e-4, 1.9875691500e-4, 1.9875691500e-4, 1.9875691500e-4,
    1.3981999507e-3, 1.3981999507e-3, 1.3981999507e-3, 1.3981999507e-3,
    8.3334519073e-3, 8.3334519073e-3, 8.3334519073e-3, 8.3334519073e-3,
    4.1665795894e-2, 4.1665795894e-2, 4.1665795894e-2, 4.1665795894e-2,
    1.6666665459e-1, 1.6666665459e-1, 1.6666665459e-1, 1.6666665459e-1,
    5.0000001201e-1, 5.0000001201e-1, 5.0000001201e-1, 5.0000001201e-1,
    1.0, 1.0, 1.0, 1.0,
  ],
  16,
);

// @ts-ignore: decorator
@inline function expConstant(n: usize): v128 {
  return v128.load(EXP + (n << 4));
}

/** Four f32 ones. */
// @ts-ignore: decorator
@inline export function loadOne(): v128 {
  return expConstant(12);
}

/**
 * e^x for x clamped to -87..88, relative error below 3e-7: 2^n from the exponent bits times a degree-6 polynomial
 * of the remainder in -ln2/2..ln2/2 (Cephes' expf coefficients). NaN stays NaN.
 */
// @ts-ignore: decorator
@inline export function exp4(x: v128): v128 {
  const clamped = f32x4.pmin(expConstant(0), f32x4.pmax(expConstant(1), x));
  const rounded = f32x4.add(f32x4.mul(clamped, expConstant(2)), expConstant(3));
  const n = f32x4.sub(rounded, expConstant(3));
  let r = f32x4.sub(clamped, f32x4.mul(n, expConstant(4)));
  r = f32x4.add(r, f32x4.mul(n, expConstant(5)));
  let p = expConstant(6);
  p = f32x4.add(f32x4.mul(p, r), expConstant(7));
  p = f32x4.add(f32x4.mul(p, r), expConstant(8));
  p = f32x4.add(f32x4.mul(p, r), expConstant(9));
  p = f32x4.add(f32x4.mul(p, r), expConstant(10));
  p = f32x4.add(f32x4.mul(p, r), expConstant(11));
  p = f32x4.add(f32x4.add(f32x4.mul(f32x4.mul(p, r), r), r), expConstant(12));
  // The sum that rounded has n in its low bits, and its own exponent above, which the shift drops.
  const power = i32x4.add(i32x4.shl(rounded, 23), expConstant(12));
  return v128.bitselect(f32x4.mul(p, power), x, f32x4.eq(x, x));
}

/**
 * Reads a number of each 64-byte line of `bytes` bytes from `p` (4-byte aligned) on, so that what follows finds them in
 * the cache. One by one, misses cost a memory's latency each; together they cost little more than one. WebAssembly has no
 * prefetch: the caller must store the result, so that no read can be left out.
 */
// @ts-ignore: decorator
@inline export function touch(p: usize, bytes: usize): i32 {
  let all: i32 = 0;
  for (const end = p + bytes; p < end; p += 64) all ^= load<i32>(p);
  return all;
}

/** Stores the sums of 16 rows with their bias, added to what is there already if `accumulate`. */
// @ts-ignore: decorator
@inline export function storeRows(out: usize, bias: usize, t0: v128, t1: v128, t2: v128, t3: v128, accumulate: bool): void {
  let s0 = f32x4.add(t0, v128.load(bias)), s1 = f32x4.add(t1, v128.load(bias, 16));
  let s2 = f32x4.add(t2, v128.load(bias, 32)), s3 = f32x4.add(t3, v128.load(bias, 48));
  if (accumulate) {
    s0 = f32x4.add(s0, v128.load(out));
    s1 = f32x4.add(s1, v128.load(out, 16));
    s2 = f32x4.add(s2, v128.load(out, 32));
    s3 = f32x4.add(s3, v128.load(out, 48));
  }
  v128.store(out, s0);
  v128.store(out, s1, 16);
  v128.store(out, s2, 32);
  v128.store(out, s3, 48);
}

/** `storeRows` for four tokens, `outStride` bytes apart, whose sums lie in `sums`, 64 bytes a token. */
// @ts-ignore: decorator
@inline export function storeRows4(out: usize, outStride: usize, bias: usize, sums: usize, accumulate: bool): void {
  for (let s = sums; s < sums + 256; s += 64) {
    storeRows(out, bias, v128.load(s), v128.load(s, 16), v128.load(s, 32), v128.load(s, 48), accumulate);
    out += outStride;
  }
}
