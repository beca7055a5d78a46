/** What is read from /proc and /sys, on trees made for the purpose and on this machine's own. */

import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { cgroupRoom } from "../../devices/node/cgroup.ts";
import { pressureGauge } from "../../devices/node/pressure.ts";
import { Tree } from "../../devices/node/tree.ts";
import { temporaryPath } from "../fixtures/temporary.ts";

const MIB = 1 << 20;
const MEMINFO = (kilobytes: number) => `MemTotal: 8000000 kB\nMemFree: 100 kB\nMemAvailable:   ${kilobytes} kB\n`;
const PSI = (total: number) =>
  `some avg10=1.00 avg60=0.00 avg300=0.00 total=${total}\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n`;

let root = "";
let count = 0;
let clock = 0;
beforeEach(() => {
  root = temporaryPath(`root-${count++}`);
  mkdirSync(root);
  clock = 0;
});
/** Writes files of the tree; in place, as the kernel's own keep their inode. */
function put(files: Record<string, string | number>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), `${text}`);
  }
}
const gaugeOf = () => pressureGauge(root, () => clock);

describe("memory", () => {
  test("nothing is known where there are no such files", () => {
    expect(gaugeOf()()).toEqual({ availableBytes: undefined, stalledShare: undefined, throttled: undefined });
  });

  test("what the system has, each time anew", () => {
    put({ "proc/meminfo": MEMINFO(2048) });
    const gauge = gaugeOf();
    expect(gauge().availableBytes).toBe(2 * MIB);
    put({ "proc/meminfo": MEMINFO(1024) });
    expect(gauge().availableBytes).toBe(MIB);
  });

  test.each([
    ["v2", "0::/a/b", "sys/fs/cgroup/a/b", "memory.max", "memory.current"],
    ["v1", "4:memory:/a/b", "sys/fs/cgroup/memory/a/b", "memory.limit_in_bytes", "memory.usage_in_bytes"],
  ])("what the control group leaves (%s), its page cache included", (_, line, folder, limit, usage) => {
    put({ "proc/meminfo": MEMINFO(2_000_000), "proc/self/cgroup": `9:name=systemd:/\n${line}\n` });
    put({ [`${folder}/${limit}`]: 512 * MIB, [`${folder}/${usage}`]: 500 * MIB });
    put({ [`${folder}/memory.stat`]: `anon 1\ninactive_file ${20 * MIB}\nactive_file ${7 * MIB}\n` });
    const gauge = gaugeOf();
    expect(gauge().availableBytes).toBe(39 * MIB);
    expect(cgroupRoom(new Tree(root))).toBe(39 * MIB);
    put({ [`${folder}/${limit}`]: 400 * MIB });
    expect(gauge().availableBytes).toBe(0);
    put({ [`${folder}/${limit}`]: "max" });
    expect(gauge().availableBytes).toBe(2_000_000 * 1024);
    put({ [`${folder}/${limit}`]: "9223372036854771712" });
    expect(cgroupRoom(new Tree(root))).toBe(undefined);
  });

  test("the share of the time that something waited for it, of the group rather than of all", () => {
    put({ "proc/pressure/memory": PSI(1_000_000), "proc/meminfo": MEMINFO(1000) });
    const all = gaugeOf();
    clock = 1000;
    put({ "proc/pressure/memory": PSI(1_250_000) });
    expect(all().stalledShare).toBe(0.25);
    expect(all().stalledShare).toBe(undefined); // no time has passed
    put({ "proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.pressure": PSI(0) });
    const own = gaugeOf();
    clock = 2000;
    put({ "proc/pressure/memory": PSI(9_000_000) });
    expect(own().stalledShare).toBe(0);
    // Without its own figure, only the system's memory is what others wait for.
    put({
      "sys/fs/cgroup/a/memory.pressure": "",
      "sys/fs/cgroup/a/memory.max": 1000,
      "sys/fs/cgroup/a/memory.current": 0,
    });
    const limited = gaugeOf();
    clock = 3000;
    put({ "proc/pressure/memory": PSI(9_500_000) });
    expect(limited().stalledShare).toBe(undefined);
  });
});

describe("heat", () => {
  const zone = (number: number, type: string, temperature: number, trips: [string, number][]) => {
    const folder = `sys/class/thermal/thermal_zone${number}`;
    put({ [`${folder}/type`]: `${type}\n`, [`${folder}/temp`]: temperature });
    trips.forEach(([kind, at], i) => {
      put({ [`${folder}/trip_point_${i}_type`]: `${kind}\n`, [`${folder}/trip_point_${i}_temp`]: at });
    });
    return (now: number) => put({ [`${folder}/temp`]: now });
  };
  /** Sensors are asked every two seconds. */
  const later = (gauge: ReturnType<typeof gaugeOf>) => {
    clock += 2000;
    return gauge().throttled;
  };

  test("a zone at the last of its passive trips", () => {
    const set = zone(0, "soc-thermal", 60_000, [
      ["passive", 75_000],
      ["passive", 85_000],
      ["critical", 115_000],
    ]);
    const gauge = gaugeOf();
    expect(gauge().throttled).toBe(undefined);
    set(84_000);
    expect(later(gauge)).toBe(undefined);
    set(85_400);
    expect(gauge().throttled).toBe(undefined);
    expect(later(gauge)).toBe("soc-thermal is at 85 °C");
    set(70_000);
    expect(later(gauge)).toBe(undefined);
  });

  test("a zone that is nearly critical; others' zones, and trips that make no sense, do not count", () => {
    zone(0, "iwlwifi_1", 99_000, [["critical", 90_000]]);
    zone(1, "acpitz", 30_000, [["passive", -274_000]]);
    const set = zone(2, "x86_pkg_temp", 94_000, [["critical", 100_000]]);
    const gauge = gaugeOf();
    expect(gauge().throttled).toBe(undefined);
    set(95_000);
    expect(later(gauge)).toBe("x86_pkg_temp is at 95 °C");
  });

  test("a clock far below what it was, where it is warm", () => {
    const set = zone(0, "cpu-thermal", 50_000, [["passive", 80_000]]);
    const speed = (kilohertz: number) => put({ "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": kilohertz });
    speed(1_800_000);
    const gauge = gaugeOf();
    expect(gauge().throttled).toBe(undefined);
    speed(600_000); // the governor: nothing to do
    expect(later(gauge)).toBe(undefined);
    set(70_000);
    expect(later(gauge)).toBe("the clock fell to 600 of 1800 MHz");
    speed(1_500_000);
    expect(later(gauge)).toBe(undefined);
  });

  test("what Raspberry Pi's firmware says: now, not earlier, and not for want of voltage alone", () => {
    const file = "sys/devices/platform/soc/soc:firmware/get_throttled";
    put({ [file]: "50001\n" });
    const gauge = gaugeOf();
    expect(gauge().throttled).toBe(undefined);
    for (const bits of ["2", "50004", "8"]) {
      put({ [file]: `${bits}\n` });
      expect(later(gauge)).toBe("the firmware throttles the processor");
    }
  });
});

test.skipIf(process.platform !== "linux")("this machine's own files are understood (Linux)", () => {
  const { availableBytes, stalledShare = 0 } = pressureGauge()();
  expect(availableBytes).toBeGreaterThan(0);
  expect(stalledShare).toBeGreaterThanOrEqual(0);
  expect(stalledShare).toBeLessThanOrEqual(1);
});
