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

/** The process's limit of addresses in bytes (ulimit -v); Infinity where there is none, undefined where nobody tells. */
export function addressSpaceLimit(tree: Tree = HOST_TREE): number | undefined {
  const limit = /^Max address space\s+(\S+)/m.exec(tree.read("/proc/self/limits") ?? "")?.[1];
  if (limit === undefined) return undefined;
  return limit === "unlimited" ? Number.POSITIVE_INFINITY : Number(limit);
}

/** What the engine and the trap around its memory take of the addresses, and each thread more (measured, Node 20 and 24). */
const ENGINE_ADDRESSES = 10 * 2 ** 30;
const THREAD_ADDRESSES = 2 * 2 ** 30;

/** Threads that a limit of addresses has room for: V8 ends the process where one more cannot reserve its own. */
export function threadsWithin(limit: number): number {
  return Math.max(1, Math.floor((limit - ENGINE_ADDRESSES) / THREAD_ADDRESSES));
}
