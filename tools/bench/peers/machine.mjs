/** What a measurement ran on, and what else the machine was doing. */

import fs from "node:fs";
import os from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

/** A board names itself; elsewhere the CPU does. */
function cpuModel() {
  const board = "/proc/device-tree/model";
  if (fs.existsSync(board)) return fs.readFileSync(board, "utf8").replace(/\0/g, "");
  return os.cpus()[0]?.model.trim() ?? "unknown";
}

export function describeMachine() {
  return {
    cpu: cpuModel(),
    cores: os.cpus().length,
    memoryBytes: os.totalmem(),
    kernel: `${os.type()} ${os.release()} ${os.arch()}`,
    loadAverage: os.loadavg()[0],
    date: new Date().toISOString(),
  };
}

/** The engine that runs this program. */
export const engineName = () => `node ${process.version} (v8 ${process.versions.v8})`;

/** Cores' worth of work of all processes during one second in which this one sleeps. */
export async function busyCores() {
  const times = () =>
    os.cpus().reduce(
      (sum, { times: { idle, ...busy } }) => ({
        idle: sum.idle + idle,
        busy: sum.busy + Object.values(busy).reduce((total, ms) => total + ms, 0),
      }),
      { idle: 0, busy: 0 },
    );
  const before = times();
  await sleep(1000);
  const after = times();
  const busy = after.busy - before.busy;
  const all = busy + after.idle - before.idle;
  return all > 0 ? (busy / all) * os.cpus().length : 0;
}

/** More of other processes' work than this falsifies figures. */
const MOST_BUSY_CORES = 0.2;

/** Cores that other processes keep busy, with a warning on stderr where they are too many. */
export async function warnIfBusy() {
  const busy = await busyCores();
  if (busy > MOST_BUSY_CORES)
    console.error(`warning: ${busy.toFixed(1)} cores are busy with other work; the next figures will be too low.`);
  return busy;
}
