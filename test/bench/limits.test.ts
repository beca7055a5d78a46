/** What bench:limits makes of limits, of the kernel's files, and of its measurements. */

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { countOf, findHierarchy, LimitedGroup, limitFiles } from "../../tools/bench/limits/cgroup.mjs";
import { expectedCopy } from "../../tools/bench/limits/copies.mjs";
import { deviceName, diskOf, mountSource } from "../../tools/bench/limits/disk.mjs";
import { formatMemory, parseLimit, shareOfUnlimited, summarize } from "../../tools/bench/limits/figures.mjs";
import { failureOf } from "../../tools/bench/limits/measure.mjs";
import { drawLimits, rateRange } from "../../tools/bench/limits/plot.mjs";
import { formatLimits, formatShared } from "../../tools/bench/limits/report.mjs";
import { describeRun, firstDifference } from "../../tools/bench/limits/same.mjs";
import { sharesPages } from "../../tools/bench/limits/shared.mjs";
import { parseSmaps } from "../../tools/bench/limits/smaps.mjs";
import { UsageError } from "../../tools/bench/usage.mjs";

const MIB = 2 ** 20;
const GIB = 2 ** 30;

describe("limits", () => {
  it("are written as none, MiB, or MiB@MB/s", () => {
    expect(parseLimit("none")).toEqual({ name: "none" });
    expect(parseLimit("512")).toEqual({ name: "512 MiB", memoryBytes: 512 * MIB });
    expect(parseLimit("1536")).toEqual({ name: "1.5 GiB", memoryBytes: 1536 * MIB });
    const slow = { name: "1 GiB, 90 MB/s", memoryBytes: GIB, readBytesPerSecond: 90e6 };
    expect(parseLimit("1024@90")).toEqual(slow);
    for (const text of ["", "1G", "512@", "512@0", "63", "@90", "512@90@1", "-512", "2097152"]) {
      expect(() => parseLimit(text), text).toThrow(UsageError);
    }
    expect([512 * MIB, GIB, 1.25 * GIB].map(formatMemory)).toEqual(["512 MiB", "1 GiB", "1.25 GiB"]);
  });

  const limits = { memoryBytes: 512 * MIB, readBytesPerSecond: 90e6 };

  it("become files of version 1", () => {
    const hierarchy = { version: 1, memory: "/m", reads: "/b" };
    expect(limitFiles(hierarchy, "x", limits, "254:0")).toEqual([
      ["/m/x", "memory.limit_in_bytes", "536870912", false],
      ["/m/x", "memory.memsw.limit_in_bytes", "536870912", true],
      ["/m/x", "memory.swappiness", "0", true],
      ["/b/x", "blkio.throttle.read_bps_device", "254:0 90000000", false],
    ]);
    expect(limitFiles(hierarchy, "x", {}, undefined)).toEqual([]);
  });

  it("become files of version 2", () => {
    expect(limitFiles({ version: 2, memory: "/c", reads: "/c" }, "x", limits, "8:16")).toEqual([
      ["/c/x", "memory.max", "536870912", false],
      ["/c/x", "memory.swap.max", "0", true],
      ["/c/x", "io.max", "8:16 rbps=90000000", false],
    ]);
  });
});

describe("control groups", () => {
  let root: string;
  const write = (file: string, text: string) => {
    fs.mkdirSync(path.dirname(path.join(root, file)), { recursive: true });
    fs.writeFileSync(path.join(root, file), text);
  };
  beforeEach(() => {
    root = fs.mkdtempSync(path.join(os.tmpdir(), "piphi-cgroup-"));
  });
  afterEach(() => fs.rmSync(root, { recursive: true, force: true }));

  it("are found in both versions", () => {
    write("memory/memory.limit_in_bytes", "0");
    expect(findHierarchy(root)).toEqual({ version: 1, memory: `${root}/memory` });
    write("blkio/tasks", "");
    expect(findHierarchy(root)).toEqual({ version: 1, memory: `${root}/memory`, reads: `${root}/blkio` });
    write("cgroup.controllers", "cpu io memory pids\n");
    expect(findHierarchy(root)).toEqual({ version: 2, memory: root, reads: root });
    expect(fs.readFileSync(`${root}/cgroup.subtree_control`, "utf8")).toBe("+memory +io");
  });

  it("say what to do where there are none", () => {
    expect(() => findHierarchy(root)).toThrow(/no memory controller.*--privileged/);
    write("cgroup.controllers", "cpu pids\n");
    expect(() => findHierarchy(root)).toThrow(/cgroup_enable=memory/);
    const noReads = { version: 1, memory: root };
    expect(() => new LimitedGroup(noReads, { readBytesPerSecond: 1 }, "8:0")).toThrow(/Reads cannot be limited/);
    expect(fs.readdirSync(root)).toEqual(["cgroup.controllers"]);
  });

  it("count what the kernel ended", () => {
    expect(countOf("oom_kill_disable 0\nunder_oom 0\noom_kill 3\n", "oom_kill")).toBe(3);
    expect(countOf("low 0\nmax 7\n", "oom_kill")).toBe(0);
  });

  it("limit the whole disk, whatever the file system", () => {
    expect(deviceName(0xfe00)).toBe("254:0");
    expect(deviceName(0x10_3041)).toBe("48:321");
    const mountinfo =
      "36 1 0:31 / / rw - btrfs /dev/sda2 rw\n37 36 254:0 / /x rw,relatime shared:1 - ext4 /dev/vda rw\n";
    expect(mountSource(mountinfo, "0:31")).toBe("/dev/sda2");
    expect(mountSource(mountinfo, "254:0")).toBe("/dev/vda");
    expect(mountSource(mountinfo, "1:1")).toBeUndefined();
    write("file", "");
    write("mountinfo", "");
    const asked = { sys: `${root}/sys`, mountinfo: `${root}/mountinfo` };
    expect(() => diskOf(`${root}/file`, asked)).toThrow(/lies on no disk.*--pack/);
    const own = deviceName(fs.statSync(`${root}/file`).dev);
    write("devices/disk/dev", "9:9\n");
    write("devices/disk/part/partition", "1\n");
    fs.mkdirSync(`${root}/sys`);
    fs.symlinkSync(`${root}/devices/disk/part`, `${root}/sys/${own}`);
    expect(diskOf(`${root}/file`, asked)).toBe("9:9");
    fs.rmSync(`${root}/devices/disk/part/partition`);
    expect(diskOf(`${root}/file`, asked)).toBe(own);
  });
});

