/** Loading, with a progress bar, and closing whatever happens. */

import type { LoadOptions, MemoryUse, Phi } from "../devices/node/index.ts";
import type { Context } from "./context.ts";
import { formatBytes } from "./output.ts";
import { loadingBar, statusLine } from "./progress.ts";

/** Loads a model (undefined = the embedded one), hands it to `use`, closes it. */
export async function withModel(
  context: Context,
  model: string | undefined,
  options: LoadOptions,
  use: (phi: Phi) => Promise<void>,
): Promise<void> {
  const { load } = await context.api();
  const line = statusLine(context.stderr, context.env);
  let phi: Phi;
  try {
    phi = await load(model, { ...options, signal: context.signal, onProgress: loadingBar(line) });
  } finally {
    line.clear();
  }
  try {
    await use(phi);
  } finally {
    await phi.close();
  }
}

/** "peak 1.81 GB, 1.49 GB of weights mapped" */
export function describeMemory(memory: MemoryUse): string {
  const parts = [
    ...(memory.peakRssBytes === null ? [] : [`peak ${formatBytes(memory.peakRssBytes)}`]),
    `${formatBytes(memory.pinnedBytes)} of weights ${memory.mode}`,
  ];
  if (memory.streamedBytesPerToken > 0) parts.push(`${formatBytes(memory.streamedBytesPerToken)} streamed a token`);
  return parts.join(", ");
}
