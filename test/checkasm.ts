/**
 * The harness for kernels, after dav1d's checkasm: a kernel and its scalar reference run on the same memory with
 * ordinary and adversarial data, and everything the kernel may not do is looked for.
 *
 * - Buffers are laid out downwards from the end of the memory: one of them ends where the memory ends, so that reading
 *   or writing past it traps; 64 bytes of 0xff (NaN, -1) lie between the others.
 * - After each call every byte outside the stated outputs must be what it was: inputs, guards and everything else.
 * - The subject and the reference may be instances of different modules on one memory, so that a broken kernel cannot
 *   break its own specification (test/kernels/broken.ts).
 * - Data come from a seed (CHECKASM_SEED, else a fixed one, then a fresh one), which every difference names.
 */

import { existsSync, readFileSync } from "node:fs";
import { setEngineFlags } from "../devices/node/engine-flags.ts";
import { createWasiHost } from "../devices/wasi/host.ts";
import { kernelName } from "../runtime/compute/builds.ts";
import { instantiateKernels } from "../runtime/compute/instance.ts";
import type { Attention, DotForm, Kernels, References } from "../runtime/compute/kernels.ts";
import type { Device, KernelBuild } from "../runtime/device.ts";
import { random } from "./kernels/blocks.ts";

// Before the first module is compiled: Node 20 has relaxed SIMD behind a flag, and a baseline compiler that breaks it.
setEngineFlags();

/** A build's exports, with what only tests call. */
export interface TestedKernels extends Kernels, References {
  matmul_f32_reference: References["matmul_q8_reference"];
  layer_norm_reference: Kernels["layer_norm"];
  gelu_reference: Kernels["gelu"];
  hadamard16(x: number, n: number): void;
  hadamard16_reference(x: number, n: number, y: number): void;
  turn_keys_reference: Kernels["turn_keys"];
  attention_reference(half: boolean, ...rest: Parameters<Attention>): void;
  attention_scratch_bytes(tokens: number, headDim: number): number;
  attention_cache_bytes(half: boolean, context: number, headDim: number): number;
}

/** One way to run the kernels, with the intact references beside it. */
export interface Subject {
  name: string;
  form: DotForm;
  kernels: TestedKernels;
  reference: TestedKernels;
  arena: Arena;
}

export type Build = KernelBuild | "debug";

const PAGES = 96;
export const MEMORY_BYTES = PAGES * 65536;
const GUARD_BYTES = 64;
const GUARD = 0xff;

/** Bytes that a call may write. */
export interface Extent {
  at: number;
  bytes: number;
}

export type Placeable = Uint8Array | Float32Array | Int32Array | number;

const bytesOf = (data: Uint8Array | Float32Array | Int32Array): Uint8Array =>
  new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

/** The end of a memory, used as a stack of guarded buffers. */
export class Arena {
  private readonly bytes: Uint8Array;
  private low: number;

  constructor(readonly memory: WebAssembly.Memory) {
    this.bytes = new Uint8Array(memory.buffer);
    this.low = this.bytes.length;
  }

  /**
   * Lays out a case's buffers: data, or a number of bytes to leave at 0xff. The buffer with index `last` (modulo their
   * number) ends at the end of the memory. Returns their addresses; what was laid out before is gone.
   */
  lay<Name extends string>(buffers: Record<Name, Placeable>, last: number): Record<Name, number> {
    this.low = this.bytes.length;
    const names = Object.keys(buffers) as Name[];
    const final = last % names.length;
    const order = [names[final], ...names.filter((_, i) => i !== final)];
    const at = {} as Record<Name, number>;
    for (const [i, name] of order.entries()) {
      const data: Placeable = buffers[name];
      const length = typeof data === "number" ? data : data.byteLength;
      const start = i === 0 ? this.low - length : (this.low - GUARD_BYTES - length) & ~15;
      if (start < GUARD_BYTES) throw new RangeError(`the case needs more than ${MEMORY_BYTES} bytes`);
      this.bytes.fill(GUARD, start - GUARD_BYTES, this.low);
      if (typeof data !== "number") this.bytes.set(bytesOf(data), start);
      this.low = start;
      at[name] = start;
    }
    this.low -= GUARD_BYTES;
    return at;
  }

  /** Runs `call` and returns what it left in each extent; puts the memory back. Throws if it wrote anything else. */
  run(outputs: readonly Extent[], call: () => void): Uint8Array[] {
    const before = this.bytes.slice(this.low);
    call();
    const results = outputs.map(({ at, bytes }) => this.bytes.slice(at, at + bytes));
    for (const { at, bytes } of outputs) this.bytes.set(before.subarray(at - this.low, at - this.low + bytes), at);
    const after = this.bytes.subarray(this.low);
    if (Buffer.compare(before, Buffer.from(after.buffer, after.byteOffset, after.length)) !== 0) {
      const i = before.findIndex((byte, index) => byte !== after[index]);
      this.bytes.set(before, this.low);
      throw new Error(`wrote outside of its outputs, at ${this.bytes.length - this.low - i} bytes before the end`);
    }
    return results;
  }
}

const modules = new Map<Build, WebAssembly.Module>();

const fileOf = (build: Build): URL => new URL(`../dist/kernels/${build}.wasm`, import.meta.url);
/** Not a Buffer: its `slice` would not copy. */
export const bytesOfBuild = (build: Build): Uint8Array => new Uint8Array(readFileSync(fileOf(build)));

function moduleOf(build: Build): WebAssembly.Module {
  const module = modules.get(build) ?? new WebAssembly.Module(bytesOfBuild(build) as BufferSource);
  modules.set(build, module);
  return module;
}

