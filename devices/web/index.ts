/** PiPhi for browsers: `import { load } from "piphi/web"`. */

import type { Estimate, Phi } from "../../runtime/index.ts";
import { estimate as estimateAny, load as loadAny, type ModelSource } from "./core.ts";
import { folderUrl, type WebLoadOptions } from "./engine.ts";

export * from "./core.ts";

/** Address of the model that comes with the package: home commands to intents. Empty in a script that knows no address of its own. */
export const EMBEDDED_MODEL = /* @__PURE__ */ embeddedModel();

function embeddedModel(): string {
  try {
    return new URL("../../models/home.gguf", import.meta.url).href;
  } catch {
    return ""; // a classic script: `assets` says where it lies
  }
}

/**
 * Loads a model on an engine in a worker of its own; on cross-origin isolated pages, with a team of workers.
 * An address of one part of a split model (`…-00001-of-00003.gguf`) stands for all parts beside it.
 * @param model a GGUF file; default: the embedded model
 * @throws PiPhiError for files, options and browsers that cannot work
 */
export async function load(model: ModelSource = EMBEDDED_MODEL, options: WebLoadOptions = {}): Promise<Phi> {
  const { assets } = options;
  if (model !== EMBEDDED_MODEL) return loadAny(model, options);
  const address = assets === undefined ? model : new URL("models/home.gguf", folderUrl(assets));
  // It comes with the app, and lies where the app does.
  return loadAny(address, { store: false, ...options });
}

/**
 * What loading would take, from the header alone: of an address, the first megabytes are downloaded. Throws only for
 * files that cannot be loaded at all.
 * @param model a GGUF file; default: the embedded model
 */
export async function estimate(model: ModelSource = EMBEDDED_MODEL, options: WebLoadOptions = {}): Promise<Estimate> {
  return estimateAny(model, model === EMBEDDED_MODEL ? { store: false, ...options } : options);
}
