/** Loading, with a progress bar, and closing whatever happens. */

import type { MemoryUse, NodeLoadOptions, Phi, Progress } from "../devices/node/index.ts";
import type { Context } from "./context.ts";
import { formatBytes, printable } from "./output.ts";
import { loadingBar, statusLine } from "./progress.ts";

/** Loads a model (undefined = the embedded one), hands it to `use`, closes it. */
export async function withModel(
  context: Context,
  model: string | undefined,
  options: NodeLoadOptions,
  use: (phi: Phi) => Promise<void>,
): Promise<void> {
  const phi = await loadModel(context, model, options);
  try {
    await use(phi);
  } finally {
    await phi.close();
  }
}

async function loadModel(context: Context, model: string | undefined, options: NodeLoadOptions): Promise<Phi> {
  const { load } = await context.api();
  const { stderr, env, signal } = context;
  const line = statusLine(stderr, env);
  const bar = loadingBar(line);
  let packedBytes = 0;
  const onProgress = (progress: Progress) => {
    if (progress.phase === "pack") packedBytes = progress.totalBytes;
    bar(progress);
  };
  try {
    const phi = await load(model, { ...options, signal, onProgress });
    line.clear();
    if (packedBytes > 0) {
      const name = printable(model ?? "");
      stderr.write(`Packed ${name} into the store, ${formatBytes(packedBytes)}: used from now on.\n`);
    }
    return phi;
  } catch (error) {
    const { code = "", message } = error as { code?: string; message: string };
    if (!options.pack || !UNWRITABLE.has(code)) throw error;
    line.clear();
    stderr.write(`warning: ${printable(message)}\nThe weights are kept in memory this time.\n`);
    return await load(model, { ...options, pack: false, signal, onProgress: bar });
  } finally {
    line.clear();
  }
}

/** Errors of a store that cannot take a pack; a model that fits into memory needs none. */
const UNWRITABLE = new Set(["E_FILE_WRITE", "E_DISK_FULL"]);

/** "peak 1.81 GB, 1.49 GB of weights mapped"; "peak 512 MB, 229 MB of weights stay, 1.2 GB streamed a token" */
export function describeMemory(memory: MemoryUse): string {
  const parts = [
    `peak ${formatBytes(memory.peakRssBytes)}`,
    `${formatBytes(memory.pinnedBytes)} of weights ${memory.mode === "streamed" ? "stay" : memory.mode}`,
  ];
  if (memory.streamedBytesPerToken > 0) parts.push(`${formatBytes(memory.streamedBytesPerToken)} streamed a token`);
  return parts.join(", ");
}
