/** Detection, on folders that look like other machines. */

import { describe, expect, it, test } from "vitest";
import { cgroupCpus, cgroupRoom } from "../../devices/node/cgroup.ts";
import { detectMachine } from "../../devices/node/machine.ts";
import { availableMemory } from "../../devices/node/memory.ts";
import { coresWith, fakeTree, meminfoOf } from "../fixtures/fake-tree.ts";

const MIB = 2 ** 20;

interface Case {
  files: Record<string, string>;
  parallelism?: number;
  arch?: string;
  storeDevice?: string;
}

function detect({ files, parallelism = 64, arch = "arm64", storeDevice }: Case) {
  return detectMachine({ tree: fakeTree(files), parallelism, arch, totalBytes: 8 * 2 ** 30, storeDevice });
}

const board = (model: string, mib: number, capacities: number[]): Record<string, string> => ({
  "/proc/device-tree/model": `${model}\0`,
  "/proc/meminfo": meminfoOf(mib),
  ...coresWith(capacities),
});

describe("the profile", () => {
  it.each([
    ["Raspberry Pi Zero 2 W Rev 1.0", 427, "pi-zero-2-w"],
    ["Raspberry Pi 3 Model B Plus Rev 1.3", 927, "pi-3b-plus"],
    ["Raspberry Pi 4 Model B Rev 1.1", 959, "pi-4-1gb"],
    ["Raspberry Pi 4 Model B Rev 1.5", 7819, "pi-4-8gb"],
    ["Raspberry Pi 400 Rev 1.0", 3792, "pi-400"],
    ["Raspberry Pi 5 Model B Rev 1.0", 7942, "pi-5-8gb"],
    ["Raspberry Pi 5 Model B Rev 1.1", 16_219, "pi-5-16gb"],
    ["Raspberry Pi Compute Module 5 Rev 1.0", 4045, "cm5-4gb"],
    ["Orange Pi 5", 7930, "orange-pi-5-8gb"],
    ["Some Other Board", 3900, "generic"],
  ])("of a %s with %i MiB is %s", (model, mib, id) => {
    expect(detect({ files: board(model, mib, [1024, 1024, 1024, 1024]) })).toMatchObject({ model, target: { id } });
  });

  it("is a laptop's on a PC, and generic where little is known", () => {
    const files = { "/proc/meminfo": meminfoOf(15_900), ...coresWith([1024, 1024]) };
    expect(detect({ files, arch: "x64" }).target.id).toBe("laptop");
    expect(detect({ files, arch: "riscv64" }).target.id).toBe("generic");
    expect(detect({ files: { ...files, "/proc/meminfo": meminfoOf(2000) }, arch: "x64" }).target.id).toBe("generic");
    expect(detect({ files: {}, arch: "x64", parallelism: 4 })).toMatchObject({ target: { id: "laptop" }, threads: 4 });
  });
});

describe("threads", () => {
  it.each([1, 2, 4, 8])("are %i on as many equal cores", (count) => {
    expect(detect({ files: coresWith(Array(count).fill(1024)) }).threads).toBe(count);
  });

  it("are at most 16", () => {
    expect(detect({ files: coresWith(Array(96).fill(1024)), parallelism: 96 }).threads).toBe(16);
  });

  it("are the fast cores, by capacity or by clock", () => {
    const capacities = [414, 414, 414, 414, 1024, 1024, 1020, 1020];
    const machine = detect({ files: board("Orange Pi 5", 7930, capacities) });
    expect(machine).toMatchObject({ cores: { fast: 4, slow: 4 }, threads: 4, speed: { cores: 4 } });
    const clocks = coresWith([1_800_000, 1_800_000, 2_256_000, 2_400_000], "cpufreq/cpuinfo_max_freq");
    expect(detect({ files: clocks }).cores).toEqual({ fast: 2, slow: 2 });
    const unknown = { "/sys/devices/system/cpu/online": "0-3" };
    expect(detect({ files: unknown }).cores).toEqual({ fast: 4, slow: 0 });
  });

  it("keep to the process's mask; on slow cores only, those are all there are", () => {
    const cores = coresWith([414, 414, 414, 414, 1024, 1024, 1024, 1024]);
    const masked = (list: string) => {
      return detect({ files: { ...cores, "/proc/self/status": `Name:\tnode\nCpus_allowed_list:\t${list}\n` } });
    };
    expect(masked("0-7").threads).toBe(4);
    expect(masked("2-4").cores).toEqual({ fast: 1, slow: 2 });
    expect(masked("0,2").threads).toBe(2);
    expect(masked("0-255").threads).toBe(4);
  });

  it("are no more than the system offers", () => {
    expect(detect({ files: coresWith([1024, 1024, 1024, 1024]), parallelism: 3 }).threads).toBe(3);
  });

  it.each([
    ["v2", { "/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/cpu.max": "250000 100000\n" }, 2.5, 2],
    ["v2, the mount itself", { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "50000 100000" }, 0.5, 1],
    ["v2, none", { "/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/cpu.max": "max 100000" }, undefined, 4],
    [
      "v1",
      {
        "/proc/self/cgroup": "5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n",
        "/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us": "300000",
        "/sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us": "100000",
      },
      3,
      3,
    ],
    [
      "v1, none",
      {
        "/proc/self/cgroup": "5:cpu:/\n",
        "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
        "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
      },
      undefined,
      4,
    ],
  ] as [string, Record<string, string>, number | undefined, number][])(
    "honour a quota: %s",
    (_, files, quota, threads) => {
      expect(cgroupCpus(fakeTree(files))).toBe(quota);
      const machine = detect({ files: { ...files, ...coresWith([1024, 1024, 1024, 1024]) } });
      expect([machine.quota, machine.threads]).toEqual([quota, threads]);
    },
  );
});

