/** The disk that a file lies on, and the file's pages in memory. */

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { UsageError } from "../usage.mjs";

/** "major:minor" of a device number as Linux packs it. */
export function deviceName(number) {
  const dev = BigInt(number);
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & 0xfffff000n);
  const minor = (dev & 0xffn) | ((dev >> 12n) & 0xffffff00n);
  return `${major}:${minor}`;
}

/** The source of the mount with a device name, from the text of /proc/self/mountinfo. */
export function mountSource(mountinfo, name) {
  const line = mountinfo.split("\n").find((each) => each.split(" ")[2] === name);
  return line?.split(" - ")[1]?.split(" ")[1];
}

/** "major:minor" of the whole disk that holds a file, for limits on reads; UsageError where there is none. */
export function diskOf(file, { sys = "/sys/dev/block", mountinfo = "/proc/self/mountinfo" } = {}) {
  let name = deviceName(fs.statSync(file).dev);
  if (name.startsWith("0:")) {
    // btrfs, overlays and the like have numbers of their own.
    const source = mountSource(fs.readFileSync(mountinfo, "utf8"), name);
    if (source?.startsWith("/dev/") && fs.existsSync(source)) name = deviceName(fs.statSync(source).rdev);
  }
  const folder = path.join(sys, name);
  if (!fs.existsSync(folder)) {
    throw new UsageError(`${file} lies on no disk whose reads could be limited. Choose another place with --pack.`);
  }
  const real = fs.realpathSync(folder);
  if (!fs.existsSync(path.join(real, "partition"))) return name;
  return fs.readFileSync(path.join(path.dirname(real), "dev"), "utf8").trim();
}

/** Takes a file's pages out of the page cache, so that they count where they are read next; the bytes that stay. */
export function dropPageCache(file) {
  execFileSync("dd", [`if=${file}`, "iflag=nocache", "count=0", "status=none"], { stdio: "ignore" });
  try {
    return Number(execFileSync("fincore", ["-nbo", "RES", file], { encoding: "utf8" }).trim());
  } catch {
    return 0; // fincore is not installed everywhere
  }
}
