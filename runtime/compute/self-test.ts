/** Whether a build of the kernels gives what its scalar references give on this engine, and how fast it is. */

import type { Device } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import { allocateMemory, instantiateKernels } from "./instance.ts";
import {
  type DotForm,
  type Kernels,
  type Matmul,
  type MatmulReferenceArguments,
  matmulOf,
  type Quantize,
  type References,
  WASM_PAGE_BYTES,
} from "./kernels.ts";

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
export function examine(device: Device, module: WebAssembly.Module, forms: readonly DotForm[]): number[] {
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
        throw new PiPhiError("E_ENGINE", `The ${what} kernel gives wrong results on this engine.`, {
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
