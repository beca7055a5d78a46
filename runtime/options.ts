/** From what a caller asks for to what the planner needs: defaults, limits, and checks of the options themselves. */

import type { LoadOptions } from "./api.ts";
import type { Device } from "./device.ts";
import { PiPhiError } from "./errors.ts";
import type { PlanOptions } from "./memory/plan.ts";
import type { Manifest } from "./weights/manifest.ts";

const MOST_CONTEXT = 2048;
/** A prompt's tokens computed together: weights are read once for all, activations stay within the caches. */
const BATCH_TOKENS = 64;
const MOST_THREADS = 64;

const UNITS: Record<string, number> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** "1G", "512M", "1.5GiB" or a number of bytes; throws E_USAGE. */
export function parseBytes(value: number | string, option = "ram"): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b)?\s*$/i.exec(String(value));
  const bytes = match ? Number(match[1]) * UNITS[match[2].toLowerCase()] : Number.NaN;
  if (bytes > 0) return Math.floor(bytes);
  throw new PiPhiError("E_USAGE", `${option} must be a size such as 1G, 512M or a number of bytes, not "${value}".`);
}

/** Checks and completes load options; throws E_USAGE. */
export function planOptions(
  device: Pick<Device, "threads" | "sharedMemory" | "availableBytes">,
  manifest: Pick<Manifest, "config">,
  options: LoadOptions,
): PlanOptions {
  const { kv = "int8", dense = "int8", kernel, threads = device.threads } = options;
  oneOf("kv", kv, ["int8", "f16"]);
  oneOf("dense", dense, ["int8", "exact"]);
  if (kernel !== undefined) oneOf("kernel", kernel, ["simd", "relaxed"]);
  if (!Number.isInteger(threads) || threads < 1 || threads > MOST_THREADS) {
    throw new PiPhiError("E_USAGE", `threads must be a whole number from 1 to ${MOST_THREADS}, not ${threads}.`);
  }
  const contextLength = options.contextLength ?? Math.min(manifest.config.contextLength, MOST_CONTEXT);
  const ramBytes = options.ram === undefined ? device.availableBytes() : parseBytes(options.ram);
  return {
    contextLength,
    kv,
    dense,
    threads: device.sharedMemory ? threads : 1,
    batchTokens: Math.min(BATCH_TOKENS, Math.max(1, contextLength)),
    sequences: 1,
    ramBytes,
  };
}

function oneOf(option: string, value: string, allowed: readonly string[]): void {
  if (allowed.includes(value)) return;
  throw new PiPhiError("E_USAGE", `${option} must be ${allowed.join(" or ")}, not "${value}".`);
}
