/** How much memory this process may still take: the kernel's estimate, and the limits of its control group. */

import os from "node:os";
import { cgroupRoom } from "./cgroup.ts";
import { HOST_TREE, type Tree } from "./tree.ts";

/** Bytes that can be allocated now without swapping or being killed. */
export function availableMemory(tree: Tree = HOST_TREE): number {
  // Free swap is left out of MemAvailable: weights in swap would be slower than reading them again.
  const limits = [meminfo("MemAvailable", tree), cgroupRoom(tree)].filter((bytes) => bytes !== undefined);
  return limits.length > 0 ? Math.min(...limits) : os.freemem();
}

/** Bytes of a line of /proc/meminfo, or undefined where there is none. */
export function meminfo(name: string, tree: Tree = HOST_TREE): number | undefined {
  return meminfoLine(name, tree.read("/proc/meminfo") ?? "");
}

/** The same, of the file's text. */
export function meminfoLine(name: string, text: string): number | undefined {
  const match = new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text);
  return match ? Number(match[1]) * 1024 : undefined;
}
