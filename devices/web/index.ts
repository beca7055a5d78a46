/** PiPhi for browsers: `import { load } from "piphi/web"`. */

import type { Estimate, LoadOptions, Phi } from "../../runtime/index.ts";
import { estimate as estimateAny, folderUrl, load as loadAny, type ModelSource, type WebLoadOptions } from "./core.ts";

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
  const elsewhere = model === EMBEDDED_MODEL && assets !== undefined;
  return loadAny(elsewhere ? new URL("models/home.gguf", folderUrl(assets)) : model, options);
}

/**
 * What loading would take, from the header alone: of an address, the first megabytes are downloaded. Throws only for
 * files that cannot be loaded at all.
 * @param model a GGUF file; default: the embedded model
 */
export async function estimate(model: ModelSource = EMBEDDED_MODEL, options: LoadOptions = {}): Promise<Estimate> {
  return estimateAny(model, options);
}
