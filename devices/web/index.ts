/** PiPhi for browsers: `import { load } from "piphi/web"`. `piphi/web/core` is the same without the embedded model. */

import type { Estimate, LoadOptions, Phi } from "../../runtime/index.ts";
import * as core from "./core.ts";

export * from "./core.ts";

/** Address of the model that comes with the package: home commands to intents. "" where a bundle does not know its own place. */
export const EMBEDDED_MODEL = addressOf(() => new URL("../../models/home.gguf", import.meta.url).href);

/** As in piphi/web/core; default: the embedded model. */
export async function load(model: core.ModelSource = EMBEDDED_MODEL, options: core.WebLoadOptions = {}): Promise<Phi> {
  return core.load(model, options);
}

/** As in piphi/web/core; default: the embedded model. */
export async function estimate(model: core.ModelSource = EMBEDDED_MODEL, options: LoadOptions = {}): Promise<Estimate> {
  return core.estimate(model, options);
}

/** A script that is no module has no address of its own: importing it must not fail for that. */
function addressOf(address: () => string): string {
  try {
    return address();
  } catch {
    return "";
  }
}
