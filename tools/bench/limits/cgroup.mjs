/**
 * Control groups: processes that may use so much memory, page cache included, and read so fast, as on a small board.
 * Both versions of Linux's interface; a group is a folder (v1: one for memory, one for reads), a limit a file in it.
 */

import fs from "node:fs";
import path from "node:path";
import { UsageError } from "../usage.mjs";

const MOUNTED = "/sys/fs/cgroup";
const SH = '[ -z "$1" ] || for group in $1; do echo $$ > "$group/cgroup.procs" || exit 126; done; shift; exec "$@"';

/**
 * Where groups are made: { version: 1, memory, reads? } or { version: 2, memory, reads } with folders.
 * @throws UsageError that says why there is none and what to do
 */
export function findHierarchy(mounted = MOUNTED) {
  const controllers = path.join(mounted, "cgroup.controllers");
  const v1 = path.join(mounted, "memory");
  if (!fs.existsSync(controllers)) {
    if (!fs.existsSync(path.join(v1, "memory.limit_in_bytes"))) {
      throw new UsageError(
        `There is no memory controller in ${mounted}. This needs Linux with control groups mounted; ` +
          "in a container, start it with --privileged and --cgroupns=host.",
      );
    }
    refuseReadOnly(v1);
    const reads = path.join(mounted, "blkio");
    return { version: 1, memory: v1, ...(fs.existsSync(reads) && { reads }) };
  }
  refuseReadOnly(mounted);
  const offered = fs.readFileSync(controllers, "utf8").trim().split(/\s+/);
  if (!offered.includes("memory")) {
    throw new UsageError(
      "The memory controller is not offered to this system's control groups. " +
        "On a Raspberry Pi, add cgroup_enable=memory to /boot/firmware/cmdline.txt and restart.",
    );
  }
  const wanted = ["memory", "io"].filter((name) => offered.includes(name));
  const delegated = path.join(mounted, "cgroup.subtree_control");
  try {
    fs.writeFileSync(delegated, wanted.map((name) => `+${name}`).join(" "));
  } catch (error) {
    throw new UsageError(`${delegated} cannot be written (${error.code}). Run this as root and outside of containers.`);
  }
  return { version: 2, memory: mounted, ...(wanted.includes("io") && { reads: mounted }) };
}

function refuseReadOnly(folder) {
  try {
    fs.accessSync(folder, fs.constants.W_OK);
  } catch {
    throw new UsageError(
      `${folder} may not be written by this user. Run this as root (sudo); in a container, start it with --privileged.`,
    );
  }
}

/**
 * The files that set limits, in the order of writing: [folder, file, value, optional].
 * @param {{version: number, memory: string, reads?: string}} hierarchy as findHierarchy gives it
 * @param {string} name
 * @param {{memoryBytes?: number, readBytesPerSecond?: number}} limits
 * @param {string | undefined} device "major:minor" of the disk whose reads are limited
 */
export function limitFiles({ version, memory, reads }, name, { memoryBytes, readBytesPerSecond }, device) {
  const own = path.join(memory, name);
  const files = [];
  if (memoryBytes !== undefined && version === 1) {
    files.push([own, "memory.limit_in_bytes", `${memoryBytes}`, false]);
    // Swap would let a process grow beyond the board's memory; not every kernel counts it.
    files.push([own, "memory.memsw.limit_in_bytes", `${memoryBytes}`, true], [own, "memory.swappiness", "0", true]);
  }
  if (memoryBytes !== undefined && version === 2) {
    files.push([own, "memory.max", `${memoryBytes}`, false], [own, "memory.swap.max", "0", true]);
  }
  if (readBytesPerSecond !== undefined) {
    const folder = path.join(reads, name);
    const [file, value] =
      version === 1
        ? ["blkio.throttle.read_bps_device", `${device} ${readBytesPerSecond}`]
        : ["io.max", `${device} rbps=${readBytesPerSecond}`];
    files.push([folder, file, value, false]);
  }
  return files;
}

/** The number after a word at the beginning of a line, as in memory.events; 0 where there is none. */
export const countOf = (text, word) => Number(new RegExp(`^${word} (\\d+)$`, "m").exec(text)?.[1] ?? 0);

let made = 0;

/** A group with limits, gone with everything in it after `close`, and when this process ends. */
export class LimitedGroup {
  #memory;
  #folders;
  #version;
  #onExit = () => this.close();

  constructor(hierarchy, limits, device) {
    if (limits.readBytesPerSecond !== undefined && hierarchy.reads === undefined) {
      throw new UsageError("Reads cannot be limited: this system has no blkio (v1) or io (v2) controller.");
    }
    const name = `piphi-bench-${process.pid}-${++made}`;
    this.#version = hierarchy.version;
    this.#memory = path.join(hierarchy.memory, name);
    const files = limitFiles(hierarchy, name, limits, device);
    this.#folders = [...new Set([this.#memory, ...files.map(([folder]) => folder)])];
    process.once("exit", this.#onExit);
    for (const folder of this.#folders) fs.mkdirSync(folder);
    for (const [folder, file, value, optional] of files) {
      try {
        fs.writeFileSync(path.join(folder, file), value);
      } catch (error) {
        if (optional) continue;
        this.close();
        throw new UsageError(`${path.join(folder, file)} does not take "${value}" (${error.code}). Run this as root.`);
      }
    }
  }

  /** A command's beginning that runs it in the group; the process keeps its id. */
  get launcher() {
    return ["sh", "-c", SH, "sh", this.#folders.join(" ")];
  }

  /** The most bytes that the group ever held, page cache included; null where the kernel does not count. */
  get peakBytes() {
    const file = path.join(this.#memory, this.#version === 1 ? "memory.max_usage_in_bytes" : "memory.peak");
    return fs.existsSync(file) ? Number(fs.readFileSync(file, "utf8")) : null;
  }

  /** How many of its processes the kernel ended because they needed more than the limit. */
  get kills() {
    const file = path.join(this.#memory, this.#version === 1 ? "memory.oom_control" : "memory.events");
    return fs.existsSync(file) ? countOf(fs.readFileSync(file, "utf8"), "oom_kill") : 0;
  }

  close() {
    process.off("exit", this.#onExit);
    for (const folder of this.#folders) remove(folder);
    this.#folders = [];
  }
}

/** Removes a group after its processes; they need a moment to end. */
function remove(folder) {
  for (let attempt = 0; attempt < 100 && fs.existsSync(folder); attempt++) {
    const processes = fs.readFileSync(path.join(folder, "cgroup.procs"), "utf8").split("\n").filter(Boolean);
    for (const id of processes) kill(Number(id));
    try {
      fs.rmdirSync(folder);
      return;
    } catch {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
    }
  }
  if (fs.existsSync(folder)) console.error(`warning: ${folder} could not be removed; remove it with rmdir.`);
}

function kill(id) {
  try {
    process.kill(id, "SIGKILL");
  } catch {
    // It ended by itself.
  }
}