const resident = { rss: 2e8, pss: 1e8, private: 5e7, anonymous: 4e7 };
const run = {
  ...{ mode: "streamed", pinnedBytes: 3e8, streamedBytesPerToken: 1e9, contextLength: 512, kernel: "relaxed" },
  ...{ loadMs: 900, peakBytes: 5e8, tokens: [1, 2], resident },
  rounds: [
    { prefill: 6, decode: 0.09, prefillMs: 11_000, readBytes: 4e9 },
    { prefill: 5, decode: 0.1, prefillMs: 12_000, readBytes: 4.1e9 },
    { prefill: 4, decode: 0.08, prefillMs: 13_000, readBytes: 4.2e9 },
  ],
};

describe("figures", () => {
  it("compare decode with storage, and count the prompt's passes", () => {
    const figures = summarize(run, { bytesPerSecond: 1e8 }, 4);
    expect(figures).toMatchObject({ mode: "streamed", decode: { min: 0.08, median: 0.09, max: 0.1 }, resident });
    expect(figures.storage?.share).toBeCloseTo(0.9, 10);
    expect(figures.storage?.prefillPasses.bytes.median).toBeCloseTo(1.1, 10);
    expect(figures.storage?.prefillPasses.time).toEqual({ min: 1.1, median: 1.2, max: 1.3 });
    expect(figures).not.toHaveProperty("tokens");
  });

  it("have no storage where nothing is streamed", () => {
    expect(summarize({ ...run, streamedBytesPerToken: 0 }, undefined, 4).storage).toBeUndefined();
  });

  it("are relative to the run without a limit", () => {
    const speed = (median: number) => ({ decode: { median } });
    expect(shareOfUnlimited(speed(9), speed(10))).toBe(0.9);
    expect(shareOfUnlimited({ failed: "killed" }, speed(10))).toBeUndefined();
    expect(shareOfUnlimited(speed(9), undefined)).toBeUndefined();
  });

  it("name the way in which a run ended", () => {
    expect(failureOf({ killed: false, signal: "SIGKILL", message: "" }, 0)).toBe("killed");
    expect(failureOf({ killed: true, signal: "SIGKILL", message: "" }, 0)).toBe("time-out");
    expect(failureOf({ killed: false, signal: null, message: "" }, 1)).toBe("killed");
    const tooSmall = "PiPhiError: The model needs 157 MiB, but only 58 MiB may be used. Free 99 MiB more.";
    expect(failureOf({ killed: false, signal: null, message: tooSmall }, 0)).toBe("does not fit");
    expect(failureOf({ killed: false, signal: null, message: "no" }, 0)).toBe("failed");
  });

  it("come from the kernel's account of a process", () => {
    const text =
      "Rss:  200 kB\nPss:  90 kB\nPss_Anon: 1 kB\nPrivate_Clean: 10 kB\nPrivate_Dirty:  20 kB\nAnonymous: 15 kB\n";
    expect(parseSmaps(text)).toEqual({ rss: 204_800, pss: 92_160, private: 30_720, anonymous: 15_360 });
  });
});

