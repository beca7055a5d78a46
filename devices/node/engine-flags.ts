/**
 * V8 options that the kernels want, to be set before WebAssembly is compiled.
 *
 * Node 20 (V8 11.3) has relaxed SIMD behind a flag, and its baseline compiler, Liftoff, gives wrong results for the
 * relaxed dot product. Without Liftoff every kernel is compiled once, at full speed, in all versions. What these
 * flags bring is used only after the self-test of runtime/compute/self-test.ts.
 */

import v8 from "node:v8";

let retreated = false;

/** V8 13 and newer fuse neighbouring 128-bit operations into 256 bits on x64; PIPHI_REVECTORIZE=0 turns that off. */
export function revectorizes(): boolean {
  return !retreated && process.arch === "x64" && majorOfV8() >= 13 && process.env.PIPHI_REVECTORIZE !== "0";
}

/** Turns revectorization off for what is compiled from now on; false if it is not on. */
export function retreat(): boolean {
  if (!revectorizes()) return false;
  retreated = true;
  v8.setFlagsFromString("--no-experimental-wasm-revectorize");
  return true;
}

function majorOfV8(): number {
  return Number.parseInt(process.versions.v8, 10);
}

export function setEngineFlags(): void {
  v8.setFlagsFromString("--no-liftoff");
  if (revectorizes()) v8.setFlagsFromString("--experimental-wasm-revectorize");
  const [major, minor] = process.versions.v8.split(".").map(Number);
  if (major * 100 + minor < 1104) v8.setFlagsFromString("--experimental-wasm-relaxed-simd");
}
