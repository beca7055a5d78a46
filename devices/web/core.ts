/** PiPhi for browsers without the embedded model: `import { load } from "piphi/web/core"`. Bundlers then leave its 6 MB out. */

import { connect } from "../../runtime/client.ts";
import type { Thread } from "../../runtime/device.ts";
import type { SerializedError } from "../../runtime/errors.ts";
import { type Estimate, type LoadOptions, type Phi, PiPhiError } from "../../runtime/index.ts";
import type { FromEngine } from "../../runtime/protocol.ts";
import { sharesMemory } from "./capacity.ts";
import { download } from "./download.ts";
import { estimateHeads, localHeads, remoteHeads } from "./estimate.ts";
import { type Files, keep } from "./files.ts";
import { createWorker, type FileThread, startThread } from "./thread.ts";

export * from "../../runtime/index.ts";

/** What a browser needs to know besides. */
export interface WebLoadOptions extends LoadOptions {
  /**
   * Address of a folder with the contents of the package's dist/ (devices/web/worker.js, kernels/, models/), relative to the
   * page. For bundlers that leave such files behind, and for copies on another origin, which must allow CORS. Default: where
   * the script is, or where the bundler has put them.
   */
  assets?: string | URL;
}

/** An address, relative to the page; or a file's content; or all parts of a split model. */
export type ModelSource = string | URL | Blob | ArrayBuffer | readonly File[];

const UNNAMED = "model.gguf";

/**
 * Loads a model on an engine in a worker of its own; on cross-origin isolated pages, with a team of workers.
 * An address of one part of a split model (`…-00001-of-00003.gguf`) stands for all parts beside it.
 * @param model a GGUF file
 * @throws PiPhiError for files, options and browsers that cannot work
 */
export async function load(model: ModelSource, options: WebLoadOptions = {}): Promise<Phi> {
  const { assets: folder, ...rest } = options;
  const assets = folder === undefined ? undefined : folderUrl(folder).href;
  const engine = startEngine(assets);
  try {
    // Before the model is downloaded: what an engine lacks, or a page forbids, is known in a moment.
    await prepared(engine, rest.signal);
    const files = await filesOf(model, rest);
    engine.give(files);
    const [name] = files.keys();
    return await connect(engine, name, rest);
  } catch (error) {
    engine.terminate();
    throw error;
  }
}

/** Resolves when the engine's worker runs and its kernels are proven; throws E_ENGINE or E_CANCELLED. */
function prepared(engine: Thread, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = () =>
      reject(new PiPhiError("E_CANCELLED", "Loading was cancelled. Load the model again if you still need it."));
    if (signal?.aborted) cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    engine.onFailure(reject);
    engine.onMessage((message) => {
      signal?.removeEventListener("abort", cancel);
      const { error } = message as FromEngine & { error?: SerializedError };
      if (error) reject(PiPhiError.fromJSON(error));
      else resolve();
    });
  });
}

/**
 * What loading would take, from the header alone: of an address, the first megabytes are downloaded. Throws only for
 * files that cannot be loaded at all.
 */
export async function estimate(model: ModelSource, options: LoadOptions = {}): Promise<Estimate> {
  const heads = isAddress(model) ? remoteHeads(resolve(model), options.signal) : localHeads(given(model));
  return estimateHeads(heads, options);
}

async function filesOf(model: ModelSource, options: LoadOptions): Promise<Files> {
  if (isAddress(model)) return download(resolve(model), options);
  // A worker takes buffers over: it gets a copy, and the caller keeps the original.
  const part = (file: Blob | ArrayBuffer) => (file instanceof ArrayBuffer ? keep([new Uint8Array(file)]) : file);
  return new Map(Array.from(given(model), ([name, file]) => [name, [part(file)]]));
}

function isAddress(model: ModelSource): model is string | URL {
  return typeof model === "string" || model instanceof URL;
}

/** By name, what the caller has at hand; throws E_USAGE. */
function given(model: Exclude<ModelSource, string | URL>): Map<string, Blob | ArrayBuffer> {
  if (model instanceof File) return new Map([[model.name, model]]);
  if (model instanceof Blob || model instanceof ArrayBuffer) return new Map([[UNNAMED, model]]);
  const files = new Map<string, File>();
  const parts: readonly unknown[] = Array.isArray(model) ? model : [];
  for (const part of parts) if (part instanceof File) files.set(part.name, part);
  if (files.size > 0 && files.size === parts.length) return files;
  throw new PiPhiError(
    "E_USAGE",
    "The model must be an address, a File, a Blob, an ArrayBuffer, or an array of Files with different names. Pass one of these.",
  );
}

/** Address of a folder, with a slash at its end; throws E_USAGE. */
export function folderUrl(folder: string | URL): URL {
  return resolve(`${folder}`.replace(/\/*$/, "/"));
}

function resolve(model: string | URL): URL {
  try {
    return new URL(model, globalThis.document?.baseURI ?? location.href);
  } catch {
    throw new PiPhiError("E_USAGE", `"${model}" is not an address. Pass a URL or a path relative to the page.`);
  }
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
