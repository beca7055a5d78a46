/** What the control groups (v1 and v2) around this process allow it. A limit anywhere up the hierarchy counts. */

import { HOST_TREE, type Tree } from "./tree.ts";

/** Folders of the groups that this process is in for a controller, by the version of their files. */
function folders(tree: Tree, controller: string): { v1: string[]; v2: string[] } {
  const lines = (tree.read("/proc/self/cgroup") ?? "").split("\n").map((line) => /^\d+:([^:]*):(.*)$/.exec(line));
  const v2 = lines.find((match) => match?.[1] === "")?.[2];
  const v1 = lines.find((match) => match?.[1].split(",").includes(controller));
  const mounts = v1 ? [...new Set([v1[1], controller])] : [];
  return {
    v1: mounts.flatMap((mount) => upwards(`/sys/fs/cgroup/${mount}`, v1![2])),
    v2: v2 === undefined ? [] : ["", "/unified"].flatMap((mount) => upwards(`/sys/fs/cgroup${mount}`, v2)),
  };
}

/** A mount's folder for a path within it, and those of all its parents. In a container the mount may be the group itself. */
function upwards(mount: string, group: string): string[] {
  const names = group.split("/").filter(Boolean);
  return [mount, ...names.map((_, i) => [mount, ...names.slice(0, i + 1)].join("/"))];
}

const least = (values: readonly (number | undefined)[]): number | undefined => {
  const known = values.filter((value) => value !== undefined);
  return known.length > 0 ? Math.min(...known) : undefined;
};

/** A group's folder and the names of its files. */
export interface MemoryGroup {
  folder: string;
  limit: string;
  usage: string;
}

/** The groups that may limit this process's memory, from the top of each hierarchy down. */
export function memoryGroups(tree: Tree = HOST_TREE): MemoryGroup[] {
  const { v1, v2 } = folders(tree, "memory");
  return [
    ...v2.map((folder) => ({ folder, limit: "memory.max", usage: "memory.current" })),
    ...v1.map((folder) => ({ folder, limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes" })),
  ];
}

/** Bytes that the memory limits leave, or undefined where there is none. */
export function cgroupRoom(tree: Tree = HOST_TREE): number | undefined {
  return least(
    memoryGroups(tree).map(({ folder, limit, usage }) => {
      const read = (name: string) => tree.read(`${folder}/${name}`) ?? "";
      return roomOf(read(limit), read(usage), read("memory.stat"));
    }),
  );
}

/**
 * What a group leaves, by its files' texts; undefined where it has no limit. Its page cache can be given back, the part of
 * it that was used twice as well (MemAvailable counts both): the copy of a file beside its cached pages is no shortage.
 */
export function roomOf(limitText: string, usageText: string, stat: string): number | undefined {
  const limit = limitText === "" ? Number.NaN : Number(limitText);
  // "max" is no number; cgroup v1 says "no limit" with a number near 2^63.
  if (!(limit < 2 ** 50)) return undefined;
  return Math.max(0, limit - Number(usageText) + cacheOf("inactive_file", stat) + cacheOf("active_file", stat));
}

/** Bytes of a line of memory.stat; in v1 "total_" lines have those of the groups below as well. */
function cacheOf(name: string, stat: string): number {
  const line = (key: string) => new RegExp(`^${key} (\\d+)`, "m").exec(stat)?.[1];
  return Number(line(`total_${name}`) ?? line(name) ?? 0);
}

/** Cores' worth of time that the quotas allow, such as 1.5, or undefined where there is none. */
export function cgroupCpus(tree: Tree = HOST_TREE): number | undefined {
  const { v1, v2 } = folders(tree, "cpu");
  return least([
    ...v2.map((folder) => quota(...((tree.read(`${folder}/cpu.max`) ?? "").split(" ") as [string, string?]))),
    ...v1.map((folder) => quota(tree.read(`${folder}/cpu.cfs_quota_us`), tree.read(`${folder}/cpu.cfs_period_us`))),
  ]);
}

/** Both in microseconds; "max" and -1 mean that there is no quota. */
function quota(time: string | undefined, period: string | undefined): number | undefined {
  const cpus = Number(time) / Number(period);
  return cpus > 0 && Number.isFinite(cpus) ? cpus : undefined;
}
