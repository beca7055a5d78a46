/**
 * The WASI host of the kernels, a reactor that needs two calls of wasi_snapshot_preview1: fd_write and proc_exit,
 * both only from a failed assertion, whose text they carry out.
 *
 * `node:wasi` writes straight to the process's stderr, so that the text could not become an error, and exists in
 * Node only; `@bjorn3/browser_wasi_shim` brings a file system of 30 KB to every phone for these two functions.
 */

import type { WasiHost } from "../../runtime/device.ts";
import { PiPhiError } from "../../runtime/errors.ts";

const ERRNO_SUCCESS = 0;
const ERRNO_BADF = 8;
const STDERR = 2;

/** An abort in the kernels throws PiPhiError E_KERNEL with the abort's message, through the kernel that failed. */
export function createWasiHost(memory: WebAssembly.Memory): WasiHost {
  let said = "";

  /** iovs: count pairs of (address, length), u32 each. */
  const fd_write = (fd: number, iovs: number, count: number, written: number): number => {
    if (fd !== STDERR) return ERRNO_BADF;
    const view = new DataView(memory.buffer);
    let total = 0;
    for (let i = 0; i < count; i++) {
      const address = view.getUint32(iovs + 8 * i, true);
      const length = view.getUint32(iovs + 8 * i + 4, true);
      // A copy, since TextDecoder refuses views on shared memory.
      said += new TextDecoder().decode(new Uint8Array(memory.buffer, address, length).slice());
      total += length;
    }
    view.setUint32(written, total, true);
    return ERRNO_SUCCESS;
  };

  const proc_exit = (code: number): never => {
    const message = said.trim();
    said = "";
    throw new PiPhiError("E_KERNEL", `A kernel stopped: ${message || `exit ${code}`}. Please report this as a bug.`, {
      code,
      message,
    });
  };

  return {
    imports: { wasi_snapshot_preview1: { fd_write, proc_exit } },
    start(instance) {
      const { _initialize } = instance.exports;
      if (typeof _initialize === "function") _initialize();
    },
  };
}
