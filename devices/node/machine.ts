/** Which device this is, and how many threads suit it: from the device tree, sysfs, /proc and the limits around the process. */

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { MachineSpeed } from "../../runtime/device.ts";
import { PROFILES, type Profile, type StorageKind, speedOf, type Target, targetOfSize } from "../profiles/profiles.ts";
import { threadsWithin } from "./address-space.ts";
import { cgroupCpus } from "./cgroup.ts";
import { meminfo } from "./memory.ts";
import { storeFolder } from "./paths.ts";
import { HOST_TREE, type Tree } from "./tree.ts";

/** What a detection looks at. */
export interface Surroundings {
  tree: Tree;
  arch: string;
  /** Logical cores that the system offers to this process. */
  parallelism: number;
  totalBytes: number;
  /** Major and minor number of the device that holds the store, as "179:2". */
  storeDevice?: string;
}

export interface Machine {
  /** What the device calls itself, e.g. "Raspberry Pi 4 Model B Rev 1.1"; undefined on PCs. */
  model?: string;
  target: Target;
  /** Cores that this process may run on, by kind. */
  cores: { fast: number; slow: number };
  /** Cores' worth of time that quotas allow. */
  quota?: number;
  /** The default number of threads. */
  threads: number;
  /** Vector extensions that decide how fast the kernels are. */
  features: string[];
  storage?: StorageKind;
  speed: MachineSpeed;
}

/**
 * Cores with less than this share of the fastest one's capacity, or clock, would hold the others up at every barrier.
 * A clock says less: slow cores also do less in a cycle.
 */
const FAST_SHARE = { capacity: 0.7, clock: 0.85 };
/** The memory's bandwidth is used up long before; more threads cost at every barrier. */
const MOST_DEFAULT_THREADS = 16;
const NOTABLE_FEATURES = ["sse4_1", "avx", "avx2", "avx_vnni", "avx512_vnni", "fma", "asimd", "asimddp", "i8mm", "sve"];
/** What a machine that has no profile must have to be taken for a laptop. */
const LAPTOP_BYTES = 4 * 2 ** 30;

export function detectMachine(surroundings: Surroundings = surroundingsOfHost()): Machine {
  const { tree, storeDevice } = surroundings;
  const model = tree.read("/proc/device-tree/model") ?? tree.read("/sys/firmware/devicetree/base/model");
  const totalBytes = meminfo("MemTotal", tree) ?? surroundings.totalBytes;
  const target = targetOfSize(profileOf(model, totalBytes, surroundings.arch), totalBytes);
  const cores = coresOf(surroundings);
  const quota = cgroupCpus(tree);
  const storage = storeDevice === undefined ? undefined : storageKind(tree, storeDevice);
  return {
    ...(model ? { model } : {}),
    target,
    cores,
    ...(quota === undefined ? {} : { quota }),
    threads: Math.min(defaultThreads(cores.fast, surroundings.parallelism, quota), threadsWithin(tree)),
    features: featuresOf(tree),
    ...(storage ? { storage } : {}),
    speed: { ...speedOf(target.profile, storage), cores: cores.fast },
  };
}

let detected: Machine | undefined;

/** This machine, looked at once. */
export function thisMachine(): Machine {
  detected ??= detectMachine();
  return detected;
}

function surroundingsOfHost(): Surroundings {
  return {
    tree: HOST_TREE,
    arch: process.arch,
    parallelism: os.availableParallelism(),
    totalBytes: os.totalmem(),
    storeDevice: deviceOf(storeFolder()),
  };
}

/** Of a folder, or of the nearest one above it that is there. */
function deviceOf(folder: string): string | undefined {
  try {
    const { dev } = fs.statSync(folder);
    // glibc's makedev; nothing is lost of the numbers that there are.
    return `${(dev >>> 8) & 0xfff}:${(dev & 0xff) | ((dev >>> 12) & 0xfff00)}`;
  } catch {
    const parent = path.dirname(folder);
    return parent === folder ? undefined : deviceOf(parent);
  }
}

function profileOf(model: string | undefined, totalBytes: number, arch: string): Profile {
  const named = PROFILES.find(({ matches }) => matches.some((one) => new RegExp(one).test(model ?? "")));
  const id =
    model === undefined && totalBytes >= LAPTOP_BYTES && (arch === "x64" || arch === "arm64") ? "laptop" : "generic";
  return named ?? PROFILES.find((profile) => profile.id === id)!;
}

/** As many as there are fast cores, whole cores of a quota, and cores in the process's mask; at least one. */
function defaultThreads(fast: number, parallelism: number, quota = Number.POSITIVE_INFINITY): number {
  return Math.max(1, Math.min(fast, parallelism, Math.floor(quota), MOST_DEFAULT_THREADS));
}

/** Cores that the process may run on: those near the fastest one's capacity, and the others. */
function coresOf({ tree, parallelism }: Surroundings): { fast: number; slow: number } {
  const mask = /^Cpus_allowed_list:\s*(\S+)/m.exec(tree.read("/proc/self/status") ?? "")?.[1];
  const online = tree.read("/sys/devices/system/cpu/online");
  const present = new Set(parseCores(online ?? mask ?? ""));
  const allowed = mask === undefined ? [...present] : parseCores(mask).filter((core) => present.has(core));
  if (allowed.length === 0) return { fast: parallelism, slow: 0 };
  const { values, share } = capacitiesOf(tree, allowed);
  // The fastest of those that may be used: a process that was moved to the slow cores has no others.
  const fast = values.filter((value) => value >= share * Math.max(...values)).length;
  return { fast, slow: allowed.length - fast };
}

/** The scheduler's figures, or else the highest clocks; all alike where Linux tells neither. */
function capacitiesOf(tree: Tree, cores: readonly number[]): { values: number[]; share: number } {
  const all = (file: string) => cores.map((core) => tree.number(`/sys/devices/system/cpu/cpu${core}/${file}`) ?? 0);
  const capacities = all("cpu_capacity");
  if (capacities.some((value) => value > 0)) return { values: capacities, share: FAST_SHARE.capacity };
  return { values: all("cpufreq/cpuinfo_max_freq"), share: FAST_SHARE.clock };
}

/** "0-3,6" as numbers. */
function parseCores(list: string): number[] {
  return list.split(",").flatMap((range) => {
    const [, from, to] = /^(\d+)(?:-(\d+))?$/.exec(range.trim()) ?? [];
    if (from === undefined) return [];
    return Array.from({ length: Number(to ?? from) - Number(from) + 1 }, (_, i) => Number(from) + i);
  });
}

function featuresOf(tree: Tree): string[] {
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(tree.read("/proc/cpuinfo") ?? "")?.[1].split(" ") ?? [];
  return NOTABLE_FEATURES.filter((feature) => flags.includes(feature));
}

/** What kind of block device it is; undefined for network, memory and overlay file systems. */
function storageKind(tree: Tree, device: string): StorageKind | undefined {
  const link = tree.link(`/sys/dev/block/${device}`);
  if (link === undefined) return undefined;
  if (/\/nvme\d/.test(link)) return "nvme";
  if (/\/usb\d/.test(link)) return "usb";
  const card = /\/(mmc\d+:\w+)\/block\/(mmcblk\d+)/.exec(link);
  if (!card) return "disk";
  return tree.read(`/sys/block/${card[2]}/device/type`) === "MMC" ? "emmc" : "sd";
}
