/** How fast the store's storage is read, and what that means for a model that is streamed. */

import { randomFillSync } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { PiPhiError } from "../../../runtime/errors.ts";
import { knownSubject } from "../../../runtime/plan/known.ts";
import { plan } from "../../../runtime/plan/plan.ts";
import { type ReadSpeed, readSpeed } from "../read-speed.ts";
import { bad, type Check, good } from "./check.ts";

/** What is read at most, and for how long. */
const SAMPLE = { bytes: 256 << 20, ms: 1000 };
const BLOCK_BYTES = 1 << 20;
/** A file made for the purpose; large enough to outlast what a card answers from its own memory. */
const TEMPORARY_BYTES = 32 << 20;
/** Below this, a token of Phi-2 at 1 GiB takes longer than most people wait. */
const POOR_BYTES = 100e6;

/** Measures where `store` is or would be; never throws. */
export async function storageCheck(store: string): Promise<Check> {
  try {
    const { bytesPerSecond, direct, file } = await measure(store);
    const seconds = streamedBytesAt1GiB() / bytesPerSecond;
    const rate = `${Math.round(bytesPerSecond / 1e6)} MB/s ${direct ? "direct" : "through the page cache"}`;
    const value = `${rate} (${file}); Phi-2 within 1 GiB: ${seconds.toFixed(1)} s a token`;
    if (!direct) return good("storage", value, "The file system has no direct reads, so this may be memory's speed.");
    if (bytesPerSecond >= POOR_BYTES) return good("storage", value);
    return bad(
      "storage",
      value,
      "Keep packs on an SSD (USB 3, NVMe): set PIPHI_HOME to a folder there. Or use a model that fits into memory.",
    );
  } catch (error) {
    const { message } = PiPhiError.from(error);
    return bad("storage", `not measured: ${message}`, "Set PIPHI_HOME to a folder that you can write to.");
  }
}

/** Bytes that a token of Phi-2 in Q4_0 takes from storage where a gigabyte may be used. */
export function streamedBytesAt1GiB(): number {
  return plan(knownSubject(), {
    contextLength: 512,
    kv: "int8",
    threads: 4,
    batchTokens: 64,
    sequences: 1,
    ramBytes: (1 << 30) - (120 << 20), // Node, its engine and four threads
    streamable: true,
  }).streamedBytesPerToken;
}

interface Measured extends ReadSpeed {
  /** What was read, for people. */
  file: string;
}

async function measure(store: string): Promise<Measured> {
  const pack = largestPack(path.join(store, "packs"));
  if (pack) return { ...(await readSpeed(pack, SAMPLE)), file: path.basename(pack) };
  const folder = nearestFolder(store);
  const temporary = path.join(folder, `.piphi-doctor-${process.pid}.tmp`);
  try {
    writeTemporary(temporary);
    return { ...(await readSpeed(temporary, SAMPLE)), file: `a temporary file in ${folder}` };
  } finally {
    fs.rmSync(temporary, { force: true });
  }
}

/** A pack that is large enough to be read for a while. */
function largestPack(folder: string): string | undefined {
  if (!fs.existsSync(folder)) return undefined;
  const packs = fs
    .readdirSync(folder)
    .filter((name) => name.endsWith(".pack.gguf"))
    .map((name) => ({ file: path.join(folder, name), size: fs.statSync(path.join(folder, name)).size }))
    .filter(({ size }) => size >= TEMPORARY_BYTES)
    .sort((a, b) => b.size - a.size);
  return packs[0]?.file;
}

/** The folder itself, or the nearest one above it that is there. */
function nearestFolder(folder: string): string {
  return fs.existsSync(folder) ? folder : nearestFolder(path.dirname(folder));
}

function writeTemporary(file: string): void {
  const block = randomFillSync(new Uint8Array(BLOCK_BYTES)); // zeros might never reach the storage
  const fd = fs.openSync(file, "wx");
  try {
    for (let at = 0; at < TEMPORARY_BYTES; at += BLOCK_BYTES) fs.writeSync(fd, block);
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
