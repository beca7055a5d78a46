/**
 * What this machine is short of, from /proc and /sys: memory that is left, time spent waiting for it, heat. Files are found
 * and opened once; to read them all again takes some 30 us, so that it can be done between tokens.
 */

import fs from "node:fs";
import path from "node:path";
import type { Pressure } from "../../runtime/device.ts";
import { memoryGroups, roomOf } from "./cgroup.ts";
import { meminfoLine } from "./memory.ts";
import { tripPoints } from "./thermal.ts";
import { Tree } from "./tree.ts";

/** Heat changes slowly, and some sensors answer slowly. */
const HEAT_INTERVAL_MS = 2000;
/** A passive trip is where Linux begins to throttle; a critical or hot one where it turns the machine off. */
const BEFORE_CRITICAL = 5_000;
/** This close to a trip, millidegrees, a lower clock is put down to heat. */
const WARM = 15_000;
const SLOW_CLOCK = 0.75;
/** Of Raspberry Pi's firmware: the clock is capped, it is throttled, the soft temperature limit is active. */
const FIRMWARE_FILE = "sys/devices/platform/soc/soc:firmware/get_throttled";
const FIRMWARE_BITS = 0xe;
const CPU_ZONE = /cpu|soc|core|pkg|acpitz/i;

/** A small file whose text changes; "" where it is not there (any more). */
class Gauge {
  private readonly fd: number | undefined;
  private readonly buffer = Buffer.alloc(4096);

  constructor(file: string) {
    try {
      this.fd = fs.openSync(file, "r");
    } catch {
      this.fd = undefined;
    }
  }

  get there(): boolean {
    return this.fd !== undefined;
  }

  text(): string {
    if (this.fd === undefined) return "";
    try {
      return this.buffer.toString("latin1", 0, fs.readSync(this.fd, this.buffer, 0, this.buffer.length, 0));
    } catch {
      return ""; // a sensor that is busy, or a group that was removed
    }
  }

  number(): number | undefined {
    const text = this.text().trim();
    return text === "" || Number.isNaN(Number(text)) ? undefined : Number(text);
  }
}

/** Returns a function that says what is short; `root` is where proc and sys are, `now` gives milliseconds. */
export function pressureGauge(root = "/", now: () => number = () => performance.now()): () => Pressure {
  const meminfo = new Gauge(path.join(root, "proc/meminfo"));
  const status = new Gauge(path.join(root, "proc/self/status"));
  const tree = new Tree(root);
  const folders = memoryGroups(tree);
  const groups = folders.map(({ folder, limit, usage }) => {
    return [limit, usage, "memory.stat"].map((name) => new Gauge(path.join(root, folder, name)));
  });
  const ownStalls = stallGauge(
    folders.map(({ folder }) => path.join(root, folder, "memory.pressure")).toReversed(),
    now,
  );
  const allStalls = stallGauge([path.join(root, "proc/pressure/memory")], now);
  const heat = heatGauge(root, tree);
  let askedMs = Number.NEGATIVE_INFINITY;
  let throttled: string | undefined;
  return () => {
    if (now() - askedMs >= HEAT_INTERVAL_MS) {
      askedMs = now();
      throttled = heat();
    }
    const rooms = groups.map(([limit, usage, stat]) => roomOf(limit.text(), usage.text(), stat.text()) ?? Infinity);
    const group = Math.min(...rooms);
    const system = meminfoLine("MemAvailable", meminfo.text()) ?? Infinity;
    const least = Math.min(group, system);
    // Where a group's limit is the tightest, others' waiting for the system's memory is none of our business.
    const [own, all] = [ownStalls(), allStalls()];
    const stalledShare = own ?? (system < group ? all : undefined);
    const ownBytes = meminfoLine("RssAnon", status.text());
    return { availableBytes: least < Infinity ? least : undefined, ownBytes, stalledShare, throttled };
  };
}

/** Share of the time since the last call in which something waited for memory, by the first of the files that is there. */
function stallGauge(files: readonly string[], now: () => number): () => number | undefined {
  const gauge = files.map((file) => new Gauge(file)).find((one) => totalStall(one.text()) !== undefined);
  if (!gauge) return () => undefined;
  let before = { us: totalStall(gauge.text()) ?? 0, ms: now() };
  return () => {
    const us = totalStall(gauge.text());
    const ms = now();
    if (us === undefined || ms <= before.ms) return undefined;
    const share = (us - before.us) / 1000 / (ms - before.ms);
    before = { us, ms };
    return Math.min(1, Math.max(0, share));
  };
}

/** "some avg10=0.00 avg60=0.00 avg300=0.00 total=12": microseconds so far in which at least one task waited. */
function totalStall(text: string): number | undefined {
  const match = /^some .*total=(\d+)/m.exec(text);
  return match ? Number(match[1]) : undefined;
}

interface Zone {
  name: string;
  temperature: Gauge;
  /** Millidegrees from which on it counts as throttled. */
  limit: number;
}

/** Says why the processor is slower than it could be; undefined where it is not. */
function heatGauge(root: string, tree: Tree): () => string | undefined {
  const zones = processorZones(root, tree);
  const clocks = tree
    .list("/sys/devices/system/cpu/cpufreq")
    .map((name) => new Gauge(path.join(root, "sys/devices/system/cpu/cpufreq", name, "scaling_cur_freq")))
    .filter(({ there }) => there);
  const firmware = new Gauge(path.join(root, FIRMWARE_FILE));
  let fastest = 0;
  return () => {
    const bits = Number.parseInt(firmware.text(), 16);
    if ((bits & FIRMWARE_BITS) !== 0) return "the firmware throttles the processor";
    const seen = zones.map((zone) => ({ ...zone, now: zone.temperature.number() ?? 0 }));
    const hot = seen.find(({ now, limit }) => now >= limit);
    if (hot) return `${hot.name} is at ${Math.round(hot.now / 1000)} °C`;
    const clock = Math.max(0, ...clocks.map((gauge) => gauge.number() ?? 0));
    fastest = Math.max(fastest, clock);
    const warm = seen.some(({ now, limit }) => now >= limit - WARM);
    // Without heat, a lower clock is a governor that sees the processor wait for storage.
    if (!warm || clock >= SLOW_CLOCK * fastest) return undefined;
    return `the clock fell to ${Math.round(clock / 1000)} of ${Math.round(fastest / 1000)} MHz`;
  };
}

/** The processor's sensors that say when it is too hot. */
function processorZones(root: string, tree: Tree): Zone[] {
  return tree.list("/sys/class/thermal").flatMap((zone) => {
    const folder = `/sys/class/thermal/${zone}`;
    const name = tree.read(`${folder}/type`) ?? "";
    if (!zone.startsWith("thermal_zone") || !CPU_ZONE.test(name)) return [];
    const trips = tripPoints(tree, folder);
    const of = (kinds: string[]) => trips.filter(({ kind }) => kinds.includes(kind)).map(({ milli }) => milli);
    const passive = of(["passive"]);
    const last = of(["hot", "critical"]);
    if (passive.length + last.length === 0) return [];
    // The first of several passive trips only starts the governor.
    const limit = passive.length > 0 ? Math.max(...passive) : Math.min(...last) - BEFORE_CRITICAL;
    return [{ name, temperature: new Gauge(path.join(root, folder, "temp")), limit }];
  });
}
