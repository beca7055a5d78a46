/** PiPhi for Node: `import { load } from "piphi"`. */

import { connect } from "../../runtime/client.ts";
import type { Estimate, LoadOptions, Phi } from "../../runtime/index.ts";
import { estimateModel } from "../../runtime/memory/estimate.ts";
import { nodeDevice, startThread } from "./device.ts";
import { setEngineFlags } from "./engine-flags.ts";
import { openFile } from "./files.ts";
import { EMBEDDED_MODEL } from "./paths.ts";

export * from "../../runtime/index.ts";
export { type Check, type Diagnosis, diagnose } from "./diagnose.ts";
export { type Inspection, inspect, tokenize } from "./inspect.ts";
export { EMBEDDED_MODEL } from "./paths.ts";

/**
 * Loads a model on an engine thread of its own.
 * @param model path of a GGUF file (any one of its shards); default: the embedded model
 * @throws PiPhiError for files, options and machines that cannot work
 */
export function load(model: string = EMBEDDED_MODEL, options: LoadOptions = {}): Promise<Phi> {
  setEngineFlags();
  return connect(startThread("engine"), model, options);
}

/** What loading would take, from the file's header alone. Throws only for files that cannot be loaded at all. */
export async function estimate(model: string = EMBEDDED_MODEL, options: LoadOptions = {}): Promise<Estimate> {
  return estimateModel(nodeDevice(), openFile, model, options);
}
