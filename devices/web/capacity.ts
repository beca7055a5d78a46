/** What a browser offers to a model; a page and its workers see the same. */

import type { Device } from "../../runtime/device.ts";

/**
 * Browsers count hyper-threads and efficiency cores as cores. Four threads take the memory bandwidth that phones and
 * laptops have to give; more would wait for it, or on a slow core at each barrier, while the page wants to be drawn.
 */
const MOST_THREADS = 4;

export function capacity(): Pick<Device, "threads" | "sharedMemory" | "availableBytes"> {
  return {
    threads: Math.min(navigator.hardwareConcurrency || 1, MOST_THREADS),
    sharedMemory: sharesMemory(),
    availableBytes: deviceMemory,
  };
}

let shares: boolean | undefined;

/**
 * Whether threads can share a memory. Not every isolated page has what that takes: WebKit can say `crossOriginIsolated` and have no
 * SharedArrayBuffer, and a policy can refuse the memory itself.
 */
export function sharesMemory(): boolean {
  shares ??=
    globalThis.crossOriginIsolated === true && typeof SharedArrayBuffer !== "undefined" && grantsSharedMemory();
  return shares;
}

function grantsSharedMemory(): boolean {
  try {
    return new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer instanceof SharedArrayBuffer;
  } catch {
    return false;
  }
}

/** The machine's memory, rounded and capped by the browser; only Chromium tells it. */
function deviceMemory(): number | undefined {
  const { deviceMemory } = navigator as Navigator & { deviceMemory?: number };
  return deviceMemory === undefined ? undefined : deviceMemory * 2 ** 30;
}
