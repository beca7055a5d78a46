/**
 * The kernels' WebAssembly ABI, and how a build of them is chosen: validated, proven against its scalar references
 * on this very engine, timed, and only then used. All pointers and sizes are bytes of linear memory.
 */

import type { KernelReport } from "../api.ts";
import type { Device, KernelBuild } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import type { TileKind } from "../weights/tiles.ts";

export const WASM_PAGE_BYTES = 65536;

export type Matmul = (
  w: number,
  a: number,
  tokens: number,
  k: number,
  fromGroup: number,
  toGroup: number,
  out: number,
  outStride: number,
  bias: number,
  accumulate: boolean,
  scratch: number,
) => void;

export type Quantize = (src: number, dst: number, k: number, fromBlock: number, toBlock: number) => void;

export type Attention = (
  qkv: number,
  qkvStride: number,
  tokens: number,
  positions: number,
  caches: number,
  layer: number,
  head: number,
  heads: number,
  headDim: number,
  rotary: number,
  table: number,
  context: number,
  out: number,
  outStride: number,
  scratch: number,
) => void;

/** The exports of a build. */
export interface Kernels {
  matmul_q4: Matmul;
  matmul_q4m: Matmul;
  matmul_q4_sdot: Matmul;
  matmul_q4m_sdot: Matmul;
  matmul_q8: Matmul;
  matmul_f32: Matmul;
  quantize_q4: Quantize;
  quantize_q8: Quantize;
  activation_bytes_q4(k: number): number;
  activation_bytes_q8(k: number): number;
  attention_int8: Attention;
  attention_f16: Attention;
  turn_keys(
    half: boolean,
    cache: number,
    context: number,
    headDim: number,
    rotary: number,
    rotation: number,
    scratch: number,
  ): void;
  layer_norm(x: number, weight: number, bias: number, y: number, k: number, epsilon: number): void;
  gelu(x: number, n: number): void;
  dequantize_row(type: number, src: number, k: number, dst: number): number;
  retile(type: number, kind: number, src: number, rows: number, k: number, dst: number, scratch: number): number;
  probe_read(from: number, bytes: number): number;
  team_take(control: number, count: number): number;
  team_barrier(control: number, threads: number, spins: number): number;
  team_await(control: number, done: number, spins: number): number;
  team_start(control: number): void;
}

/** The scalar references, for the self-test. */
export interface References {
  matmul_q4_reference(mins: boolean, ...rest: MatmulReferenceArguments): void;
  matmul_q8_reference(...rest: MatmulReferenceArguments): void;
  quantize_q4_reference: Quantize;
  quantize_q8_reference: Quantize;
}
type MatmulReferenceArguments = [number, number, number, number, number, number, number, number, number, boolean];

/** How q4 products are accumulated; both give the same bits. */
export type DotForm = "pairs" | "sdot";

/** What was chosen, in a form that can be posted to other threads. */
export interface KernelChoice {
  build: KernelBuild;
  form: DotForm;
  module: WebAssembly.Module;
  /** As reported to users: "simd", "relaxed-pairs" or "relaxed-sdot". */
  name: string;
}

const BUILDS: readonly KernelBuild[] = ["relaxed", "simd"];
const FORMS: Record<KernelBuild, readonly DotForm[]> = { relaxed: ["pairs", "sdot"], simd: ["pairs"] };

export function kernelName(build: KernelBuild, form: DotForm): string {
  return build === "simd" ? "simd" : `relaxed-${form}`;
}

export function matmulOf(kernels: Kernels, kind: TileKind, form: DotForm): Matmul {
  if (kind === "q8") return kernels.matmul_q8;
  if (kind === "f32") return kernels.matmul_f32;
  if (form === "sdot") return kind === "q4" ? kernels.matmul_q4_sdot : kernels.matmul_q4m_sdot;
  return kind === "q4" ? kernels.matmul_q4 : kernels.matmul_q4m;
}

/** A memory in its final size, a multiple of 64 KiB; throws E_MEMORY. */
export function allocateMemory(bytes: number, shared: boolean): WebAssembly.Memory {
  const pages = bytes / WASM_PAGE_BYTES;
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
  } catch {
    throw new PiPhiError(
      "E_MEMORY",
      `This machine refused ${Math.ceil(bytes / 1048576)} MiB of memory. Close other programs, raise the process's limit of address space if it has one (ulimit -v), or use a shorter context or a smaller quantization.`,
      { needBytes: bytes },
    );
  }
}

