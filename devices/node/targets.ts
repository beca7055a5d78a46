/** Plans for devices that are not this one, from their profiles. */

import type { Estimate, LoadOptions } from "../../runtime/api.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { denseOf, type PlanningDevice, planOptions } from "../../runtime/options.ts";
import { estimateLayout, estimateModel } from "../../runtime/plan/estimate.ts";
import { KNOWN_MODEL, knownSubject } from "../../runtime/plan/known.ts";
import { DEVICE_IDS, findTarget, speedOf, type Target } from "../profiles/profiles.ts";
import { engineBytes, nodeDevice } from "./device.ts";
import { openFile } from "./files.ts";
import { SMALLEST_BYTES } from "./store.ts";

/** A plan for a device that is known by its profile. */
export interface DeviceEstimate extends Estimate {
  device: string;
  deviceName: string;
  /** What was planned, for people. */
  model: string;
  ramBytes: number;
  threads: number;
}

/** Node itself before it loads a model, and a page with its scripts. */
const PROCESS_BYTES = 56 << 20;
const PAGE_BYTES = 96 << 20;

/**
 * What loading `model` would take on a device; undefined = Phi-2 in Q4_0, from its numbers. A board runs a pack of
 * what is not small, a WebView holds the file's weights in memory. Throws E_USAGE for an unknown device, and what reading a header throws.
 */
export function estimateFor(device: string, model: string | undefined, options: LoadOptions): DeviceEstimate {
  const target = findTarget(device);
  if (!target) {
    throw new PiPhiError("E_USAGE", `There is no device "${device}". Choose one of ${DEVICE_IDS.join(", ")}.`, {
      device,
      known: DEVICE_IDS,
    });
  }
  const planning = planningDevice(target);
  const packed = planning.openAhead !== undefined;
  return {
    device: target.id,
    deviceName: target.name,
    model: model ?? KNOWN_MODEL,
    ramBytes: target.totalBytes,
    threads: planning.sharedMemory ? (options.threads ?? planning.threads) : 1,
    ...(model === undefined
      ? estimateKnown(planning, packed, options)
      : estimateModel(planning, openFile, model, options, packed ? SMALLEST_BYTES : undefined)),
  };
}

function estimateKnown(device: PlanningDevice, packed: boolean, options: LoadOptions): Estimate {
  denseOf(options);
  const subject = knownSubject();
  return estimateLayout(subject, planOptions(device, subject.config, packed, options), packed, device.speed);
}

function planningDevice({ profile, usableBytes }: Target): PlanningDevice {
  const page = profile.kind === "webview";
  const { openAhead, map } = nodeDevice();
  return {
    threads: profile.threads.value,
    sharedMemory: profile.sharedMemory.value,
    speed: speedOf(profile),
    availableBytes: () => usableBytes,
    overheadBytes: (threads) => ({ present: 0, growth: (page ? PAGE_BYTES : PROCESS_BYTES) + engineBytes(threads) }),
    ...(page ? {} : { openAhead, map }),
  };
}
