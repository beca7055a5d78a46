/** The kernels' WebAssembly ABI. All pointers and sizes are bytes of linear memory. */

import type { KernelBuild } from "../device.ts";
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
export type MatmulReferenceArguments = [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  boolean,
];

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

export function matmulOf(kernels: Kernels, kind: TileKind, form: DotForm): Matmul {
  if (kind === "q8") return kernels.matmul_q8;
  if (kind === "f32") return kernels.matmul_f32;
  if (form === "sdot") return kind === "q4" ? kernels.matmul_q4_sdot : kernels.matmul_q4m_sdot;
  return kind === "q4" ? kernels.matmul_q4 : kernels.matmul_q4m;
}
