/** A memory, and a build's kernels on it. */

import { instantiateSync } from "@assemblyscript/loader";
import type { Device } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import { type Kernels, WASM_PAGE_BYTES } from "./kernels.ts";

/** A memory in its final size, a multiple of 64 KiB; throws E_MEMORY. */
export function allocateMemory(bytes: number, shared: boolean): WebAssembly.Memory {
  const pages = bytes / WASM_PAGE_BYTES;
  try {
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared });
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new PiPhiError(
      "E_MEMORY",
      `This machine refused ${Math.ceil(bytes / 1048576)} MiB of memory. Close other programs, or use a shorter context or a smaller quantization.`,
      { needBytes: bytes, refusedBytes: bytes },
    );
  }
}

/**
 * Instantiates a compiled build on `memory`. The loader's own exports pass each call through a function that collects and
 * spreads its arguments: 20 ns, and the call alone takes as long (Node 20). Those of the instance are the same functions, bare.
 */
export function instantiateKernels(device: Device, module: WebAssembly.Module, memory: WebAssembly.Memory): Kernels {
  const host = device.wasi(memory);
  const { instance } = instantiateSync(module, { ...host.imports, env: { memory } });
  host.start(instance);
  return instance.exports as unknown as Kernels;
}
