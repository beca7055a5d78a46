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

/** @param team workers that are running already, for `startWorker` to hand out */
export function webDevice(open: Device["open"], team: Thread[]): Device {
  return {
    name: navigator.userAgent,
    ...capacity(),
    peakBytes: () => undefined,
    open,
    kernel,
    wasi: createWasiHost,
    startWorker: () => team.pop()!,
  };
}

async function kernel(build: KernelBuild): Promise<Uint8Array> {
  const url = KERNELS[build];
  const response = await fetch(url);
  if (response.ok) return new Uint8Array(await response.arrayBuffer());
  throw new PiPhiError("E_ENGINE", `${url} is missing (HTTP ${response.status}). Serve all of PiPhi's dist folder.`, {
    url: url.href,
    status: response.status,
  });
}
