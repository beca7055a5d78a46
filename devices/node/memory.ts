/** How much memory this process may still take: the kernel's estimate, and the limits of its control group. */

import fs from "node:fs";
import os from "node:os";

/** Bytes that can be allocated now without swapping or being killed. */
export function availableMemory(): number {
  const limits = [memAvailable(), cgroupRoom()].filter((bytes) => bytes !== undefined);
  return limits.length > 0 ? Math.min(...limits) : os.freemem();
}

/** Linux's MemAvailable, with free swap left out: weights in swap would be slower than reading them again. */
function memAvailable(): number | undefined {
  const match = /^MemAvailable:\s+(\d+) kB/m.exec(read("/proc/meminfo") ?? "");
  return match ? Number(match[1]) * 1024 : undefined;
}

/** What the control group (v2 or v1) leaves, or undefined where none sets a limit. Page cache in use can be given back. */
export function cgroupRoom(): number | undefined {
  const groups = (read("/proc/self/cgroup") ?? "").split("\n");
  const v2 = groups.find((line) => line.startsWith("0::"))?.slice(3);
  const v1 = groups.find((line) => line.split(":")[1]?.split(",").includes("memory"))?.split(":")[2];
  const rooms = [
    ...(v2 === undefined ? [] : ["", v2].map((path) => room(`/sys/fs/cgroup${path}`, "memory.max", "memory.current"))),
    ...(v1 === undefined
      ? []
      : ["", v1].map((path) => {
          return room(`/sys/fs/cgroup/memory${path}`, "memory.limit_in_bytes", "memory.usage_in_bytes");
        })),
  ].filter((bytes) => bytes !== undefined);
  return rooms.length > 0 ? Math.min(...rooms) : undefined;
}

function room(folder: string, limitFile: string, usageFile: string): number | undefined {
  const limit = Number(read(`${folder}/${limitFile}`) ?? Number.NaN);
  // "max" is NaN; cgroup v1 says "no limit" with a number near 2^63.
  if (!(limit < 2 ** 50)) return undefined;
  const usage = Number(read(`${folder}/${usageFile}`) ?? 0);
  const cache = /^(?:total_)?inactive_file (\d+)/m.exec(read(`${folder}/memory.stat`) ?? "");
  return Math.max(0, limit - usage + Number(cache?.[1] ?? 0));
}

function read(path: string): string | undefined {
  try {
    return fs.readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
