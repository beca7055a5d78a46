/** Heat, clocks and throttling, as Linux and a Raspberry Pi's firmware tell them. Whatever is missing is left out. */

import { execFileSync } from "node:child_process";
import { HOST_TREE, type Tree } from "./tree.ts";

export interface ThermalZone {
  name: string;
  /** Degrees Celsius. */
  celsius: number;
  /** Where the system begins to slow down, if it tells. */
  passiveCelsius?: number;
}

/** Every sensor that can be read. */
export function thermalZones(tree: Tree = HOST_TREE): ThermalZone[] {
  return tree.list("/sys/class/thermal").flatMap((zone) => {
    const folder = `/sys/class/thermal/${zone}`;
    const milli = tree.number(`${folder}/temp`);
    // Sensors that are off say 0, or nonsense.
    if (!zone.startsWith("thermal_zone") || milli === undefined || milli <= 0 || milli > 200_000) return [];
    const trips = tripPoints(tree, folder).filter(({ kind }) => kind === "passive");
    const passive = trips.length > 0 ? { passiveCelsius: Math.min(...trips.map(({ milli: at }) => at)) / 1000 } : {};
    return [{ name: tree.read(`${folder}/type`) ?? zone, celsius: milli / 1000, ...passive }];
  });
}

/** Where the system acts on a zone's heat, in millidegrees. Some firmware has trips of -274 degrees, which are left out. */
export function tripPoints(tree: Tree, zoneFolder: string): { kind: string; milli: number }[] {
  return tree
    .list(zoneFolder)
    .flatMap((file) => /^trip_point_(\d+)_type$/.exec(file)?.[1] ?? [])
    .map((trip) => ({
      kind: tree.read(`${zoneFolder}/trip_point_${trip}_type`) ?? "",
      milli: tree.number(`${zoneFolder}/trip_point_${trip}_temp`) ?? 0,
    }))
    .filter(({ milli }) => milli > 0);
}

export interface ClockPolicy {
  /** The cores it governs, as "0-3" or "0 1". */
  cores: string;
  governor: string;
  driver: string;
  /** MHz: now, what is allowed, and what the hardware can do. */
  currentMhz: number;
  allowedMhz: number;
  mostMhz: number;
}

/** One for each group of cores with a clock of its own. */
export function clockPolicies(tree: Tree = HOST_TREE): ClockPolicy[] {
  const root = "/sys/devices/system/cpu/cpufreq";
  return tree.list(root).flatMap((policy) => {
    const mhz = (name: string) => (tree.number(`${root}/${policy}/${name}`) ?? Number.NaN) / 1000;
    const mostMhz = mhz("cpuinfo_max_freq");
    if (!policy.startsWith("policy") || !(mostMhz > 0)) return [];
    const current = mhz("scaling_cur_freq");
    const allowed = mhz("scaling_max_freq");
    return [
      {
        cores: tree.read(`${root}/${policy}/related_cpus`) ?? policy.slice("policy".length),
        governor: tree.read(`${root}/${policy}/scaling_governor`) ?? "unknown",
        driver: tree.read(`${root}/${policy}/scaling_driver`) ?? "unknown",
        currentMhz: current > 0 ? current : mostMhz,
        allowedMhz: allowed > 0 ? allowed : mostMhz,
        mostMhz,
      },
    ];
  });
}

/** Bits of the Raspberry Pi firmware's get_throttled; 16 higher: has happened since the start. */
const THROTTLE_BITS = ["under-voltage", "clock capped", "throttled", "soft temperature limit"] as const;
export type ThrottleReason = (typeof THROTTLE_BITS)[number];

export interface Throttling {
  now: ThrottleReason[];
  sinceStart: ThrottleReason[];
}

/** What the bits of get_throttled say. */
export function decodeThrottled(bits: number): Throttling {
  const set = (shift: number) => THROTTLE_BITS.filter((_, i) => ((bits >>> (i + shift)) & 1) === 1);
  return { now: set(0), sinceStart: set(16) };
}

/** Runs a program and gives its output, or undefined where it is not there or fails. */
export type Run = (program: string, args: string[]) => string | undefined;

export const runProgram: Run = (program, args) => {
  try {
    return execFileSync(program, args, { encoding: "utf8", timeout: 1000, stdio: ["ignore", "pipe", "ignore"] });
  } catch {
    return undefined;
  }
};

/** From the firmware's file or `vcgencmd get_throttled`; undefined where there is neither. */
export function readThrottling(tree: Tree = HOST_TREE, run: Run = runProgram): Throttling | undefined {
  const file = tree.read("/sys/devices/platform/soc/soc:firmware/get_throttled");
  const text = file !== undefined ? `=0x${file.replace(/^0x/, "")}` : (run("vcgencmd", ["get_throttled"]) ?? "");
  const hex = /=0x([0-9a-f]+)/i.exec(text)?.[1];
  return hex === undefined ? undefined : decodeThrottled(Number.parseInt(hex, 16));
}
