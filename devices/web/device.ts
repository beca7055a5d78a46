/** A browser as a Device, seen from a worker. */

import type { Device, KernelBuild, Thread } from "../../runtime/device.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { createWasiHost } from "../wasi/host.ts";

/** Each address in the form in which bundlers find the files that belong to a script. */
const KERNELS: Record<KernelBuild, URL> = {
  simd: new URL("../../kernels/simd.wasm", import.meta.url),
  relaxed: new URL("../../kernels/relaxed.wasm", import.meta.url),
};

/**
 * Browsers count hyper-threads and efficiency cores as cores. Four threads take the memory bandwidth that phones and
 * laptops have to give; more would wait for it, or on a slow core at each barrier, while the page wants to be drawn.
 */
const MOST_THREADS = 4;

/** @param team workers that are running already, for `startTeamWorker` to hand out */
export function webDevice(open: Device["open"], team: Thread[]): Device {
  return {
    name: navigator.userAgent,
    threads: Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS),
    sharedMemory: globalThis.crossOriginIsolated === true,
    availableBytes: deviceMemory,
    peakBytes: () => undefined,
    open,
    kernel,
    wasi: createWasiHost,
    startTeamWorker: () => team.pop()!,
  };
}

/** The machine's memory, rounded and capped by the browser; only Chromium tells it. */
function deviceMemory(): number | undefined {
  const { deviceMemory } = navigator as Navigator & { deviceMemory?: number };
  return deviceMemory === undefined ? undefined : deviceMemory * 2 ** 30;
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
