/** What a model would take, without loading it. */

import type { Estimate, LoadOptions } from "../api.ts";
import type { ByteSource, MachineSpeed } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import { denseOf, type PlanningDevice, planOptions } from "../options.ts";
import { stagingBytesOf } from "../weights/load.ts";
import { type Model, openModel } from "../weights/model.ts";
import type { Layout, Subject } from "./layout.ts";
import { leastLayout, type PlanOptions, plan } from "./plan.ts";
import { predictTokensPerSecond } from "./predict.ts";

/** What is to be planned of a model. */
export function subjectOf({ config, shape, weights }: Model): Subject {
  return { config, shape, stagingBytes: weights.manifest ? stagingBytesOf(weights.manifest) : 0 };
}

export function estimateModel(
  device: PlanningDevice,
  open: (name: string) => ByteSource,
  model: string,
  options: LoadOptions,
  /** Files of so many bytes and more are planned as the packs that would be made of them; none where it is left out. */
  packedFromBytes?: number,
): Estimate {
  const opened = openModel(open, model, denseOf(options));
  try {
    const becomesPack = packedFromBytes !== undefined && opened.fileBytes >= packedFromBytes;
    const packed = becomesPack || opened.weights.pack !== undefined;
    const subject = packed ? { ...subjectOf(opened), stagingBytes: 0 } : subjectOf(opened);
    return estimateLayout(
      subject,
      planOptions(device, opened.config, packed, options),
      packed && device.map !== undefined,
      device.speed,
    );
  } finally {
    opened.close();
  }
}

/** What the planner says; `mappable`: weights that fit would be mapped; `speed`: of the device, where it is known. */
export function estimateLayout(
  subject: Subject,
  asked: PlanOptions,
  mappable: boolean,
  speed: MachineSpeed | undefined,
): Estimate {
  const describe = (layout: Layout) => {
    const streamed = subject.shape.layers.filter((_, i) => {
      return [2 * i, 2 * i + 1].some((unit) => layout.units[unit].streamIndex >= 0);
    }).length;
    return {
      mode: layout.mode === "resident" && mappable ? ("mapped" as const) : layout.mode,
      layers: { pinned: subject.config.layers - streamed, streamed },
      bytes: layout.bytes,
      contextLength: layout.contextLength,
      streamedBytesPerToken: layout.streamedBytesPerToken,
    };
  };
  try {
    const layout = plan(subject, asked);
    const predictedTokensPerSecond = speed ? predictTokensPerSecond(layout, speed) : null;
    return { fits: true, ...describe(layout), predictedTokensPerSecond, predictedFrom: speed?.figures ?? null };
  } catch (error) {
    const least = describe(leastLayout(subject, asked));
    const unknown = { predictedTokensPerSecond: null, predictedFrom: null };
    return { fits: false, ...least, ...unknown, remedy: PiPhiError.from(error).message };
  }
}
