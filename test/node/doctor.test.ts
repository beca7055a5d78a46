/** The doctor's checks, on folders that look like other machines. */

import fs from "node:fs";
import path from "node:path";
import { describe, expect, it, test } from "vitest";
import type { Check } from "../../devices/node/doctor/check.ts";
import { engine, engineChecks, survival } from "../../devices/node/doctor/engine.ts";
import { mapping, memoryChecks } from "../../devices/node/doctor/memory.ts";
import { processorChecks } from "../../devices/node/doctor/processor.ts";
import { storageCheck, streamedBytesAt1GiB } from "../../devices/node/doctor/storage.ts";
import { detectMachine } from "../../devices/node/machine.ts";
import {
  clockPolicies,
  decodeThrottled,
  readThrottling,
  runProgram,
  thermalZones,
} from "../../devices/node/thermal.ts";
import { coresWith, fakeTree, meminfoOf } from "../fixtures/fake-tree.ts";
import { temporaryPath } from "../fixtures/temporary.ts";

const nothing = () => undefined;
const GIB = 2 ** 30;

function named(checks: readonly Check[], name: string): Check {
  const check = checks.find((one) => one.name === name);
  expect(check, name).toBeDefined();
  return check!;
}

function memoryOf(files: Record<string, string>): (name: string) => Check {
  const checks = memoryChecks(fakeTree(files), 4 * GIB);
  return (name) => named(checks, name);
}

function processorOf(files: Record<string, string>, run = nothing as (program: string) => string | undefined) {
  const tree = fakeTree(files);
  const machine = detectMachine({ tree, arch: "arm64", parallelism: 4, totalBytes: GIB });
  const checks = processorChecks(tree, machine, run);
  return (name: string) => named(checks, name);
}

test("a machine that tells nothing is no error", () => {
  for (const check of [...memoryChecks(fakeTree({}), GIB), ...processorChecks(...bare())]) {
    expect(check.name).not.toBe("");
    expect(check.value).not.toMatch(/NaN|undefined|Infinity/);
  }
});

function bare(): Parameters<typeof processorChecks> {
  const tree = fakeTree({});
  return [tree, detectMachine({ tree, arch: "mips", parallelism: 1, totalBytes: 0 }), nothing];
}

describe("memory", () => {
  it("is enough, short, or too little", () => {
    const free = (mib: number) => memoryOf({ "/proc/meminfo": meminfoOf(3900, mib) })("memory");
    expect(free(3000)).toEqual({ name: "memory", ok: true, value: "2.9 GiB free of 3.8 GiB" });
    expect(free(800)).toMatchObject({ ok: false, value: "800 MiB free of 3.8 GiB" });
    expect(free(800).advice).toContain("streamed");
    expect(free(200).advice).toContain("Too little");
  });

  it("tells swap on storage from zram, and swap on a card", () => {
    const swaps = (line: string, more = {}) => {
      return memoryOf({ "/proc/swaps": `Filename\tType\tSize\tUsed\tPriority\n${line}`, ...more })("swap");
    };
    expect(swaps("")).toMatchObject({ ok: true, value: "none" });
    const zram = swaps("/dev/zram0\tpartition\t1048576\t0\t100\n/var/swap\tfile\t524288\t0\t-2\n");
    expect(zram).toMatchObject({ value: "1.0 GiB zram, 512 MiB on storage" });
    expect(zram.advice).toContain("do not compress");
    const mounts = { "/proc/mounts": "/dev/mmcblk0p2 / ext4 rw 0 0\n" };
    expect(swaps("/var/swap\tfile\t102396\t0\t-2\n", mounts).advice).toContain("wears it out");
    expect(swaps("/dev/nvme0n1p3\tpartition\t102396\t0\t-2\n").advice).toBeUndefined();
  });

  it("shows what a control group leaves", () => {
    const group = {
      "/proc/self/cgroup": "0::/\n",
      "/sys/fs/cgroup/memory.max": `${GIB}`,
      "/sys/fs/cgroup/memory.current": "0",
    };
    expect(memoryOf(group)("cgroup memory")).toMatchObject({ value: "1.0 GiB left", advice: expect.any(String) });
    expect(memoryOf({})("cgroup memory").value).toBe("no limit");
  });

  it("warns of strict overcommit where little can be promised, and of limits of the address space", () => {
    const strict = (committedKb: number) =>
      memoryOf({
        "/proc/sys/vm/overcommit_memory": "2\n",
        "/proc/meminfo": `${meminfoOf(4000)}CommitLimit: 4000000 kB\nCommitted_AS: ${committedKb} kB\n`,
      })("overcommit");
    expect(strict(3_900_000)).toMatchObject({ ok: false, value: "2 (never)" });
    expect(strict(100_000).ok).toBe(true);
    const limit = (bytes: string) =>
      memoryOf({ "/proc/self/limits": `Max address space   ${bytes}  ${bytes}  bytes\n` });
    expect(limit("unlimited")("address space")).toMatchObject({ ok: true, value: "no limit" });
    expect(limit(`${4 * GIB}`)("address space")).toMatchObject({ ok: false, value: "4.0 GiB" });
  });

  it("knows huge pages, and whether packs can be mapped", () => {
    const pages = (text: string) => memoryOf({ "/sys/kernel/mm/transparent_hugepage/enabled": text })("huge pages");
    expect(pages("always [madvise] never\n")).toMatchObject({ ok: true, value: "madvise" });
    expect(pages("always madvise [never]\n")).toMatchObject({ ok: false, value: "never" });
    expect(mapping({})).toMatchObject({ ok: true, value: "packs are mapped (koffi)" });
    expect(mapping("koffi is not there").advice).toContain("npm install koffi");
  });
});

