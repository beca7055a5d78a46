/** From what a caller asks for to what the planner needs: defaults, limits, and checks of the options themselves. */

import type { LoadOptions, Phi2Config } from "./api.ts";
import type { Device } from "./device.ts";
import { PiPhiError } from "./errors.ts";
import { refuseUnknownOptions } from "./known-options.ts";
import { cacheSize, positionBytes } from "./plan/cache-size.ts";
import type { PlanOptions } from "./plan/plan.ts";
import type { DensePrecision } from "./weights/tiles.ts";

/** Contexts to choose from where none is asked for. */
const CONTEXTS = [2048, 1024, 512];
/** A prompt's tokens computed together: weights are read once for all, activations stay within the caches. */
const BATCH_TOKENS = 64;
const MOST_THREADS = 64;
/** As many rows of logits as a pass has room for. */
const MOST_PARALLEL = 16;
/** Where the caller does not say: so many caches, if all of them take no more than this, and a sixteenth of the memory. */
const USUAL_PARALLEL = [4, 3, 2];
const USUAL_CACHE_BYTES = 64 << 20;
const USUAL_CACHE_SHARE = 1 / 16;
const USUAL_QUEUE = 64;

const UNITS: Record<string, number> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30 };

/** "1G", "512M", "1.5GiB" or a number of bytes; throws E_USAGE. */
export function parseBytes(value: number | string, option = "ram"): number {
  const match = /^\s*(\d+(?:\.\d+)?)\s*([kmg]?)(?:i?b)?\s*$/i.exec(String(value));
  const bytes = match ? Number(match[1]) * UNITS[match[2].toLowerCase()] : Number.NaN;
  if (bytes > 0) return Math.floor(bytes);
  throw new PiPhiError("E_USAGE", `${option} must be a size such as 1G, 512M or a number of bytes, not "${value}".`);
}

/** Which precision F32, F16 and BF16 weights get; throws E_USAGE. */
export function denseOf({ dense = "int8" }: LoadOptions): DensePrecision {
  oneOf("dense", dense, ["int8", "exact"]);
  return dense;
}

export type PlanningDevice = Pick<
  Device,
  "threads" | "sharedMemory" | "availableBytes" | "overheadBytes" | "openAhead" | "map" | "speed"
>;

/** Checks and completes load options; throws E_USAGE. */
export function planOptions(
  device: PlanningDevice,
  config: Phi2Config,
  packed: boolean,
  options: LoadOptions,
): PlanOptions {
  refuseUnknownOptions("load", options);
  const { kv = "int8", kernel, threads: asked = device.threads } = options;
  oneOf("kv", kv, ["int8", "f16"]);
  if (kernel !== undefined) oneOf("kernel", kernel, ["simd", "relaxed"]);
  wholeNumber("threads", asked, 1, MOST_THREADS);
  wholeNumber("parallel", options.parallel ?? 1, 1, MOST_PARALLEL);
  const threads = device.sharedMemory ? asked : 1;
  const { ramBytes, overheadBytes } = budgetOf(device, threads, options.ram);
  const contextLength = options.contextLength ?? defaultContext(config, kv, ramBytes, options.parallel ?? 1);
  const parallel = options.parallel ?? defaultParallel(config, kv, ramBytes, contextLength);
  const ahead = device.openAhead !== undefined;
  return {
    contextLength,
    shorterContexts: options.contextLength === undefined ? CONTEXTS.filter((one) => one < contextLength) : [],
    kv,
    threads,
    batchTokens: Math.max(parallel, Math.min(BATCH_TOKENS, Math.max(1, contextLength))),
    sequences: parallel,
    ramBytes,
    overheadBytes,
    ramAsked: options.ram !== undefined,
    readsAhead: device.sharedMemory,
    streamable: packed && ahead,
    packable: !packed && ahead,
  };
}

/** Bytes that the model's memory may take, of an explicit limit for the process or of what the device has free. */
function budgetOf(device: PlanningDevice, threads: number, ram?: number | string) {
  const { present, growth } = device.overheadBytes?.(threads) ?? { present: 0, growth: 0 };
  const overheadBytes = ram === undefined ? growth : present + growth;
  const limit = ram === undefined ? device.availableBytes() : parseBytes(ram);
  return { ramBytes: limit === undefined ? undefined : limit - overheadBytes, overheadBytes };
}

/** The longest of the usual contexts whose cache takes at most a quarter of the memory. */
function defaultContext(
  config: Phi2Config,
  kv: "int8" | "f16",
  ramBytes: number | undefined,
  parallel: number,
): number {
  const tokenBytes = config.layers * config.heads * positionBytes(config.headDim, kv);
  const room = (ramBytes ?? Number.POSITIVE_INFINITY) / 4;
  const fitting = CONTEXTS.find((tokens) => parallel * tokens * tokenBytes <= room) ?? CONTEXTS[CONTEXTS.length - 1];
  return Math.min(config.contextLength, fitting);
}

/** Requests that may wait; throws E_USAGE. */
export function queueLimit({ queue = USUAL_QUEUE }: Pick<LoadOptions, "queue">): number {
  wholeNumber("queue", queue, 0, Number.MAX_SAFE_INTEGER);
  return queue;
}

/** As many caches side by side as cost little memory. */
function defaultParallel(
  config: Phi2Config,
  kv: "int8" | "f16",
  ramBytes: number | undefined,
  contextLength: number,
): number {
  if (!(contextLength > 0)) return 1;
  const { sequenceBytes } = cacheSize(config, contextLength, kv);
  const room = Math.min(USUAL_CACHE_BYTES, (ramBytes ?? Number.POSITIVE_INFINITY) * USUAL_CACHE_SHARE);
  return USUAL_PARALLEL.find((count) => count * sequenceBytes <= room) ?? 1;
}

function wholeNumber(option: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  const range = most === Number.MAX_SAFE_INTEGER ? `of at least ${least}` : `from ${least} to ${most}`;
  throw new PiPhiError("E_USAGE", `${option} must be a whole number ${range}, not ${value}.`);
}

/** A caller's options; throws E_USAGE for what are none, and for listeners that cannot be called. */
export function givenOptions<T extends object>(options: T | undefined): T {
  if (options === undefined) return {} as T;
  if (typeof options !== "object" || options === null) {
    throw new PiPhiError("E_USAGE", `Give options as an object, or leave them out: they are ${describe(options)}.`);
  }
  const { signal, onProgress } = options as { signal?: unknown; onProgress?: unknown };
  if (signal !== undefined && typeof (signal as AbortSignal | null)?.addEventListener !== "function") {
    throw new PiPhiError(
      "E_USAGE",
      `signal must be an AbortSignal, not ${describe(signal)}. Pass the signal of an AbortController.`,
    );
  }
  if (onProgress !== undefined && typeof onProgress !== "function") {
    throw new PiPhiError(
      "E_USAGE",
      `onProgress must be a function, not ${describe(onProgress)}. Pass one, or leave it out.`,
    );
  }
  return options;
}

function describe(value: unknown): string {
  return value === null ? "null" : `of type ${typeof value}`;
}

/** Throws E_USAGE unless `value` is one of those. */
export function oneOf(option: string, value: string, allowed: readonly string[]): void {
  if (allowed.includes(value)) return;
  throw new PiPhiError("E_USAGE", `${option} must be ${allowed.join(" or ")}, not "${value}".`);
}
