/**
 * V8 options that the kernels want, to be set before WebAssembly is compiled.
 *
 * Node 20 (V8 11.3) has relaxed SIMD behind a flag, and its baseline compiler, Liftoff, gives wrong results for the
 * relaxed dot product. Without Liftoff every kernel is compiled once, at full speed, in all versions. What these
 * flags bring is used only after the self-test of runtime/compute/kernels.ts.
 */

import v8 from "node:v8";

export function setEngineFlags(): void {
  v8.setFlagsFromString("--no-liftoff");
  const [major, minor] = process.versions.v8.split(".").map(Number);
  if (major * 100 + minor < 1104) v8.setFlagsFromString("--experimental-wasm-relaxed-simd");
}