describe("heat", () => {
  const zone = (celsius: number, trips: Record<string, number> = {}) => ({
    "/sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "/sys/class/thermal/thermal_zone0/temp": `${celsius * 1000}\n`,
    "/sys/class/thermal/cooling_device0/type": "fan",
    ...Object.fromEntries(
      Object.entries(trips).flatMap(([type, at], i) => [
        [`/sys/class/thermal/thermal_zone0/trip_point_${i}_type`, type],
        [`/sys/class/thermal/thermal_zone0/trip_point_${i}_temp`, `${at * 1000}`],
      ]),
    ),
  });

  it("is read from the thermal zones", () => {
    expect(thermalZones(fakeTree(zone(61.5, { critical: 110, passive: 85 })))).toEqual([
      { name: "cpu-thermal", celsius: 61.5, passiveCelsius: 85 },
    ]);
    expect(thermalZones(fakeTree(zone(0)))).toEqual([]);
  });

  it("is judged by where the system slows down", () => {
    expect(processorOf(zone(77))("temperature")).toMatchObject({ ok: false, value: "77.0 °C (cpu-thermal)" });
    expect(processorOf(zone(77, { passive: 95 }))("temperature").ok).toBe(true);
    expect(processorOf(zone(40))("temperature").ok).toBe(true);
  });

  const policy = (allowed: number, governor = "ondemand", driver = "cpufreq-dt") =>
    Object.fromEntries(
      Object.entries({
        cpuinfo_max_freq: 1_800_000,
        scaling_max_freq: allowed,
        scaling_cur_freq: 600_000,
        scaling_governor: governor,
        scaling_driver: driver,
        related_cpus: "0 1 2 3",
      }).map(([name, value]) => [`/sys/devices/system/cpu/cpufreq/policy0/${name}`, `${value}\n`]),
    );

  it("shows in clocks that are held down", () => {
    expect(clockPolicies(fakeTree(policy(1_500_000)))).toEqual([
      {
        cores: "0 1 2 3",
        governor: "ondemand",
        driver: "cpufreq-dt",
        currentMhz: 600,
        allowedMhz: 1500,
        mostMhz: 1800,
      },
    ]);
    expect(processorOf(policy(1_500_000))("clock")).toMatchObject({ ok: false });
    expect(processorOf(policy(1_800_000))("clock")).toEqual({
      name: "clock",
      ok: true,
      value: "cores 0 1 2 3: 600 of 1800 MHz (ondemand)",
    });
    expect(processorOf(policy(1_800_000, "powersave"))("clock").advice).toContain("governor");
    expect(processorOf(policy(1_800_000, "powersave", "intel_pstate"))("clock").advice).toBeUndefined();
  });
});

describe("throttling", () => {
  it.each([
    [0, [], []],
    [0x1, ["under-voltage"], []],
    [0x50005, ["under-voltage", "throttled"], ["under-voltage", "throttled"]],
    [0xe0008, ["soft temperature limit"], ["clock capped", "throttled", "soft temperature limit"]],
  ])("decodes %i", (bits, now, sinceStart) => {
    expect(decodeThrottled(bits)).toEqual({ now, sinceStart });
  });

  it("is told by the firmware's file, or by vcgencmd", () => {
    const file = { "/sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n" };
    expect(readThrottling(fakeTree(file), nothing)?.now).toEqual(["under-voltage", "throttled"]);
    expect(readThrottling(fakeTree({}), () => "throttled=0x80000\n")?.sinceStart).toEqual(["soft temperature limit"]);
    expect(readThrottling(fakeTree({}), () => "VCHI initialization failed\n")).toBeUndefined();
    expect(readThrottling(fakeTree({}), nothing)).toBeUndefined();
    expect(runProgram("piphi-has-no-such-program", [])).toBeUndefined();
    expect(runProgram("echo", ["throttled=0x0"])).toBe("throttled=0x0\n");
  });

  it("comes with advice for its cause", () => {
    const check = (hex: string) => processorOf({}, () => `throttled=${hex}`)("throttling");
    expect(check("0x0")).toEqual({ name: "throttling", ok: true, value: "none" });
    expect(check("0x50005")).toMatchObject({ ok: false, value: "now: under-voltage, throttled" });
    expect(check("0x50005").advice).toContain("power supply");
    expect(check("0x40000")).toMatchObject({ ok: false, value: "since the start: throttled" });
    expect(check("0x40000").advice).toContain("heat sink");
  });
});

