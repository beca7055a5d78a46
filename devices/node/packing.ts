/** Packs on disk: made beside their place and renamed into it, so that there is never half a pack under its name. */

import { createHash, randomBytes } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { ByteSink, Device } from "../../runtime/device.ts";
import { PiPhiError, type SerializedError } from "../../runtime/errors.ts";
import { openModel } from "../../runtime/weights/model.ts";
import type { PackOrigin } from "../../runtime/weights/pack.ts";
import { packBytes, writePack } from "../../runtime/weights/packer.ts";
import type { DensePrecision } from "../../runtime/weights/tiles.ts";
import { verifyPack } from "../../runtime/weights/verify.ts";
import { startThread } from "./device.ts";
import { openFile } from "./files.ts";

/** What a packer gets to do; sent as a message. `output` undefined: to check `input`, which is a pack. */
export interface PackTask {
  input: string;
  output?: string;
  dense: DensePrecision;
  /** i32; not 0: give up. */
  stop: SharedArrayBuffer;
}

type FromPacker =
  | { type: "progress"; bytes: number; totalBytes: number }
  | { type: "done"; bytes: number }
  | { type: "error"; error: SerializedError };

export interface PackFileOptions {
  dense?: DensePrecision;
  onProgress?: (bytes: number, totalBytes: number) => void;
  signal?: AbortSignal;
}

/** Room that is left for others on the disk. */
const SPARE_BYTES = 64 << 20;

/**
 * Makes a pack of a model file, on a thread of its own; the file's size. What was left of an earlier attempt is
 * replaced. Throws what reading a model throws, E_DISK_FULL, E_FILE_WRITE and E_CANCELLED; then there is no new file.
 */
export function packFile(input: string, output: string, options: PackFileOptions = {}): Promise<number> {
  return runPacker(input, output, options);
}

/** Compares all of a pack with its checksums; throws E_FILE_CORRUPT and what reading throws. */
export async function checkPack(file: string, options: PackFileOptions = {}): Promise<void> {
  await runPacker(file, undefined, options);
}

function runPacker(input: string, output: string | undefined, options: PackFileOptions): Promise<number> {
  const { dense = "int8", onProgress, signal } = options;
  const stop = new SharedArrayBuffer(4);
  const thread = startThread("packer");
  const cancel = () => void Atomics.store(new Int32Array(stop), 0, 1);
  if (signal?.aborted) cancel();
  signal?.addEventListener("abort", cancel);
  /** What the caller's own function threw: nobody else would hand it to the caller. The packer cleans up first. */
  let thrown: { error: unknown } | undefined;
  const tell = (bytes: number, totalBytes: number) => {
    try {
      onProgress?.(bytes, totalBytes);
    } catch (error) {
      thrown ??= { error };
      cancel();
    }
  };
  const result = new Promise<number>((resolve, reject) => {
    thread.onFailure(({ message }) => reject(new PiPhiError("E_ENGINE", `The packer ended (${message}). Try again.`)));
    thread.onMessage((data) => {
      const message = data as FromPacker;
      if (message.type === "progress") tell(message.bytes, message.totalBytes);
      else if (thrown) reject(thrown.error);
      else if (message.type === "done") resolve(message.bytes);
      else reject(PiPhiError.fromJSON(message.error));
    });
  });
  const task: PackTask = { input, output, dense, stop };
  thread.post(task);
  return result.finally(() => {
    signal?.removeEventListener("abort", cancel);
    thread.terminate();
  });
}

/** The packer's thread. */
export async function servePacker(device: Device, task: PackTask, post: (message: FromPacker) => void): Promise<void> {
  let reported = 0;
  const report = (bytes: number, totalBytes: number) => {
    const now = performance.now();
    if (now - reported < 50 && bytes < totalBytes) return;
    reported = now;
    post({ type: "progress", bytes, totalBytes });
  };
  const checkpoint = () => {
    if (Atomics.load(new Int32Array(task.stop), 0) === 0) return;
    throw new PiPhiError("E_CANCELLED", "Packing was cancelled; nothing was written. Start again when you like.");
  };
  try {
    post({ type: "done", bytes: await work(device, task, report, checkpoint) });
  } catch (error) {
    post({ type: "error", error: PiPhiError.from(error).toJSON() });
  }
}

async function work(
  device: Device,
  { input, output, dense }: PackTask,
  report: (bytes: number, totalBytes: number) => void,
  checkpoint: () => void,
): Promise<number> {
  const model = openModel(openFile, input, dense);
  try {
    if (output === undefined) {
      const { pack } = model.weights;
      if (!pack) throw new PiPhiError("E_USAGE", `${input} is no pack; only packs have checksums.`);
      await verifyPack(pack, (bytes, totalBytes) => {
        report(bytes, totalBytes);
        checkpoint();
      });
      return model.fileBytes;
    }
    const needBytes = packBytes(model);
    removeLeftovers(output);
    refuseFullDisk(output, needBytes);
    return await writeAtomically(output, (sink) => {
      const origin = originOfFile(input, model.fileBytes, dense);
      return writePack(device, model, dense, sink, { origin, onProgress: report, checkpoint });
    });
  } finally {
    model.close();
  }
}

