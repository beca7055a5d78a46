/** What is known of devices: the figures of the *.json files beside this one, each with its source, and what follows. */

import type { MachineSpeed } from "../../runtime/device.ts";
import androidFlagship from "./android-flagship.json" with { type: "json" };
import androidMidrange from "./android-midrange.json" with { type: "json" };
import cm5 from "./cm5.json" with { type: "json" };
import generic from "./generic.json" with { type: "json" };
import ios4gb from "./ios-4gb.json" with { type: "json" };
import ios8gb from "./ios-8gb.json" with { type: "json" };
import laptop from "./laptop.json" with { type: "json" };
import orangePi5 from "./orange-pi-5.json" with { type: "json" };
import pi3bPlus from "./pi-3b-plus.json" with { type: "json" };
import pi4 from "./pi-4.json" with { type: "json" };
import pi5 from "./pi-5.json" with { type: "json" };
import pi400 from "./pi-400.json" with { type: "json" };
import piZero2W from "./pi-zero-2-w.json" with { type: "json" };

/** A figure, its unit, and where it is from. */
export interface Figure<T = number> {
  value: T;
  unit: string;
  /** "measured" by this project, "published" by others, or "predicted": an estimate. */
  basis: string;
  source: string;
}

export const STORAGE_KINDS = ["sd", "emmc", "usb", "nvme", "disk"] as const;
export type StorageKind = (typeof STORAGE_KINDS)[number];

export interface Profile {
  id: string;
  name: string;
  /** "board", "webview" or "computer". */
  kind: string;
  /** Regular expressions for the device tree's model. */
  matches: string[];
  cores: { fast: Figure; slow: Figure };
  /** Of the fast cores, GHz. */
  clock: Figure;
  /** Vector extensions, as /proc/cpuinfo names them. */
  features: Figure<string[]>;
  instructionsPerWeight: { int4: Figure; int8: Figure };
  instructionsPerCycle: Figure;
  /** GB/s read by one thread, and by all. */
  memory: { one: Figure; all: Figure };
  /** MB/s of sequential reads, and which kind is usual ("none": nothing can be streamed). */
  storage: { usual: string; reads: { [kind in StorageKind]?: Figure } };
  /** By size, smallest first: the product's memory, and what is left to a process. Bytes. */
  ram: { usual: string; sizes: Record<string, { total: Figure; usable: Figure }> };
  /** Recommended threads. */
  threads: Figure;
  sharedMemory: Figure<boolean>;
}

export const PROFILES: readonly Profile[] = [
  piZero2W,
  pi3bPlus,
  pi4,
  pi400,
  pi5,
  cm5,
  orangePi5,
  androidMidrange,
  androidFlagship,
  ios4gb,
  ios8gb,
  laptop,
  generic,
] as Profile[];

/** A profile in one of its sizes. */
export interface Target {
  /** The profile's, followed by the size where there are several. */
  id: string;
  name: string;
  profile: Profile;
  totalBytes: number;
  usableBytes: number;
}

/** Every device in every size. */
export const TARGETS: readonly Target[] = PROFILES.flatMap(targetsOf);

/** What users may name: every size, and a profile for its usual size. */
export const DEVICE_IDS: readonly string[] = [
  ...new Set(PROFILES.flatMap((profile) => [profile.id, ...targetsOf(profile).map(({ id }) => id)])),
];

function targetsOf(profile: Profile): Target[] {
  const sizes = Object.entries(profile.ram.sizes);
  return sizes.map(([size, { total, usable }]) => {
    const many = sizes.length > 1;
    const id = many ? `${profile.id}-${size}` : profile.id;
    const name = many ? `${profile.name}, ${size.replace("gb", " GB")}` : profile.name;
    return { id, name, profile, totalBytes: total.value, usableBytes: usable.value };
  });
}

/** The device that an id names, in its usual size where it names none. */
export function findTarget(id: string): Target | undefined {
  const profile = PROFILES.find((one) => one.id === id);
  if (!profile) return TARGETS.find((one) => one.id === id);
  const usual = profile.ram.sizes[profile.ram.usual].total.value;
  return targetsOf(profile).find(({ totalBytes }) => totalBytes === usual);
}

/** A profile in the smallest size that has at least `bytes` (Linux sees a little less than there is), or its largest. */
export function targetOfSize(profile: Profile, bytes: number): Target {
  const targets = targetsOf(profile);
  return targets.find(({ totalBytes }) => totalBytes >= bytes) ?? targets[targets.length - 1];
}

/** The same machine with storage that was measured, bytes a second. */
export function withStorage(speed: MachineSpeed, storageBytes: number): MachineSpeed {
  const [memory] = speed.figures.split(", ");
  return { ...speed, storageBytes, figures: `${memory}, ${Math.round(storageBytes / 1e6)} MB/s measured here` };
}

/** What predictions are made of; from the profile's usual storage where `storage` is not among its kinds. */
export function speedOf(profile: Profile, storage?: StorageKind): MachineSpeed {
  const { memory, clock, cores, instructionsPerCycle, instructionsPerWeight } = profile;
  const { usual, reads } = profile.storage;
  const kind = storage && reads[storage] ? storage : (usual as StorageKind);
  const read = reads[kind];
  const figures = `${memory.all.value} GB/s of memory${read ? `, ${read.value} MB/s of ${kind}` : ""}`;
  return {
    figures: `${profile.id}: ${figures}`,
    cores: cores.fast.value,
    memoryBytes: { one: memory.one.value * 1e9, all: memory.all.value * 1e9 },
    ...(read ? { storageBytes: read.value * 1e6 } : {}),
    instructions: clock.value * 1e9 * instructionsPerCycle.value,
    instructionsPerWeight: { int4: instructionsPerWeight.int4.value, int8: instructionsPerWeight.int8.value },
  };
}
