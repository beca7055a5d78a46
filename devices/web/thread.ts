/** Web Workers as threads. */

import type { Thread } from "../../runtime/device.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { type Files, transferable } from "./files.ts";
import type { ModelRequest } from "./store/record.ts";

/** The first message to a worker: what it becomes, and the files it may open. */
export interface Role {
  role: "engine" | "team" | "reader" | "shard";
  files: Files;
  /** Whether the page shares memory with its workers. */
  shared: boolean;
  /** Address of the folder with PiPhi's files, with a slash at its end; default: where the script is. */
  assets?: string;
}

/**
 * A worker of the script at `url`. Browsers refuse scripts of other origins, such as a CDN's: one of the page's own imports it.
 */
export function createWorker(url: URL): Worker {
  if (url.origin === location.origin || url.protocol === "blob:") return new Worker(url, { type: "module" });
  const script = new Blob([`import ${JSON.stringify(url.href)};`], { type: "text/javascript" });
  return new Worker(URL.createObjectURL(script), { type: "module" });
}

const NOT_STARTED =
  "PiPhi's worker could not be started. Serve worker.js beside index.js, with the page's Cross-Origin-Embedder-Policy, and allow it in the page's Content-Security-Policy (worker-src). Pass its folder's address as \"assets\" where it lies elsewhere.";

/** Files that come after the first message. */
export interface Gift {
  type: "files";
  files: Files;
}

/** An engine is asked to provide the files of a model that lies at an address. */
export interface Order {
  type: "provide";
  model: ModelRequest;
}

/** What it says of that, beside progress and errors. */
export type FromStore = { type: "storing" } | { type: "provided"; name: string; key?: string };

/** A worker that can be given files, whose buffers move to it where they are not shared. */
export interface FileThread extends Thread {
  give(files: Files): void;
}

/** Starts a worker in a role. `create` calls `new Worker`, where a bundler can see it. */
export function startThread(create: () => Worker, role: Role): FileThread {
  const worker = create();
  worker.postMessage(role, transferable(role.files));
  return {
    post: (message, transfer = []) => worker.postMessage(message, transfer),
    give: (files) => worker.postMessage({ type: "files", files } satisfies Gift, transferable(files)),
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
