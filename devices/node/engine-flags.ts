/**
 * V8 options that the kernels want, to be set before WebAssembly is compiled.
 *
 * Node 20 (V8 11.3) has relaxed SIMD behind a flag, and its baseline compiler, Liftoff, gives wrong results for the
 * relaxed dot product. Without Liftoff every kernel is compiled once, at full speed, in all versions. What these
 * flags bring is used only after the self-test of runtime/compute/builds.ts, and on engines that nobody has tried yet only
 * after an answer in a process of its own (engine-trial.ts).
 */

import v8 from "node:v8";

/** Ways to run, the fastest first; the last takes the engine as it is. */
export type EngineMode = "fast" | "plain" | "untouched";
export const ENGINE_MODES: readonly EngineMode[] = ["fast", "plain", "untouched"];

let retreated = false;
let mode: EngineMode = "fast";

/** Not of V8: Bun and others have no such flags, whatever their versions say. */
export function isV8(): boolean {
  return process.versions.bun === undefined && process.versions.deno === undefined && majorOfV8() > 0;
}

/** V8 13 and newer fuse neighbouring 128-bit operations into 256 bits on x64; PIPHI_REVECTORIZE=0 turns that off. */
export function revectorizes(): boolean {
  const possible = isV8() && process.arch === "x64" && majorOfV8() >= 13;
  return possible && !retreated && mode === "fast" && setting("PIPHI_REVECTORIZE") !== "0";
}

/** "bun 1.3.0 (JavaScriptCore)", "node v24.1.0 (V8 13.6)": who runs this, whatever it pretends to be. */
export function engineName(): string {
  const { bun, deno, v8 } = process.versions;
  if (bun !== undefined) return `bun ${bun} (JavaScriptCore)`;
  return `${deno === undefined ? `node ${process.version}` : `deno ${deno}`} (V8 ${v8})`;
}

/** Turns revectorization off for what is compiled from now on; false if it is not on. */
export function retreat(): boolean {
  if (!revectorizes()) return false;
  retreated = true;
  v8.setFlagsFromString("--no-experimental-wasm-revectorize");
  return true;
}

function majorOfV8(): number {
  return Number.parseInt(process.versions.v8 ?? "0", 10);
}

/** A variable of the environment, where the host lets it be read: Deno asks for a permission. */
export function setting(name: string): string | undefined {
  try {
    return process.env[name];
  } catch {
    return undefined;
  }
}

/** The flags of a mode on this engine. */
export function engineFlags(wanted: EngineMode): string[] {
  if (!isV8() || wanted === "untouched") return [];
  const [major, minor] = process.versions.v8.split(".").map(Number);
  const flags = ["--no-liftoff"];
  // Its inliner of WebAssembly calls wants counts that only Liftoff takes; without deoptimization it does without.
  if (major >= 14) flags.push("--no-wasm-deopt");
  if (major * 100 + minor < 1104) flags.push("--experimental-wasm-relaxed-simd");
  if (wanted === "fast" && revectorizes()) flags.push("--experimental-wasm-revectorize");
  return flags;
}

export function setEngineFlags(wanted: EngineMode = mode): void {
  mode = wanted;
  for (const flag of engineFlags(wanted)) v8.setFlagsFromString(flag);
}
