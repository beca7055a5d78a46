/** Which cores this process may use, and a process that keeps one of them busy. */

import { execFileSync, spawn } from "node:child_process";
import fs from "node:fs";
import { UsageError } from "../usage.mjs";

/** "0-2,5" as [0, 1, 2, 5]; the form that Linux and taskset use. */
export function parseCores(list) {
  return list.split(",").flatMap((range) => {
    const [first, last = first] = range.split("-").map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

/** The cores of this process; UsageError where processes cannot be pinned. */
export function usableCores() {
  try {
    execFileSync("taskset", ["--version"], { stdio: "ignore" });
    const [, list] = /^Cpus_allowed_list:\s*(\S+)$/m.exec(fs.readFileSync("/proc/self/status", "utf8"));
    return parseCores(list);
  } catch {
    throw new UsageError("This needs Linux and taskset. Install util-linux.");
  }
}

/** A command's beginning that keeps it on `cores`. */
export const pinnedTo = (cores) => ["taskset", "-c", cores.join(",")];

/** Runs `work` while another process computes on `core` without a pause. */
export async function whileBusy(core, work) {
  const [program, ...args] = [...pinnedTo([core]), process.execPath, "-e", "for (;;);"];
  const spinner = spawn(program, args, { stdio: "ignore" });
  const stop = () => spinner.kill("SIGKILL");
  process.once("exit", stop);
  try {
    return await work();
  } finally {
    process.off("exit", stop);
    stop();
  }
}
