/** What a model would take, without loading it. */

import type { Estimate, LoadOptions } from "../api.ts";
import type { ByteSource, Device } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import { planOptions } from "../options.ts";
import { readManifest } from "../weights/manifest.ts";
import { layOut, plan } from "./plan.ts";

export function estimateModel(
  device: Pick<Device, "threads" | "sharedMemory" | "availableBytes">,
  open: (name: string) => ByteSource,
  model: string,
  options: LoadOptions,
): Estimate {
  const manifest = readManifest(open, model);
  try {
    const asked = planOptions(device, manifest, options);
    const { bytes } = layOut(manifest, asked);
    const shape = { mode: "resident" as const, layers: { pinned: manifest.config.layers, streamed: 0 }, bytes };
    try {
      plan(manifest, asked);
      return { fits: true, ...shape };
    } catch (error) {
      return { fits: false, ...shape, remedy: PiPhiError.from(error).message };
    }
  } finally {
    manifest.close();
  }
}