test("device, cores and threads", () => {
  const check = processorOf({
    "/proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0",
    "/proc/meminfo": meminfoOf(1843),
    "/proc/cpuinfo": "Features : fp asimd crc32\n",
    "/proc/self/cgroup": "0::/\n",
    "/sys/fs/cgroup/cpu.max": "150000 100000",
    ...coresWith([1024, 1024, 1024, 1024]),
  });
  expect(check("device").value).toBe("Raspberry Pi 4 Model B Rev 1.4: predictions for pi-4-2gb");
  expect(check("cpu").advice).toContain("dot product");
  expect(check("threads")).toMatchObject({ value: "1 by default, of 4 cores, quota 1.5" });
  expect(check("threads").advice).toContain("cpu.max");
});

test("the engine's features are those that passed the self-test", () => {
  const report = (name: string, ok: boolean) => ({ name, ok, gigabytesPerSecond: 1 });
  const features = (relaxed: boolean, simd: boolean) => {
    const trial = { set: "fast" as const, outcomes: [] };
    return named(engineChecks([report("relaxed-pairs", relaxed), report("simd", simd)], trial), "WebAssembly");
  };
  expect(features(true, true)).toMatchObject({
    ok: true,
    value: expect.stringMatching(/^simd, relaxed SIMD, threads, /),
  });
  expect(features(false, true).advice).toContain("2/3");
  expect(features(false, false).ok).toBe(false);
});

test("engines are called what they are, and the fastest Node is advised", () => {
  const node = (version: string, more = {}) => engine({ ...process.versions, node: version, v8: "1.2", ...more });
  expect(node("20.1.0")).toMatchObject({ ok: true, value: expect.stringMatching(/^node v20\.1\.0 \(V8 1\.2\), /) });
  expect(node("20.1.0").advice).toContain("Node 24 and 26");
  expect(node("22.1.0").advice).toContain("Node 24 and 26");
  expect(node("24.1.0").advice).toBeUndefined();
  expect(node("26.1.0").advice).toBeUndefined();
  const bun = node("24.3.0", { bun: "1.3.1", webkit: "0123456789abcdef" });
  expect(bun).toMatchObject({ value: expect.stringMatching(/^bun 1\.3\.1 \(JavaScriptCore 0123456789ab\), /) });
  expect(bun.advice).toBeUndefined();
  expect(node("24.3.0", { deno: "2.9.6" }).value).toMatch(/^deno 2\.9\.6 \(V8 1\.2\), /);
});

test("a compiler that ends the process is bad news, one that was not tried is not", () => {
  expect(survival({ set: "fast", outcomes: ["survived"] })).toMatchObject({ ok: true, value: "survives the kernels" });
  expect(survival({ set: "fast", outcomes: [] }).value).toContain("not tried");
  const safe = survival({ set: "safe", outcomes: [{ death: "SIGTRAP" }, "survived"] });
  expect(safe).toMatchObject({ ok: false, value: expect.stringContaining("SIGTRAP") });
});

describe("storage", () => {
  it("is measured on a file that is removed, or on the largest pack", async () => {
    const store = temporaryPath("store");
    fs.mkdirSync(path.join(store, "packs"), { recursive: true });
    const first = await storageCheck(store);
    expect(first.value).toMatch(/^\d+ MB\/s .* \(a temporary file in .*store\); Phi-2 within 1 GiB: [\d.]+ s a token$/);
    expect(fs.readdirSync(store)).toEqual(["packs"]);
    const pack = path.join(store, "packs", "m-1.pack.gguf");
    fs.writeFileSync(pack, new Uint8Array(33 << 20));
    expect((await storageCheck(store)).value).toContain("(m-1.pack.gguf)");
    expect(fs.statSync(pack).size).toBe(33 << 20);
  });

  it("is measured above a store that is not there yet; a file in its place is told", async () => {
    const parent = temporaryPath("home");
    fs.mkdirSync(parent);
    expect((await storageCheck(path.join(parent, "a/b"))).value).toContain(`a temporary file in ${parent}`);
    expect(fs.readdirSync(parent)).toEqual([]);
    const file = temporaryPath("no-folder");
    fs.writeFileSync(file, "x");
    expect(await storageCheck(file)).toMatchObject({ ok: false, value: expect.stringMatching(/^not measured: /) });
  });

  it("says what a token of Phi-2 takes at 1 GiB", () => {
    expect(streamedBytesAt1GiB()).toBeGreaterThan(0.5e9);
    expect(streamedBytesAt1GiB()).toBeLessThan(1.2e9);
  });
});