/** What `instantiateKernels` needs of a device. */
const host = { wasi: createWasiHost } as unknown as Device;

/** One build in one form; `broken` is another module to run instead of the build's own, still against its references. */
export function subjectOf(build: Build, form: DotForm, memory?: WebAssembly.Memory, broken?: BufferSource): Subject {
  const own = memory ?? new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
  const instance = (module: WebAssembly.Module) => instantiateKernels(host, module, own) as TestedKernels;
  const reference = instance(moduleOf(build));
  const kernels = broken ? instance(new WebAssembly.Module(broken)) : reference;
  const name = build === "debug" ? build : kernelName(build, form);
  return { name, form, kernels, reference, arena: new Arena(own) };
}

/** Both builds in all their forms, and the debug build where it was made. */
export function subjects(): Subject[] {
  const all = [subjectOf("simd", "pairs"), subjectOf("relaxed", "pairs"), subjectOf("relaxed", "sdot")];
  return existsSync(fileOf("debug")) ? [...all, subjectOf("debug", "pairs")] : all;
}

const FIXED_SEED = 20231;

/** The seeds of a run: CHECKASM_SEED alone, or a fixed and a fresh one. */
export const SEEDS: readonly number[] = process.env.CHECKASM_SEED
  ? [Number(process.env.CHECKASM_SEED)]
  : [FIXED_SEED, 1 + (Date.now() % 1_000_000_007)];

/** Checks every case; a difference (or trap) names the subject, the case and the seed. */
export function checkAll<Case extends object>(
  subject: Subject,
  seed: number,
  cases: readonly Case[],
  check: (subject: Subject, kase: Case, next: () => number) => void,
): void {
  for (const [i, kase] of cases.entries()) {
    const next = random(seed * 31 + i * 2654435);
    for (let warmUp = 0; warmUp < 8; warmUp++) next();
    try {
      check(subject, kase, next);
    } catch (error) {
      const what = error instanceof Error ? error.message : String(error);
      throw new Error(`${subject.name}: ${what} (CHECKASM_SEED=${seed}, case ${i} ${JSON.stringify(kase)})`, {
        cause: error,
      });
    }
  }
}

/** Bit for bit the same bytes. */
export function expectSame(actual: readonly Uint8Array[], expected: readonly Uint8Array[], what: string): void {
  for (const [i, bytes] of expected.entries()) {
    if (Buffer.compare(actual[i], bytes) === 0) continue;
    const at = bytes.findIndex((byte, index) => byte !== actual[i][index]);
    throw new Error(`${what} ${i} differs from byte ${at} on: ${actual[i][at]} instead of ${bytes[at]}`);
  }
}

/** Bit for bit the same f32, except that WebAssembly leaves a NaN's sign and payload open. */
export function expectSameFloats(actual: readonly Uint8Array[], expected: readonly Uint8Array[], what: string): void {
  for (const [i, bytes] of expected.entries()) {
    if (Buffer.compare(actual[i], bytes) === 0) continue;
    const [a, e] = [floatsOf(actual[i]), floatsOf(bytes)];
    const at = e.findIndex((x, index) => !Object.is(x, a[index]));
    if (at >= 0) throw new Error(`${what} ${i} differs at number ${at}: ${a[at]} instead of ${e[at]}`);
  }
}

/** |actual - expected| within `bound(i)`. NaN is never within, and neither is what a NaN bound allows. */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  bound: (i: number) => number,
  what: string,
): void {
  for (let i = 0; i < expected.length; i++) {
    if (Math.abs(actual[i] - expected[i]) <= bound(i) || actual[i] === expected[i]) continue;
    throw new Error(`${what} ${i} is ${actual[i]} instead of ${expected[i]} (tolerance ${bound(i)})`);
  }
}

export const floatsOf = (bytes: Uint8Array): Float32Array => new Float32Array(bytes.slice().buffer);

/** Unit roundoff of f32. */
export const ROUNDOFF = 2 ** -24;

/** How a block of 32 numbers is filled: one entry for each corner that arithmetic of this kind has. */
export const FLOAT_FILLS = {
  random: (next) => next() * 2 - 1,
  spread: (next) => (next() < 0.5 ? -1 : 1) * 10 ** (next() * 6 - 4),
  zeros: () => 0,
  largest: () => 3,
  smallest: () => -3,
  alternating: (_, i) => (i % 2 === 0 ? 3 : -3),
  lanes: (_, i) => ((i * 7) % 32) / 8 - 2,
  oneHot: (_, i) => (i % 32 === ((i >> 5) * 5) % 32 ? 2.5 : 0),
  subnormal: (next) => (next() - 0.5) * 1e-39,
  small: (next) => (next() - 0.5) * 2e-5,
  // Around 1e-30, below which the quantizers take blocks for zero.
  tiny: (next, i) => ((next() - 0.5) * 4e-30) / 2 ** ((i >> 5) % 3),
  huge: (next, i) => (i % 32 === 3 ? 60_000 : next() * 100 - 50),
} satisfies Record<string, (next: () => number, i: number) => number>;
export type FloatFill = keyof typeof FLOAT_FILLS;
export const FLOAT_FILL_NAMES = Object.keys(FLOAT_FILLS) as FloatFill[];

export function floats(count: number, fill: FloatFill, next: () => number): Float32Array {
  const one: (next: () => number, i: number) => number = FLOAT_FILLS[fill];
  return Float32Array.from({ length: count }, (_, i) => one(next, i));
}
