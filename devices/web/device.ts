/** A browser as a Device, seen from a worker. */

import type { AheadSource, Device, KernelBuild } from "../../runtime/device.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { createWasiHost } from "../wasi/host.ts";
import { capacity } from "./capacity.ts";
import type { Role } from "./thread.ts";

/** Each address in the form in which bundlers find the files that belong to a script. */
const KERNELS: Record<KernelBuild, () => URL> = {
  simd: () => new URL("../../kernels/simd.wasm", import.meta.url),
  relaxed: () => new URL("../../kernels/relaxed.wasm", import.meta.url),
};

/** What a worker has of its model's files. */
export interface WebFiles extends Pick<Device, "open"> {
  areStored?: boolean;
  openAhead?(name: string): AheadSource;
}

/**
 * @param files where the device's files are opened
 * @param startWorker hands out a worker in a role
 * @param role what the page told the worker: whether it can share memory, and where PiPhi's files lie
 */
export function webDevice(
  files: WebFiles,
  startWorker: Device["startWorker"],
  { shared, assets }: Pick<Role, "shared" | "assets">,
  startShard?: Device["startShard"],
): Device {
  const own = capacity();
  return {
    name: navigator.userAgent,
    ...own,
    sharedMemory: shared && own.sharedMemory,
    triesMemory: true,
    peakBytes: () => undefined,
    open: (name) => files.open(name),
    kernel: (build) => fetchKernel(build, assets),
    wasi: createWasiHost,
    get openAhead() {
      return files.areStored ? (name: string) => files.openAhead!(name) : undefined;
    },
    startWorker,
    startShard,
    warn: (text) => console.warn(`PiPhi: ${text}`),
  };
}

async function fetchKernel(build: KernelBuild, assets?: string): Promise<Uint8Array> {
  const url = assets === undefined ? KERNELS[build]() : new URL(`kernels/${build}.wasm`, assets);
  const response = await fetch(url);
  if (response.ok) return new Uint8Array(await response.arrayBuffer());
  throw new PiPhiError(
    "E_ENGINE",
    `${url} is missing (HTTP ${response.status}). Serve all of PiPhi's dist folder, and pass its address as "assets" where it lies elsewhere.`,
    { url: url.href, status: response.status },
  );
}
