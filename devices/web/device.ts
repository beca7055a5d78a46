/** A browser as a Device, seen from a worker. */

import type { Device, KernelBuild, Thread } from "../../runtime/device.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { createWasiHost } from "../wasi/host.ts";
import { capacity } from "./capacity.ts";

/** Each address in the form in which bundlers find the files that belong to a script. */
const KERNELS: Record<KernelBuild, URL> = {
  simd: new URL("../../kernels/simd.wasm", import.meta.url),
  relaxed: new URL("../../kernels/relaxed.wasm", import.meta.url),
};

/** Where the kernels are, when they do not lie beside the worker. */
export type KernelAddresses = Partial<Record<KernelBuild, string>>;

/** @param team workers that are running already, for `startWorker` to hand out */
export function webDevice(open: Device["open"], team: Thread[], kernels: KernelAddresses = {}): Device {
  return {
    name: navigator.userAgent,
    ...capacity(),
    peakBytes: () => undefined,
    open,
    kernel: (build) => readKernel(kernels[build] ?? KERNELS[build]),
    wasi: createWasiHost,
    startWorker: () => team.pop()!,
  };
}

async function readKernel(url: URL | string): Promise<Uint8Array> {
  const response = await fetch(url);
  if (response.ok) return new Uint8Array(await response.arrayBuffer());
  const message = `${url} is missing (HTTP ${response.status}). Serve all of PiPhi's dist folder, or say where the kernels are (assets.kernels).`;
  throw new PiPhiError("E_ENGINE", message, { url: String(url), status: response.status });
}
