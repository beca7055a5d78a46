/** PiPhi for Node: `import { load } from "piphi"`. */

import { connect } from "../../runtime/client.ts";
import type { Estimate, LoadOptions, Phi } from "../../runtime/index.ts";
import { denseOf, givenOptions, type PlanningDevice } from "../../runtime/options.ts";
import { estimateModel } from "../../runtime/plan/estimate.ts";
import { withStorage } from "../profiles/profiles.ts";
import { nodeDevice, startThread } from "./device.ts";
import { openFile } from "./files.ts";
import { EMBEDDED_MODEL } from "./paths.ts";
import { readSpeed } from "./read-speed.ts";
import { packFor, SMALLEST_BYTES } from "./store.ts";
import { type DeviceEstimate, estimateFor } from "./targets.ts";
import { settleEngineFlags } from "./trial.ts";

export * from "../../runtime/index.ts";
export { DEVICE_IDS, TARGETS } from "../profiles/profiles.ts";
export { type Diagnosis, diagnose } from "./diagnose.ts";
export type { Check } from "./doctor/check.ts";
export { type Inspection, inspect, tokenize } from "./inspect.ts";
export { checkPack, type PackFileOptions, packFile } from "./packing.ts";
export { EMBEDDED_MODEL, storeFolder } from "./paths.ts";
export type { DeviceEstimate } from "./targets.ts";

export interface NodeLoadOptions extends LoadOptions {
  /**
   * Pack a GGUF file into the store once ($PIPHI_HOME, default ~/.cache/piphi) and use the pack from then on: it is mapped
   * in no time, shared between processes, and streamed where it does not fit into memory. Default: false.
   */
  pack?: boolean;
}

/**
 * Loads a model on an engine thread of its own.
 * @param model path of a GGUF file (any one of its shards) or of a pack; default: the embedded model
 * @throws PiPhiError for files, options and machines that cannot work
 */
export async function load(model: string = EMBEDDED_MODEL, given?: NodeLoadOptions): Promise<Phi> {
  const options = givenOptions(given);
  await settleEngineFlags();
  const { pack, ...rest } = options;
  const { onProgress, signal } = options;
  const stored = { dense: denseOf(options), make: pack ?? false, onProgress, signal };
  const file = model === EMBEDDED_MODEL ? model : await packFor(model, stored);
  return connect(startThread("engine", file === EMBEDDED_MODEL), file, rest);
}

/** A model that would be streamed is read for so long, to predict from its own storage. */
const PROBE = { bytes: 64 << 20, ms: 150 };

/**
 * What loading would take, from the file's header alone; with `pack`, as the pack that would be made of it if it is large. Where weights
 * would be streamed, reads the file for a moment to predict how fast. Throws only for files that cannot be loaded at all.
 */
export async function estimate(model: string = EMBEDDED_MODEL, options?: NodeLoadOptions): Promise<Estimate> {
  const { pack, ...rest } = givenOptions(options);
  const device = nodeDevice();
  const plan = (machine: PlanningDevice) => {
    return estimateModel(machine, openFile, model, rest, pack ? SMALLEST_BYTES : undefined);
  };
  const planned = plan(device);
  if (planned.predictedTokensPerSecond === null || planned.mode !== "streamed") return planned;
  const { bytesPerSecond } = await readSpeed(model, PROBE);
  return plan({ ...device, threads: device.threads, speed: withStorage(device.speed!, bytesPerSecond) });
}

/**
 * The same for another device, by the id of its profile (DEVICE_IDS): the plan and the speed that its figures predict.
 * Without a model: Phi-2 in Q4_0. Throws E_USAGE for an unknown device.
 */
export async function estimateOn(device: string, model?: string, options: LoadOptions = {}): Promise<DeviceEstimate> {
  return estimateFor(device, model, givenOptions(options));
}
