/** A fresh instance of a built kernel module with a memory of its own. */

import { existsSync, readFileSync } from "node:fs";
import { setEngineFlags } from "../../devices/node/engine-flags.ts";
import type { KernelBuild } from "../../runtime/device.ts";

export interface Kernels {
  memory: WebAssembly.Memory;
  exports: Record<string, (...args: number[]) => number>;
}

const PAGE = 65536;
const file = (build: KernelBuild): URL => new URL(`../../dist/kernels/${build}.wasm`, import.meta.url);

/** Whether the build exists; `npm run build` makes both. */
export const isBuilt = (build: KernelBuild): boolean => existsSync(file(build));

setEngineFlags();

/** Instantiates a build on a shared memory of `pages` x 64 KiB; a failed assertion throws. */
export async function instantiate(build: KernelBuild, pages: number): Promise<Kernels> {
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const wasi = {
    fd_write: (_fd: number, _vectors: number, _count: number, written: number): number => {
      if (written + 4 <= pages * PAGE) new DataView(memory.buffer).setUint32(written, 0, true);
      return 0;
    },
    proc_exit: (code: number): never => {
      throw new Error(`the kernel aborted with exit code ${code}`);
    },
  };
  const imports = { env: { memory }, wasi_snapshot_preview1: wasi };
  const { instance } = await WebAssembly.instantiate(readFileSync(file(build)), imports);
  const exports = instance.exports as Kernels["exports"];
  exports._initialize?.();
  return { memory, exports };
}
