/** Web Workers as threads. */

import type { Thread } from "../../runtime/device.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import type { KernelAddresses } from "./device.ts";
import { type Files, transferable } from "./files.ts";

/** The first message to a worker: what it becomes, and the files it may open. */
export interface Role {
  role: "engine" | "team";
  files: Files;
  kernels?: KernelAddresses;
}

const NOT_STARTED =
  "PiPhi's worker could not be started. Serve worker.js beside index.js, from the page's origin and with the page's Cross-Origin-Embedder-Policy, or say where it is (assets.worker).";

/** Starts a worker in a role. `create` calls `new Worker`, where a bundler can see it. */
export function startThread(create: () => Worker, role: Role): Thread {
  const worker = create();
  worker.postMessage(role, transferable(role.files));
  return {
    post: (message) => worker.postMessage(message),
    onMessage: (listener) => worker.addEventListener("message", (event) => listener(event.data)),
    onFailure(listener) {
      const fail = (event: Event) => {
        event.preventDefault(); // whoever waits for the thread is told instead of the console
        // Only errors of a script that has started have a message.
        listener(new PiPhiError("E_ENGINE", (event as ErrorEvent).message || NOT_STARTED));
      };
      worker.addEventListener("error", fail, { once: true });
    },
    terminate: () => worker.terminate(),
  };
}