const decode = (median: number) => ({ decode: { min: median, median, max: median } });
const ours = (median: number) => ({ ...summarize(run, { bytesPerSecond: 1e8 }, 4), ...decode(median), peakBytes: 4e8 });
const report = {
  machine: { cpu: "CPU <1>", cores: 2, memoryBytes: 2 ** 33, kernel: "Linux", date: "2020-01-02T00:00" },
  model: { name: "m.gguf", bytes: 1.6e9 },
  settings: { threads: 2, promptTokens: 64 },
  rows: [
    { limit: parseLimit("none"), ours: { ...ours(10), mode: "mapped" }, llama: { ...decode(8), peakBytes: 2e9 } },
    { limit: parseLimit("1024"), ours: ours(2), llama: { ...decode(0.02), peakBytes: GIB } },
    { limit: parseLimit("512"), ours: ours(1), llama: { failed: "killed", peakBytes: 512 * MIB } },
    { limit: parseLimit("512@90"), ours: ours(0.1), llama: { failed: "time-out", peakBytes: 512 * MIB } },
    { limit: parseLimit("128"), ours: { failed: "does not fit", message: "The model needs …", peakBytes: 5e7 } },
  ],
  mapped: { start: { min: 400, median: 500, max: 600 }, anonymousBytes: 7e7, contextLength: 512 },
  copies: [{ name: "copied", tokens: 200, plainPasses: 200, passes: 40, accepted: 160, proposed: 170 }],
  absent: { "llama.cpp": "it could not be installed" },
};

it("prints limits as tables", () => {
  const text = formatLimits(report);
  expect(text).toMatch(
    /^1 GiB +streamed +300 MB +1000 MB +381 MiB +2\.00 \/ 2\.00 \/ 2\.00 +20 % +100 MB\/s +90 % +1\.10$/m,
  );
  expect(text).toMatch(/^512 MiB, 90 MB\/s .* 1 % +100 MB\/s +90 % +1\.10 \/ 1\.20$/m);
  expect(text).toMatch(/^128 MiB +does not fit +48 MiB$/m);
  expect(text).toMatch(/^512 MiB +512 MiB +killed$/m);
  expect(text).toContain("mapped, no limit: start to first token 0.40 / 0.50 / 0.60 s; 70 MB of anonymous memory");
  expect(text).toMatch(/^copied +200 +200 +40 +x5\.0 +160 of 170$/m);
  expect(text).toContain("PiPhi, 128 MiB: The model needs …\nnot measured: llama.cpp (it could not be installed)\n");
});

it("draws limits without those on reads", () => {
  const svg = drawLimits(report);
  expect(svg).toMatch(/^<svg .*<\/svg>\n$/s);
  expect(svg).toContain("CPU &lt;1&gt;");
  expect(svg.match(/<circle [^>]*r="4" class="ours"/g)).toHaveLength(4); // three results and the legend
  expect(svg.match(/<circle [^>]*r="4" class="peer"/g)).toHaveLength(3);
  expect(svg).toContain(">killed</text>");
  expect(svg).toContain(">does not fit</text>");
  expect(svg).not.toContain("time-out");
  for (const size of ["128 MiB", "512 MiB", "1 GiB", "unlimited"]) expect(svg).toContain(`>${size}</text>`);
  expect(svg).not.toContain("NaN");
  expect(() => drawLimits({ ...report, rows: [] })).toThrow("nothing to plot");
});

it("chooses steps around the rates", () => {
  expect(rateRange([0.4, 12])).toEqual([0.3, 1, 3, 10, 30]);
  expect(rateRange([1, 1])).toEqual([0.3, 1]);
  expect(rateRange([0.001, 500])).toEqual([0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100]);
});

it("judges whether two processes share a pack", () => {
  const process = { rss: 6e8, pss: 3.2e8, private: 5e7, anonymous: 5e7 };
  const found = { processes: [process, process], sharedBytes: 5.6e8, weightBytes: 5.6e8, mode: "mapped", same: true };
  expect(sharesPages(found)).toBe(true);
  expect(sharesPages({ ...found, sharedBytes: 5e8 })).toBe(false);
  expect(sharesPages({ ...found, mode: "resident" })).toBe(false);
  expect(sharesPages({ ...found, same: false })).toBe(false);
  expect(formatShared(found)).toMatch(/^both +640 MB$/m);
});

it("compares answers token by token", () => {
  expect(firstDifference([1, 2, 3], [1, 2, 3])).toBeUndefined();
  expect(firstDifference([1, 2, 3], [1, 4, 3])).toBe(1);
  expect(firstDifference([1, 2, 3], [1, 2])).toBe(2);
  expect(firstDifference([1, 2], [1, 2, 3])).toBe(2);
  const settings = { ram: "1G", drafts: 7 };
  const result = { ...run, rounds: [{ drafts: { passes: 3 } }] };
  expect(describeRun(settings, result, undefined)).toBe(
    "streamed with 1G, 300 MB stay, 1000 MB a token, guesses verified in 3 passes: 2 tokens, the same",
  );
  expect(describeRun({ ram: "1G" }, result, 1)).toMatch(/a token: 2 tokens, other text from token 1 on$/);
});

it("exchanges words in both directions", () => {
  expect(expectedCopy([1, 2, 3, 2], [])).toEqual([1, 2, 3, 2]);
  expect(expectedCopy([1, 2, 3, 9], [[2, 9]])).toEqual([1, 9, 3, 2]);
});
