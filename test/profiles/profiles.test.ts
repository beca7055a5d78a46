import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import {
  DEVICE_IDS,
  findTarget,
  PROFILES,
  speedOf,
  TARGETS,
  targetOfSize,
  withStorage,
} from "../../devices/profiles/profiles.ts";
import { faultsOf } from "./schema.ts";

const FOLDER = fileURLToPath(new URL("../../devices/profiles/", import.meta.url));
const files = readdirSync(FOLDER).filter((name) => name.endsWith(".json"));
const parse = (name: string) => JSON.parse(readFileSync(`${FOLDER}${name}`, "utf8"));

describe("the profiles' files", () => {
  it.each(files)("%s is as the schema says, and named for its id", (name) => {
    const profile = parse(name);
    expect(faultsOf(profile)).toEqual([]);
    expect(`${profile.id}.json`).toBe(name);
  });

  it("are all known", () => {
    expect(PROFILES.map(({ id }) => `${id}.json`).sort()).toEqual(files.sort());
  });

  it("the check finds what is wrong", () => {
    const faulty = (change: (profile: ReturnType<typeof parse>) => void) => {
      const profile = parse("pi-4.json");
      change(profile);
      return faultsOf(profile);
    };
    expect(faulty((it) => delete it.clock)).toContain("profile: lacks clock");
    expect(faulty((it) => (it.clock.value = "1.8"))).toEqual(['clock: has the value "1.8"']);
    expect(faulty((it) => (it.memory.one.unit = "MB/s"))).toEqual(["memory.one: is in MB/s, not GB/s"]);
    expect(faulty((it) => (it.memory.all.source = ""))).toContain("memory.all: names no source");
    expect(faulty((it) => (it.threads.basis = "guessed"))).toEqual(["threads: has the basis guessed"]);
    expect(faulty((it) => (it.storage.usual = "tape"))).toEqual(["storage.usual: is tape"]);
    expect(faulty((it) => (it.ram.sizes["1gb"].usable.value = 2 ** 31))).toHaveLength(1);
    expect(faulty((it) => (it.notes = "x"))).toEqual(["profile: has notes"]);
    expect(faultsOf(null)).toContain("profile: is no object");
  });
});

describe("devices", () => {
  it("are every board, page and computer that was promised", () => {
    for (const id of [
      ...["pi-zero-2-w", "pi-3b-plus", "pi-4-1gb", "pi-4-2gb", "pi-4-4gb", "pi-4-8gb", "pi-400"],
      ...["pi-5-2gb", "pi-5-4gb", "pi-5-8gb", "pi-5-16gb", "cm5", "orange-pi-5", "laptop", "generic"],
    ]) {
      expect(DEVICE_IDS).toContain(id);
    }
    for (const system of ["android", "ios"]) {
      expect(TARGETS.filter(({ id }) => id.startsWith(system))).toHaveLength(2);
    }
    expect(new Set(TARGETS.map(({ id }) => id)).size).toBe(TARGETS.length);
  });

  it("are found by id, a profile's own for its usual size", () => {
    expect(findTarget("pi-4")?.id).toBe("pi-4-4gb");
    expect(findTarget("pi-4-1gb")?.totalBytes).toBe(2 ** 30);
    expect(findTarget("pi-400")?.id).toBe("pi-400");
    for (const id of DEVICE_IDS) expect(findTarget(id)).toBeDefined();
    expect(findTarget("pi-6")).toBeUndefined();
  });

  it("take the size that Linux sees a little less of", () => {
    const pi5 = PROFILES.find(({ id }) => id === "pi-5")!;
    const mib = 2 ** 20;
    expect([1990, 3980, 8060, 16_100, 40_000].map((seen) => targetOfSize(pi5, seen * mib).id)).toEqual([
      "pi-5-2gb",
      "pi-5-4gb",
      "pi-5-8gb",
      "pi-5-16gb",
      "pi-5-16gb",
    ]);
  });

  it("are as fast as their storage says, or their usual one; pages have none", () => {
    const pi5 = PROFILES.find(({ id }) => id === "pi-5")!;
    const { sd, nvme } = pi5.storage.reads;
    expect(speedOf(pi5).storageBytes).toBe(sd!.value * 1e6);
    expect(speedOf(pi5).figures).toBe("pi-5: 11.59 GB/s of memory, 90 MB/s of sd");
    const measured = withStorage(speedOf(pi5), 123.4e6);
    expect(measured).toMatchObject({ storageBytes: 123.4e6, memoryBytes: speedOf(pi5).memoryBytes });
    expect(measured.figures).toBe("pi-5: 11.59 GB/s of memory, 123 MB/s measured here");
    expect(speedOf(pi5, "nvme").storageBytes).toBe(nvme!.value * 1e6);
    expect(speedOf(pi5, "disk").storageBytes).toBe(sd!.value * 1e6);
    expect(speedOf(PROFILES.find(({ id }) => id === "ios-8gb")!).storageBytes).toBeUndefined();
  });
});
