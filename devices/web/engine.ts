/** The page's side of an engine's worker, before the model is loaded: it is started, and brings the model's files. */

import type { LoadOptions } from "../../runtime/api.ts";
import type { Thread } from "../../runtime/device.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { denseOf } from "../../runtime/options.ts";
import type { FromEngine } from "../../runtime/protocol.ts";
import { sharesMemory } from "./capacity.ts";
import { createWorker, type FileThread, type FromStore, type Order, startThread } from "./thread.ts";

/** What a browser needs to know besides. */
export interface WebLoadOptions extends LoadOptions {
  /**
   * Address of a folder with the contents of the package's dist/ (devices/web/worker.js, kernels/, models/), relative to the
   * page. For bundlers that leave such files behind, and for copies on another origin, which must allow CORS. Default: where
   * the script is, or where the bundler has put them.
   */
  assets?: string | URL;
  /**
   * Whether a model from an address is kept in the browser, so that it is downloaded once. Default: models of 64 MiB and more
   * are. A text is the name to keep it by, for addresses that are never the same, such as signed ones.
   */
  store?: boolean | string;
  /** SHA-256 that the downloaded file must have, as hex; of a split model, those of its parts in their order. */
  sha256?: string | readonly string[];
}

/** Address of a folder, with a slash at its end; throws E_USAGE. */
export function folderUrl(folder: string | URL): URL {
  return resolve(`${folder}`.replace(/\/*$/, "/"));
}

export function resolve(model: string | URL): URL {
  try {
    return new URL(model, globalThis.document?.baseURI ?? location.href);
  } catch {
    throw new PiPhiError("E_USAGE", `"${model}" is not an address. Pass a URL or a path relative to the page.`);
  }
}

/** What an engine is asked to provide; throws E_USAGE. */
export function orderOf(
  url: URL,
  { store: kept, sha256, ...options }: Pick<WebLoadOptions, "store" | "sha256" | "dense">,
): Order {
  const sums = typeof sha256 === "string" ? [sha256] : sha256;
  if (sums?.some((sum) => !/^[\da-f]{64}$/i.test(sum))) {
    throw new PiPhiError("E_USAGE", "sha256 must be 64 hexadecimal digits, or an array of such texts. Copy it again.");
  }
  return { type: "provide", model: { url: url.href, store: kept, sha256: sums, dense: denseOf(options) } };
}

/** An engine in a worker whose kernels are proven, of the files at `assets`; throws E_ENGINE or E_CANCELLED. */
export async function startedEngine(
  assets: string | URL | undefined,
  signal: AbortSignal | undefined,
): Promise<FileThread> {
  const engine = startEngine(assets === undefined ? undefined : folderUrl(assets).href);
  try {
    await heard(engine, signal, ({ type }) => type === "prepared");
    return engine;
  } catch (error) {
    engine.terminate();
    throw error;
  }
}

/** Has the engine's worker bring a model from the store or the network. */
export async function provided(
  engine: Thread,
  order: Order,
  { onProgress, signal }: LoadOptions,
): Promise<{ name: string; key?: string }> {
  engine.post(order);
  const message = await heard(engine, signal, (message) => {
    if (message.type === "progress") onProgress?.(message.progress);
    // Nothing depends on the answer: what is not persistent may be deleted, and comes again.
    if (message.type === "storing") navigator.storage.persist?.().catch(() => {});
    return message.type === "provided";
  });
  return message as FromStore & { type: "provided" };
}

/** Resolves with the first message that is waited for; rejects with the engine's error, a listener's own, or E_CANCELLED. */
function heard<T extends FromEngine | FromStore | { type: "prepared" }>(
  engine: Thread,
  signal: AbortSignal | undefined,
  isIt: (message: T) => boolean,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const end = () => signal?.removeEventListener("abort", cancel);
    const cancel = () => {
      end();
      reject(new PiPhiError("E_CANCELLED", "Loading was cancelled. Load the model again if you still need it."));
    };
    if (signal?.aborted) cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    engine.onFailure(reject);
    engine.onMessage((received) => {
      const message = received as T;
      try {
        if (message.type === "error") throw PiPhiError.fromJSON((message as FromEngine & { type: "error" }).error);
        if (!isIt(message)) return;
        end();
        resolve(message);
      } catch (error) {
        end();
        reject(error);
      }
    });
  });
}

function startEngine(assets: string | undefined): FileThread {
  const create = () => {
    if (assets !== undefined) return createWorker(new URL("devices/web/worker.js", assets));
    const beside = new URL(import.meta.url);
    if (beside.origin !== location.origin) return createWorker(new URL("worker.js", beside));
    // In this form, on one line, bundlers find the worker.
    return new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  };
  try {
    return startThread(create, { role: "engine", files: new Map(), shared: sharesMemory(), assets });
  } catch (error) {
    const { message } = PiPhiError.from(error);
    throw new PiPhiError("E_ENGINE", `${message} Pass the address of PiPhi's dist folder as "assets".`);
  }
}