/** What a pack of the file states as its source. */
export function originOfFile(file: string, bytes: number, dense: DensePrecision): PackOrigin {
  return { name: path.basename(file), bytes, modifiedMs: fs.statSync(file).mtimeMs, dense };
}

function refuseFullDisk(output: string, needBytes: number): void {
  const folder = path.dirname(path.resolve(output));
  let free: number;
  try {
    const { bavail, bsize } = fs.statfsSync(folder);
    free = bavail * bsize;
  } catch (error) {
    throw writeError(folder, error as NodeJS.ErrnoException);
  }
  if (free >= needBytes + SPARE_BYTES) return;
  throw diskFull(folder, needBytes, free);
}

/**
 * Lets `write` fill a file that then appears under its name as a whole. What it throws leaves no file behind. Several may
 * write the same file at once: the last one's stays.
 */
export async function writeAtomically(output: string, write: (sink: ByteSink) => Promise<void>): Promise<number> {
  const part = `${output}.${partMark()}.${process.pid}-${randomBytes(3).toString("hex")}${PART}`;
  let fd: number | undefined;
  try {
    fd = fs.openSync(part, "wx");
    await write(sinkOf(fd, part));
    fs.fsyncSync(fd);
    const { size } = fs.fstatSync(fd);
    fs.closeSync(fd);
    fd = undefined;
    fs.renameSync(part, output);
    syncFolder(path.dirname(path.resolve(output)));
    return size;
  } catch (error) {
    if (fd !== undefined) fs.closeSync(fd);
    if (fs.existsSync(part)) fs.rmSync(part, { force: true });
    throw error instanceof PiPhiError ? error : writeError(output, error as NodeJS.ErrnoException);
  }
}

const PART = ".part";
/** A file that another machine (or container) writes, in a folder that is shared, changes all the time. */
const FOREIGN_PATIENCE_MS = 3_600_000;

/** Tells apart machines that share a folder: process ids mean nothing on another one. */
function partMark(): string {
  return createHash("sha256").update(os.hostname()).digest("hex").slice(0, 6);
}

/** Removes what processes that were killed left of the same file. */
function removeLeftovers(output: string): void {
  const folder = path.dirname(output);
  const prefix = `${path.basename(output)}.`;
  for (const name of namesIn(folder)) {
    if (!name.startsWith(prefix) || !name.endsWith(PART)) continue;
    const [mark, writer] = name.slice(prefix.length).split(".");
    const file = path.join(folder, name);
    if (mark === partMark() ? isGone(Number.parseInt(writer, 10)) : isOld(file)) fs.rmSync(file, { force: true });
  }
}

/** Whether the folder can be used is seen when it is written to. */
function namesIn(folder: string): string[] {
  try {
    return fs.readdirSync(folder);
  } catch {
    return [];
  }
}

function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

function isOld(file: string): boolean {
  const { mtimeMs = Date.now() } = fs.statSync(file, { throwIfNoEntry: false }) ?? {};
  return Date.now() - mtimeMs > FOREIGN_PATIENCE_MS;
}

/** Makes a rename survive a power cut; not every system lets a folder be opened. */
function syncFolder(folder: string): void {
  try {
    const fd = fs.openSync(folder, "r");
    fs.fsyncSync(fd);
    fs.closeSync(fd);
  } catch {
    // The file itself is safe.
  }
}

function sinkOf(fd: number, file: string): ByteSink {
  const attempt = (action: () => void) => {
    try {
      action();
    } catch (error) {
      throw writeError(file, error as NodeJS.ErrnoException);
    }
  };
  return {
    resize: (bytes) => attempt(() => fs.ftruncateSync(fd, bytes)),
    write(offset, bytes) {
      attempt(() => {
        for (let done = 0; done < bytes.length; ) {
          done += fs.writeSync(fd, bytes, done, bytes.length - done, offset + done);
        }
      });
    },
  };
}

function diskFull(folder: string, needBytes: number, freeBytes?: number): PiPhiError {
  const megabytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  const free = freeBytes === undefined ? "" : ` and has ${megabytes(freeBytes)} free`;
  return new PiPhiError(
    "E_DISK_FULL",
    `The disk of ${folder} needs room for ${megabytes(needBytes)}${free}. Free some, choose another folder (PIPHI_HOME is the store's), or use --no-pack.`,
    { folder, needBytes, ...(freeBytes === undefined ? {} : { freeBytes }) },
  );
}

function writeError(file: string, error: NodeJS.ErrnoException): PiPhiError {
  const { code = "unknown", message } = error;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new PiPhiError("E_DISK_FULL", `The disk ran full while ${file} was written. Free some room and try again.`, {
      file,
    });
  }
  const remedy: Record<string, string> = {
    EACCES: "This user may not write there: choose another folder, or change its permissions.",
    EPERM: "This user may not write there: choose another folder, or change its permissions.",
    EROFS: "The file system is read-only: choose another folder (PIPHI_HOME is the store's), or use --no-pack.",
    EFBIG: "The file system cannot hold files of this size (FAT ends at 4 GiB): choose another one.",
    ENOENT: "The folder does not exist: make it first.",
    EISDIR: "There is a folder of that name: choose another name.",
  };
  return new PiPhiError("E_FILE_WRITE", `${file} cannot be written (${message}). ${remedy[code] ?? "Try again."}`, {
    file,
    errno: code,
  });
}
