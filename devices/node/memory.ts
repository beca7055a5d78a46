/** How much memory this process may still take: the kernel's estimate, and the limits of its control group. */

import fs from "node:fs";
import os from "node:os";
import path from "node:path";

/** Bytes that can be allocated now without swapping or being killed. */
export function availableMemory(): number {
  const limits = [memAvailable(read("/proc/meminfo")), cgroupRoom()].filter((bytes) => bytes !== undefined);
  return limits.length > 0 ? Math.min(...limits) : os.freemem();
}

/** MemAvailable of /proc/meminfo, with free swap left out: weights in swap would be slower than reading them again. */
export function memAvailable(meminfo: string): number | undefined {
  const match = /^MemAvailable:\s+(\d+) kB/m.exec(meminfo);
  return match ? Number(match[1]) * 1024 : undefined;
}

/** A control group of this process, and the names of its files. */
export interface GroupFolder {
  folder: string;
  limit: string;
  usage: string;
}

/** The control groups (v2 and v1) that this process is in, and those at the top, which are its own in a container. */
export function groupFolders(root = "/"): GroupFolder[] {
  const groups = read(path.join(root, "proc/self/cgroup")).split("\n");
  const v2 = groups.find((line) => line.startsWith("0::"))?.slice(3);
  const v1 = groups.find((line) => line.split(":")[1]?.split(",").includes("memory"))?.split(":")[2];
  const folders = (top: string, group: string | undefined, limit: string, usage: string) => {
    const names = group === undefined ? [] : [...new Set([path.join(root, top), path.join(root, top, group)])];
    return names.map((folder) => ({ folder, limit, usage }));
  };
  return [
    ...folders("sys/fs/cgroup", v2, "memory.max", "memory.current"),
    ...folders("sys/fs/cgroup/memory", v1, "memory.limit_in_bytes", "memory.usage_in_bytes"),
  ];
}

/** What the control groups leave, or undefined where none sets a limit. */
export function cgroupRoom(root = "/"): number | undefined {
  const rooms = groupFolders(root)
    .map(({ folder, limit, usage }) => {
      return roomOf(...([limit, usage, "memory.stat"].map((name) => read(path.join(folder, name))) as Texts));
    })
    .filter((bytes) => bytes !== undefined);
  return rooms.length > 0 ? Math.min(...rooms) : undefined;
}

type Texts = [limit: string, usage: string, stat: string];

/** What a group leaves, by its files' texts; undefined where it has no limit. Page cache in use can be given back. */
export function roomOf(...[limitText, usageText, stat]: Texts): number | undefined {
  const limit = limitText === "" ? Number.NaN : Number(limitText);
  // "max" is NaN; cgroup v1 says "no limit" with a number near 2^63.
  if (!(limit < 2 ** 50)) return undefined;
  const cache = /^(?:total_)?inactive_file (\d+)/m.exec(stat);
  return Math.max(0, limit - Number(usageText) + Number(cache?.[1] ?? 0));
}

function read(file: string): string {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
