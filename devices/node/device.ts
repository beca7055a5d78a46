/** Node on Linux, macOS and Windows as a Device. */

import fs from "node:fs";
import { readFile } from "node:fs/promises";
import { Worker, type WorkerOptions } from "node:worker_threads";
import type { Device, MappedFile, Thread } from "../../runtime/device.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { createWasiHost } from "../wasi/host.ts";
import { openAhead } from "./direct.ts";
import { retreat } from "./engine-flags.ts";
import { openFile } from "./files.ts";
import { hostName } from "./host.ts";
import { keptFiles } from "./kept.ts";
import { thisMachine } from "./machine.ts";
import { adviseHugePages, mapFile, releasePages } from "./mapping.ts";
import { availableMemory } from "./memory.ts";
import { distPath } from "./paths.ts";
import { pressureGauge } from "./pressure.ts";
import { PROMOTION_BYTES, type PromotionTask, promoted } from "./promotion.ts";
import { PRIVATE_MODE, removeLeftovers, writeAtomically } from "./writing.ts";

export function nodeDevice(): Device {
  let gauge: ReturnType<typeof pressureGauge> | undefined;
  return {
    name: `${hostName()} ${process.platform} ${process.arch}`,
    // Looked at where it is asked for: most threads do not.
    get threads() {
      return thisMachine().threads;
    },
    get speed() {
      return thisMachine().speed;
    },
    sharedMemory: true,
    availableBytes: availableMemory,
    peakBytes: peakMemory,
    overheadBytes: (threads) => ({ present: process.memoryUsage.rss(), growth: engineBytes(threads) }),
    open: openFile,
    create(path, write) {
      removeLeftovers(path);
      return writeAtomically(path, write, PRIVATE_MODE);
    },
    kept: keptFiles(),
    openAhead,
    map: mapWeights,
    hugePages: adviseHugePages,
    releasePages,
    pressure: () => (gauge ??= pressureGauge())(),
    kernel: (build) => readFile(distPath(`kernels/${build}.wasm`)),
    retreat,
    wasi: createWasiHost,
    startWorker: startThread,
    warn: (text) => process.emitWarning(text, "PiPhi"),
  };
}

/** Maps a file; where `hugePages` says so, its bytes move into huge pages while they are used. */
function mapWeights(
  memory: WebAssembly.Memory,
  address: number,
  path: string,
  offset: number,
  bytes: number,
  hugePages: boolean,
): MappedFile | string {
  const mapped = mapFile(memory, address, path, offset, bytes);
  if (typeof mapped === "string" || !hugePages || process.platform !== "linux") return mapped;
  const words = new SharedArrayBuffer(PROMOTION_BYTES);
  const promoter = startThread("promoter");
  promoter.keepAlive?.(false);
  const task: PromotionTask = { memory, address, fd: mapped.fd, offset, bytes, words };
  promoter.post(task);
  return promoted(mapped, words, () => promoter.terminate());
}

/** What an engine and each of its threads take beside the model's memory: stacks, heaps, compiled kernels, vocabulary. */
export function engineBytes(threads: number): number {
  return (32 << 20) + threads * (8 << 20);
}

/** A thread begins within milliseconds; on a board that swaps, within seconds. */
const START_LIMIT_MS = 10_000;

/** V8 would let short-lived objects pile up to 48 MB in each thread before it looks for garbage. */
const YOUNG_GENERATION_MB = { engine: 6, team: 1, reader: 1, packer: 4, promoter: 1 };
export type ThreadRole = keyof typeof YOUNG_GENERATION_MB;

/** Starts a worker of this package: an engine, or a member of an engine's team. */
export function startThread(role: ThreadRole): Thread {
  const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB[role] };
  // The caller's own arguments, such as --input-type, are not for this file.
  return threadOf(createWorker({ workerData: { role }, resourceLimits, execArgv: [] }), START_LIMIT_MS);
}

/** A worker that was just created, as a thread. One that does not begin to run within the limit is a failure. */
export function threadOf(worker: Worker, limitMs: number): Thread {
  const running = beginsWithin(worker, limitMs);
  let ended = false;
  worker.once("error", () => (ended = true));
  return {
    running,
    post: (message) => worker.postMessage(message),
    onMessage: (listener) => worker.on("message", listener),
    onFailure(listener) {
      void running.then((runs) => {
        if (!runs) listener(new Error(`it did not begin to run within ${limitMs / 1000} s`));
      });
      worker.once("error", listener);
      worker.once("exit", (code) => {
        if (!ended && code !== 0) listener(new Error(`the thread exited with ${code}`));
      });
    },
    terminate() {
      ended = true;
      void worker.terminate();
    },
    keepAlive: (on) => (on ? worker.ref() : worker.unref()),
  };
}

/** Throws E_ENGINE with what to allow where Node or Deno runs programs with few permissions. */
function createWorker(options: WorkerOptions): Worker {
  try {
    return new Worker(distPath("devices/node/worker.js"), options);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_ACCESS_DENIED") throw error;
    throw new PiPhiError(
      "E_ENGINE",
      "Node's permission model forbids threads, but the engine needs one. Start Node with --allow-worker and --allow-fs-read=*.",
      { permission: "worker" },
    );
  }
}

/** False where a worker has neither begun to run nor ended when the time is up. */
function beginsWithin(worker: Worker, limitMs: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), limitMs).unref();
    for (const event of ["online", "error", "exit"] as const) {
      worker.once(event, () => {
        clearTimeout(timer);
        resolve(true);
      });
    }
  });
}

/** Peak resident bytes: VmHWM on Linux, where `maxRSS` would also count what ran in the process before exec. */
function peakMemory(): number | undefined {
  try {
    const match = /^VmHWM:\s+(\d+) kB/m.exec(fs.readFileSync("/proc/self/status", "utf8"));
    if (match) return Number(match[1]) * 1024;
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS * 1024;
}