test("vector extensions come from /proc/cpuinfo", () => {
  const arm = { "/proc/cpuinfo": "processor\t: 0\nFeatures\t: fp asimd evtstrm asimddp cpuid\n" };
  expect(detect({ files: arm }).features).toEqual(["asimd", "asimddp"]);
  expect(detect({ files: { "/proc/cpuinfo": "flags : sse4_1 avx avx2 avx_vnni\n" } }).features).toContain("avx_vnni");
  expect(detect({ files: {} }).features).toEqual([]);
});

test("the kind of storage decides what is predicted for it", () => {
  const files = {
    ...board("Raspberry Pi 5 Model B Rev 1.0", 7942, [1024, 1024, 1024, 1024]),
    "/sys/dev/block/179:2": "->../../devices/platform/soc/mmc_host/mmc0/mmc0:59b4/block/mmcblk0/mmcblk0p2",
    "/sys/dev/block/179:9": "->../../devices/platform/soc/mmc_host/mmc1/mmc1:0001/block/mmcblk1/mmcblk1p1",
    "/sys/dev/block/259:1": "->../../devices/pci0000:00/0000:01:00.0/nvme/nvme0/nvme0n1/nvme0n1p1",
    "/sys/dev/block/8:1": "->../../devices/platform/usb1/1-1/host0/target0:0:0/0:0:0:0/block/sda/sda1",
    "/sys/dev/block/254:0": "->../../devices/pci0000:00/virtio1/block/vda",
    "/sys/block/mmcblk0/device/type": "SD\n",
    "/sys/block/mmcblk1/device/type": "MMC\n",
  };
  const kinds = ["179:2", "179:9", "259:1", "8:1", "254:0", "0:42"].map((storeDevice) => {
    return detect({ files, storeDevice }).storage;
  });
  expect(kinds).toEqual(["sd", "emmc", "nvme", "usb", "disk", undefined]);
  const speeds = ["179:2", "259:1"].map((storeDevice) => detect({ files, storeDevice }).speed.storageBytes!);
  expect(speeds[1]).toBeGreaterThan(speeds[0]);
});

describe("memory", () => {
  const groups = { "/proc/self/cgroup": "0::/user/app\n", "/proc/meminfo": meminfoOf(4000, 3000) };

  it("is what Linux calls available, or what the tightest group leaves", () => {
    expect(availableMemory(fakeTree({ "/proc/meminfo": meminfoOf(4000, 3000) }))).toBe(3000 * MIB);
    const limited = {
      ...groups,
      "/sys/fs/cgroup/user/memory.max": `${600 * MIB}`,
      "/sys/fs/cgroup/user/memory.current": `${250 * MIB}`,
      "/sys/fs/cgroup/user/memory.stat": `anon 5\ninactive_file ${50 * MIB}\n`,
      "/sys/fs/cgroup/user/app/memory.max": "max",
    };
    expect(cgroupRoom(fakeTree(limited))).toBe(400 * MIB);
    expect(availableMemory(fakeTree(limited))).toBe(400 * MIB);
    expect(cgroupRoom(fakeTree(groups))).toBeUndefined();
  });

  it("knows version 1 of control groups, whose largest number means no limit", () => {
    const v1 = (limit: string) => ({
      "/proc/self/cgroup": "4:memory:/pod\n0::/\n",
      "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
      "/sys/fs/cgroup/memory/pod/memory.limit_in_bytes": limit,
      "/sys/fs/cgroup/memory/pod/memory.usage_in_bytes": `${100 * MIB}`,
    });
    expect(cgroupRoom(fakeTree(v1(`${512 * MIB}`)))).toBe(412 * MIB);
    expect(cgroupRoom(fakeTree(v1(`${50 * MIB}`)))).toBe(0);
    expect(cgroupRoom(fakeTree(v1("9223372036854771712")))).toBeUndefined();
  });
});
