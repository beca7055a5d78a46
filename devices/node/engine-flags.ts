/**
 * V8 options that the kernels want, to be set before WebAssembly is compiled.
 *
 * Node 20 (V8 11.3) has relaxed SIMD behind a flag, and its baseline compiler, Liftoff, gives wrong results for the
 * relaxed dot product. Without Liftoff every kernel is compiled once, at full speed, in all versions. What these
 * flags bring is used only after the self-test of runtime/compute/self-test.ts, and under Node after a trial (trial.ts).
 */

import v8 from "node:v8";
import { environment } from "./host.ts";

/** "fast": all that speed asks for; "safe": only what the engine's makers ship. */
export type FlagSet = "fast" | "safe";

let chosen: FlagSet = "fast";
let retreated = false;

/** V8 13 and newer fuse neighbouring 128-bit operations into 256 bits on x64; PIPHI_REVECTORIZE=0 turns that off. */
export function revectorizes(): boolean {
  return canRevectorize() && chosen === "fast";
}

/** Whether the fast set may, whichever is chosen. */
function canRevectorize(): boolean {
  const supported = process.arch === "x64" && !("bun" in process.versions) && majorOfV8() >= 13;
  return supported && !retreated && environment("PIPHI_REVECTORIZE") !== "0";
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

/** The options of a set for this engine, as V8 takes them. Bun has another engine, and needs none. */
export function engineFlags(set: FlagSet): string[] {
  if (set === "safe" || "bun" in process.versions) return [];
  const [major, minor] = process.versions.v8.split(".").map(Number);
  return [
    "--no-liftoff",
    ...(canRevectorize() ? ["--experimental-wasm-revectorize"] : []),
    ...(major * 100 + minor < 1104 ? ["--experimental-wasm-relaxed-simd"] : []),
    // V8 14 inlines by feedback that only Liftoff collects, and aborts the process where there is none. Without inlining
    // at all, prefill is a sixth slower; without deoptimization, as fast as with Liftoff.
    ...(major >= 14 ? ["--no-wasm-deopt"] : []),
  ];
}

/** Sets the options of a set, for all threads of the process. */
export function setEngineFlags(set: FlagSet = "fast"): void {
  chosen = set;
  for (const flag of engineFlags(set)) v8.setFlagsFromString(flag);
}
