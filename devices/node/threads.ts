/** Node's worker threads as Threads. */

import { Worker, type WorkerOptions } from "node:worker_threads";
import type { Thread } from "../../runtime/device.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { distPath } from "./paths.ts";

/** A thread begins within milliseconds; on a board that swaps, within seconds. */
const START_LIMIT_MS = 10_000;

/** V8 would let short-lived objects pile up to 48 MB in each thread before it looks for garbage. */
const YOUNG_GENERATION_MB = { engine: 6, team: 1, reader: 1, packer: 4, system: 1 };
export type ThreadRole = keyof typeof YOUNG_GENERATION_MB;

/** Creates a worker of this package. Throws E_ENGINE with what to allow where Node or Deno runs programs with few permissions. */
export function createWorker(
  role: ThreadRole,
  workerData: object = {},
  transferList: WorkerOptions["transferList"] = [],
) {
  const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB[role] };
  try {
    // The caller's own arguments, such as --input-type, are not for this file.
    const options = { workerData: { ...workerData, role }, transferList, resourceLimits, execArgv: [] };
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

/** A worker that was just created, as a thread. One that does not begin to run within the limit is a failure. */
export function threadOf(worker: Worker, limitMs = START_LIMIT_MS): Thread {
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
