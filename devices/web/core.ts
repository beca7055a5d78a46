/**
 * PiPhi for browsers without the embedded model: `import { load } from "piphi/web/core"`. Importing it does nothing and asks for
 * nothing; bundlers put the worker and the kernels into an app's build, and no model.
 */

import { connect } from "../../runtime/client.ts";
import { type Estimate, type LoadOptions, type Phi, PiPhiError } from "../../runtime/index.ts";
import { download } from "./download.ts";
import { estimateHeads, localHeads, remoteHeads } from "./estimate.ts";
import { type Files, keep } from "./files.ts";
import { startThread } from "./thread.ts";

export * from "../../runtime/index.ts";

/** An address, relative to the page; or a file's content; or all parts of a split model. */
export type ModelSource = string | URL | Blob | ArrayBuffer | readonly File[];

const UNNAMED = "model.gguf";

/** Where PiPhi's own files are, when they do not lie where they were built; addresses are relative to the page. */
export interface Assets {
  /** worker.js. One from another origin is imported by a small worker of the page's own, where the page's policy allows that. */
  worker?: string | URL;
  /** simd.wasm and relaxed.wasm. */
  kernels?: { simd?: string | URL; relaxed?: string | URL };
}

export interface WebLoadOptions extends LoadOptions {
  assets?: Assets;
}

/**
 * Loads a model on an engine in a worker of its own; on cross-origin isolated pages, with a team of workers.
 * An address of one part of a split model (`…-00001-of-00003.gguf`) stands for all parts beside it.
 * @param model a GGUF file
 * @throws PiPhiError for files, options and browsers that cannot work
 */
export async function load(model: ModelSource, { assets, ...options }: WebLoadOptions = {}): Promise<Phi> {
  const files = await filesOf(model, options);
  const [name] = files.keys();
  return connect(startEngine(files, assets), name, options);
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

function resolve(model: string | URL): URL {
  try {
    return new URL(model, globalThis.document?.baseURI ?? location.href);
  } catch {
    throw new PiPhiError("E_USAGE", `"${model}" is no address. Pass a URL or a path relative to the page.`);
  }
}

function startEngine(files: Files, { worker, kernels }: Assets = {}) {
  const address = (url: string | URL | undefined) => (url === undefined ? undefined : resolve(url).href);
  const role = {
    role: "engine",
    files,
    kernels: { simd: address(kernels?.simd), relaxed: address(kernels?.relaxed) },
  } as const;
  try {
    if (worker !== undefined) return startThread(() => workerAt(resolve(worker)), role);
    // In this form, on one line, bundlers find the worker.
    return startThread(() => new Worker(new URL("./worker.js", import.meta.url), { type: "module" }), role);
  } catch (error) {
    const { message } = PiPhiError.from(error);
    const remedy =
      "Serve PiPhi's files from the page's own origin, or say where they are (assets.worker, assets.kernels).";
    throw new PiPhiError("E_ENGINE", `${message} ${remedy}`);
  }
}

/** Browsers start no worker from another origin, but one of the page's own may import it. */
function workerAt(url: URL): Worker {
  if (url.origin === location.origin) return new Worker(url, { type: "module" });
  const script = new Blob([`import ${JSON.stringify(url.href)};`], { type: "text/javascript" });
  return new Worker(URL.createObjectURL(script), { type: "module" });
}
