/** What this machine and its engine offer to PiPhi, each with advice where it is not what it should be. */

import fs from "node:fs";
import os from "node:os";
import { examineKernels } from "../../runtime/compute/kernels.ts";
import type { KernelReport } from "../../runtime/index.ts";
import { nodeDevice } from "./device.ts";
import { setEngineFlags } from "./engine-flags.ts";
import { availableMemory, cgroupRoom } from "./memory.ts";

export interface Check {
  name: string;
  ok: boolean;
  value: string;
  advice?: string;
}

export interface Diagnosis {
  checks: Check[];
  kernels: KernelReport[];
}

/** int4 Phi-2 with a short context. */
const COMFORTABLE_BYTES = 2 * 2 ** 30;

export async function diagnose(): Promise<Diagnosis> {
  setEngineFlags();
  const kernels = await examineKernels(nodeDevice());
  return { checks: [engine(), cpu(), threads(), memory(), swap(), cgroup(), relaxed(kernels)], kernels };
}

function engine(): Check {
  const value = `node ${process.version} (V8 ${process.versions.v8}), ${process.platform} ${process.arch}`;
  const current = Number(process.versions.node.split(".")[0]) >= 24;
  return {
    name: "engine",
    ok: true,
    value,
    ...(current ? {} : { advice: "Node 24 or newer compiles WebAssembly better; upgrade if you can." }),
  };
}

/** Vector extensions that decide how fast the kernels are, as Linux names them. */
const NOTABLE_FEATURES = ["sse4_1", "avx", "avx2", "avx_vnni", "avx512_vnni", "fma", "asimd", "asimddp", "i8mm", "sve"];

function cpu(): Check {
  const model = os.cpus()[0]?.model.trim() || "unknown";
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(read("/proc/cpuinfo"))?.[1].split(" ") ?? [];
  const features = NOTABLE_FEATURES.filter((feature) => flags.includes(feature));
  return { name: "cpu", ok: true, value: [model, ...features].join(" ") };
}

function threads(): Check {
  const available = os.availableParallelism();
  const cores = os.cpus().length;
  const value = available === cores ? `${cores}` : `${available} of ${cores} cores`;
  if (available > 1) return { name: "threads", ok: true, value };
  return { name: "threads", ok: true, value, advice: "With one core only, expect half the speed of two or less." };
}

function memory(): Check {
  const available = availableMemory();
  const value = `${gigabytes(available)} free of ${gigabytes(os.totalmem())}`;
  if (available >= COMFORTABLE_BYTES) return { name: "memory", ok: true, value };
  return {
    name: "memory",
    ok: false,
    value,
    advice: "Phi-2 in int4 takes about 2 GiB with a context of 1024; close other programs or use a smaller model.",
  };
}

function swap(): Check {
  const total = Number(/^SwapTotal:\s+(\d+) kB/m.exec(read("/proc/meminfo"))?.[1] ?? 0) * 1024;
  return { name: "swap", ok: true, value: total === 0 ? "none" : gigabytes(total) };
}

function cgroup(): Check {
  const room = cgroupRoom();
  return { name: "cgroup limit", ok: true, value: room === undefined ? "none" : `${gigabytes(room)} left` };
}

function relaxed(kernels: readonly KernelReport[]): Check {
  const works = kernels.some(({ name, ok }) => ok && name.startsWith("relaxed"));
  if (works) return { name: "relaxed SIMD", ok: true, value: "works" };
  const value = "not available";
  return {
    name: "relaxed SIMD",
    ok: true,
    value,
    advice: "The plain SIMD kernels are used, at about 2/3 of the speed.",
  };
}

function read(path: string): string {
  try {
    return fs.readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

function gigabytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
