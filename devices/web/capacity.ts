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
    availableBytes: pageMemory,
  };
}

/** WebKit can call a page isolated and have no SharedArrayBuffer, or refuse to share WebAssembly's memory. */
export function sharesMemory(): boolean {
  if (globalThis.crossOriginIsolated !== true || typeof SharedArrayBuffer !== "function") return false;
  try {
    return new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer instanceof SharedArrayBuffer;
  } catch {
    return false;
  }
}

/** A page that takes more of the machine's memory is ended on phones, before it is refused any. */
const PAGE_SHARE = 0.5;

/** What a page may take of the machine's memory, which the browser rounds and caps at 8 GiB; only Chromium tells it. */
function pageMemory(): number | undefined {
  const { deviceMemory } = navigator as Navigator & { deviceMemory?: number };
  return deviceMemory === undefined ? undefined : deviceMemory * PAGE_SHARE * 2 ** 30;
}
