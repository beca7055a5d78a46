/** Memory: what is free, what limits it, and what Linux does with it. */

import { ADDRESS_SPACE_REMEDY, addressSpace } from "../address-space.ts";
import { cgroupRoom } from "../cgroup.ts";
import { availableMemory, meminfo } from "../memory.ts";
import { libc } from "../system/libc.ts";
import type { Tree } from "../tree.ts";
import { bad, type Check, gibibytes, good } from "./check.ts";

/** int4 Phi-2 with a short context. */
const COMFORTABLE_BYTES = 2 * 2 ** 30;
/** What int4 Phi-2 takes at least, streamed, with Node itself. */
const LEAST_BYTES = 320 << 20;

export function memoryChecks(tree: Tree, totalBytes: number): Check[] {
  return [
    memory(tree, totalBytes),
    swap(tree),
    cgroup(tree),
    overcommit(tree),
    addressSpaceCheck(tree),
    hugePages(tree),
    mapping(libc()),
  ];
}

function memory(tree: Tree, totalBytes: number): Check {
  const available = availableMemory(tree);
  const value = `${gibibytes(available)} free of ${gibibytes(meminfo("MemTotal", tree) ?? totalBytes)}`;
  if (available >= COMFORTABLE_BYTES) return good("memory", value);
  if (available >= LEAST_BYTES) {
    const advice = "Phi-2 in int4 takes about 2 GiB to stay in memory; with less, weights are streamed from storage.";
    return bad("memory", value, `${advice} Close other programs, or see what fits: piphi plan --device all.`);
  }
  return bad("memory", value, "Too little for Phi-2 even when it is streamed (320 MiB). Close other programs.");
}

function swap(tree: Tree): Check {
  const areas = (tree.read("/proc/swaps") ?? "").split("\n").slice(1);
  const [compressed, onStorage] = [/^\/dev\/zram/, /^(?!\/dev\/zram)\//].map((pattern) => {
    const kilobytes = areas.filter((line) => pattern.test(line)).map((line) => Number(line.split(/\s+/)[2]));
    return kilobytes.reduce((sum, size) => sum + size, 0) * 1024;
  });
  const parts = [
    ...(compressed > 0 ? [`${gibibytes(compressed)} zram`] : []),
    ...(onStorage > 0 ? [`${gibibytes(onStorage)} on storage`] : []),
  ];
  if (parts.length === 0) return good("swap", "none");
  const value = parts.join(", ");
  if (compressed > 0) {
    return good(
      "swap",
      value,
      "Quantized weights do not compress: zram helps other programs make room, not the model.",
    );
  }
  const card = areas.some((line) => /^\/dev\/mmcblk/.test(line)) || /^\/dev\/mmcblk/m.test(rootDevice(tree));
  if (!card) return good("swap", value);
  return good("swap", value, "Swap on a card is slow and wears it out; zram (zram-tools) serves a small board better.");
}

/** The device that holds the root file system, where swap files usually are. */
function rootDevice(tree: Tree): string {
  return /^(\S+) \/ /m.exec(tree.read("/proc/mounts") ?? "")?.[1] ?? "";
}

function cgroup(tree: Tree): Check {
  const room = cgroupRoom(tree);
  if (room === undefined) return good("cgroup memory", "no limit");
  const value = `${gibibytes(room)} left`;
  if (room >= COMFORTABLE_BYTES) return good("cgroup memory", value);
  return good(
    "cgroup memory",
    value,
    "The container or service has a limit (memory.max); raise it if there is memory.",
  );
}

function overcommit(tree: Tree): Check {
  const mode = tree.number("/proc/sys/vm/overcommit_memory");
  if (mode === undefined) return good("overcommit", "not known");
  const value = `${mode} (${["heuristic", "always", "never"][mode] ?? "unknown"})`;
  if (mode !== 2) return good("overcommit", value);
  const limit = meminfo("CommitLimit", tree) ?? 0;
  const room = Math.max(0, limit - (meminfo("Committed_AS", tree) ?? 0));
  const advice = `Only ${gibibytes(room)} more can be asked for, used or not. Allow it: sysctl vm.overcommit_memory=0.`;
  return room >= COMFORTABLE_BYTES ? good("overcommit", value) : bad("overcommit", value, advice);
}

function addressSpaceCheck(tree: Tree): Check {
  if (tree.read("/proc/self/limits") === undefined) return good("address space", "not known");
  const bytes = addressSpace(tree);
  if (bytes === undefined) return good("address space", "no limit");
  const advice = `WebAssembly reserves far more addresses than it uses. ${ADDRESS_SPACE_REMEDY}`;
  return bytes >= 64 * 2 ** 30
    ? good("address space", gibibytes(bytes))
    : bad("address space", gibibytes(bytes), advice);
}

function hugePages(tree: Tree): Check {
  const setting = tree.read("/sys/kernel/mm/transparent_hugepage/enabled");
  const chosen = /\[(\w+)\]/.exec(setting ?? "")?.[1];
  if (chosen === undefined) return good("huge pages", "not there");
  if (chosen !== "never") return good("huge pages", chosen);
  const advice =
    "Decode is up to a third faster with them: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled.";
  return bad("huge pages", chosen, advice);
}

/** `calls`: the C library, or why it cannot be called. */
export function mapping(calls: object | string): Check {
  if (typeof calls === "object") return good("mapping", "packs are mapped (koffi)");
  const advice = "Packs are read once instead of mapped: slower starts, nothing shared. Install it: npm install koffi.";
  return good("mapping", calls, advice);
}
