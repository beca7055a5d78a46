/** Node on Linux, macOS and Windows as a Device. */

import fs from "node:fs";
import { readFile } from "node:fs/promises";
import type { Device, MappedFile, Thread } from "../../runtime/device.ts";
import { createWasiHost } from "../wasi/host.ts";
import { openAhead } from "./direct.ts";
import { retreat } from "./engine-flags.ts";
import { openFile } from "./files.ts";
import { hostName } from "./host.ts";
import { keptFiles } from "./kept.ts";
import { thisMachine } from "./machine.ts";
import { adviseHugePages, mapFile, mapPromoted, releasePages } from "./mapping.ts";
import { availableMemory } from "./memory.ts";
import { distPath } from "./paths.ts";
import { pressureGauge } from "./pressure.ts";
import { wayForThread } from "./system/calls.ts";
import { createWorker, type ThreadRole, threadOf } from "./threads.ts";
import { PRIVATE_MODE, removeLeftovers, writeAtomically } from "./writing.ts";

export function nodeDevice(): Device {
  let gauge: ReturnType<typeof pressureGauge> | undefined;
  return {
    name: `${hostName()} ${process.platform} ${process.arch}`,
    // Looked at where it is asked for: most threads do not.
    get threads() {
      return thisMachine().threads;
    },
    get speed() {
      return thisMachine().speed;
    },
    sharedMemory: true,
    availableBytes: availableMemory,
    peakBytes: peakMemory,
    overheadBytes: (threads) => ({ present: process.memoryUsage.rss(), growth: engineBytes(threads) }),
    open: openFile,
    create(path, write) {
      removeLeftovers(path);
      return writeAtomically(path, write, PRIVATE_MODE);
    },
    kept: keptFiles(),
    openAhead,
    map: mapWeights,
    hugePages: adviseHugePages,
    releasePages,
    pressure: () => (gauge ??= pressureGauge())(),
    kernel: (build) => readFile(distPath(`kernels/${build}.wasm`)),
    retreat,
    wasi: createWasiHost,
    startWorker: startThread,
    warn: (text) => process.emitWarning(text, "PiPhi"),
  };
}

/** Maps a file; where `hugePages` says so, its bytes move into huge pages while they are used. */
function mapWeights(
  memory: WebAssembly.Memory,
  address: number,
  path: string,
  offset: number,
  bytes: number,
  hugePages: boolean,
): MappedFile | string {
  const map = hugePages && process.platform === "linux" ? mapPromoted : mapFile;
  return map(memory, address, path, offset, bytes);
}

/** What an engine and each of its threads take beside the model's memory: stacks, heaps, compiled kernels, vocabulary. */
export function engineBytes(threads: number): number {
  return (32 << 20) + threads * (8 << 20);
}

/**
 * Starts a worker of this package: an engine, or a member of an engine's team. `small`: it will have no use for the C
 * library, whose thread takes 10 MB.
 */
export function startThread(role: ThreadRole, small = false): Thread {
  const way = small ? "none" : wayForThread();
  return threadOf(createWorker(role, { way }, typeof way === "string" ? [] : [way.port]));
}

/** Peak resident bytes: VmHWM on Linux, where `maxRSS` would also count what ran in the process before exec. */
function peakMemory(): number | undefined {
  try {
    const match = /^VmHWM:\s+(\d+) kB/m.exec(fs.readFileSync("/proc/self/status", "utf8"));
    if (match) return Number(match[1]) * 1024;
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS * 1024;
}