/** Instantiates a compiled build on `memory`. */
export function instantiateKernels(device: Device, module: WebAssembly.Module, memory: WebAssembly.Memory): Kernels {
  const host = device.wasi(memory);
  const instance = new WebAssembly.Instance(module, { ...host.imports, env: { memory } });
  host.start(instance);
  return instance.exports as unknown as Kernels;
}

/**
 * The bytes of a build for a memory that is not shared: the only difference is the flag in the memory import.
 * Import section (id 2): vector of {module, field, kind}; a memory's limits begin with 0x03 when shared.
 */
export function unsharedBuild(bytes: Uint8Array): Uint8Array {
  const copy = new Uint8Array(bytes);
  let p = 8;
  const leb = () => {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = copy[p++];
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const skipName = () => {
    const length = leb(); // first, since it moves p
    p += length;
  };
  while (p < copy.length) {
    const id = copy[p++];
    const size = leb();
    if (id !== 2) {
      p += size;
      continue;
    }
    for (let count = leb(); count > 0; count--) {
      skipName();
      skipName();
      const kind = copy[p++];
      if (kind === 2) {
        copy[p] &= ~2;
        return copy;
      }
      leb();
    }
  }
  throw new PiPhiError("E_ENGINE", "The kernels' file has no memory import. Reinstall PiPhi: its files are damaged.");
}

/** An empty custom section: the same code in other bytes, which no cache of compiled code knows. */
const CUSTOM_SECTION = [0, 2, 1, "x".charCodeAt(0)];

async function compile(device: Device, build: KernelBuild, again = false): Promise<WebAssembly.Module> {
  const file = await device.kernel(build);
  const bytes = again ? Uint8Array.from([...file, ...CUSTOM_SECTION]) : file;
  const form = device.sharedMemory ? bytes : unsharedBuild(bytes);
  if (!WebAssembly.validate(form as BufferSource)) {
    throw new PiPhiError("E_ENGINE", `This engine does not accept the ${build} kernels.`);
  }
  return WebAssembly.compile(form as BufferSource);
}

/** Tests and times every build and form. */
export async function examineKernels(device: Device): Promise<KernelReport[]> {
  const reports: KernelReport[] = [];
  for (const build of BUILDS) {
    for (const form of FORMS[build]) {
      const name = kernelName(build, form);
      try {
        const module = await compile(device, build);
        reports.push({ name, ok: true, gigabytesPerSecond: examine(device, module, [form])[0] });
      } catch (error) {
        reports.push({ name, ok: false, gigabytesPerSecond: 0, reason: PiPhiError.from(error).message });
      }
    }
  }
  return reports;
}

/** The fastest build that this engine accepts and that passes its self-test; `only` restricts the choice. */
export async function chooseKernels(device: Device, only?: KernelBuild): Promise<KernelChoice> {
  const reasons: string[] = [];
  for (const build of only ? [only] : BUILDS) {
    try {
      const { module, speeds } = await prove(device, build);
      const form = FORMS[build][speeds.indexOf(Math.max(...speeds))];
      return { build, form, module, name: kernelName(build, form) };
    } catch (error) {
      if (error instanceof PiPhiError && error.code === "E_MEMORY") throw error;
      reasons.push(`${build}: ${PiPhiError.from(error).message}`);
    }
  }
  throw new PiPhiError(
    "E_ENGINE",
    `WebAssembly SIMD does not work here (${reasons.join("; ")}). PiPhi needs Node 20, Chrome 91, Firefox 89 or Safari 16.4, or newer.`,
    { reasons },
  );
}

/** Compiles and examines a build; once more without the compiler's risks where the self-test fails with them. */
async function prove(device: Device, build: KernelBuild): Promise<{ module: WebAssembly.Module; speeds: number[] }> {
  const attempt = async (again: boolean) => {
    const module = await compile(device, build, again);
    return { module, speeds: examine(device, module, FORMS[build]) };
  };
  try {
    return await attempt(false);
  } catch (error) {
    if (!device.retreat?.()) throw error;
    return attempt(true);
  }
}

const K = 256;
const GROUPS = 4;
const TOKENS = 7; // passes of four tokens, two and one
/** Width of the timed matrix: Phi-2's own, since short rows would time what happens between them. */
const TIMED_K = 2560;

const SELF_TEST_BYTES = 16 * WASM_PAGE_BYTES;
/** Where the self-test's pieces lie; the memory is its own and small. */
const AT = {
  x: 0x10000,
  a: 0x20000,
  aReference: 0x30000,
  w: 0x40000,
  bias: 0x60000,
  out: 0x70000,
  reference: 0x80000,
  scratch: 0x90000,
};

/** Proves a build on small data (throws E_ENGINE) and returns GB/s for each form. */
function examine(device: Device, module: WebAssembly.Module, forms: readonly DotForm[]): number[] {
  const memory = allocateMemory(SELF_TEST_BYTES, device.sharedMemory);
  const kernels = instantiateKernels(device, module, memory) as Kernels & References;
  const bytes = new Uint8Array(memory.buffer);
  const floats = new Float32Array(memory.buffer);
  let state = 12345;
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  for (let i = 0; i < TIMED_K; i++) floats[AT.x / 4 + i] = random() * 8 - 4;
  for (let i = 0; i < GROUPS * 16; i++) floats[AT.bias / 4 + i] = random() - 0.5;
  for (let i = AT.w; i < AT.bias; i++) bytes[i] = random() * 256;
  const half = new DataView(memory.buffer);
  const scales = (tileBytes: number, from: number) => {
    for (let tile = AT.w; tile + tileBytes <= AT.bias; tile += tileBytes) {
      for (let i = from; i < tileBytes; i += 2) half.setUint16(tile + i, 0x2400 + Math.floor(random() * 512), true);
    }
  };
  const same = (from: number, other: number, length: number, what: string) => {
    for (let i = 0; i < length; i++) {
      if (bytes[from + i] !== bytes[other + i]) {
        throw new PiPhiError("E_ENGINE", `The ${what} kernel differs from its scalar reference on this engine.`, {
          at: i,
        });
      }
    }
  };
  const quantized = (quantize: Quantize, reference: Quantize, rowBytes: number, what: string) => {
    for (let t = 0; t < TOKENS; t++) {
      quantize(AT.x + t * K * 4, AT.a + t * rowBytes, K, 0, K / 32);
      reference(AT.x + t * K * 4, AT.aReference + t * rowBytes, K, 0, K / 32);
    }
    same(AT.a, AT.aReference, rowBytes * TOKENS, what);
  };
  const outBytes = GROUPS * 64;
  const check = (matmul: Matmul, reference: (...rest: MatmulReferenceArguments) => void, what: string) => {
    for (const tokens of [TOKENS, 1]) {
      matmul(AT.w, AT.a, tokens, K, 0, GROUPS, AT.out, outBytes, AT.bias, false, AT.scratch);
      reference(AT.w, AT.a, tokens, K, 0, GROUPS, AT.reference, outBytes, AT.bias, false);
      same(AT.out, AT.reference, outBytes * tokens, what);
    }
  };
  quantized(kernels.quantize_q8, kernels.quantize_q8_reference, kernels.activation_bytes_q8(K), "16-bit quantizer");
  scales(544, 512);
  check(kernels.matmul_q8, kernels.matmul_q8_reference, "int8 matmul");
  quantized(kernels.quantize_q4, kernels.quantize_q4_reference, kernels.activation_bytes_q4(K), "8-bit quantizer");
  scales(320, 256);
  for (const form of forms) {
    check(
      matmulOf(kernels, "q4m", form),
      (...rest) => kernels.matmul_q4_reference(true, ...rest),
      `int4+min ${form} matmul`,
    );
  }
  scales(288, 256);
  for (const form of forms) {
    check(
      matmulOf(kernels, "q4", form),
      (...rest) => kernels.matmul_q4_reference(false, ...rest),
      `int4 ${form} matmul`,
    );
  }
  kernels.quantize_q4(AT.x, AT.a, TIMED_K, 0, TIMED_K / 32);
  return forms.map((form) => speedOf(matmulOf(kernels, "q4", form)));
}

/** GB/s of one token through int4 tiles that lie in cache: the best of four runs long enough for a page's coarse clock. */
function speedOf(matmul: Matmul): number {
  const groupBytes = (TIMED_K / 32) * 288;
  const groups = Math.floor((AT.bias - AT.w) / groupBytes);
  let best = 0;
  for (let run = 0; run < 4; run++) {
    let bytes = 0;
    let ms = 0;
    for (const start = performance.now(); ms < 1; ms = performance.now() - start) {
      for (let i = 0; i < 8; i++) matmul(AT.w, AT.a, 1, TIMED_K, 0, groups, AT.out, 0, AT.bias, false, AT.scratch);
      bytes += groups * groupBytes * 8;
    }
    best = Math.max(best, bytes / ms / 1e6);
  }
  return best;
}
