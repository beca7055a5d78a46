/** Packs on disk: made beside their place and renamed into it, so that there is never half a pack under its name. */

import fs from "node:fs";
import path from "node:path";
import type { ByteSource, Device } from "../../runtime/device.ts";
import { PiPhiError, type SerializedError } from "../../runtime/errors.ts";
import { givenOptions } from "../../runtime/options.ts";
import { refuseChanged } from "../../runtime/weights/faults.ts";
import { type Model, openModel } from "../../runtime/weights/model.ts";
import { packBytes, writePack } from "../../runtime/weights/packer.ts";
import type { DensePrecision } from "../../runtime/weights/tiles.ts";
import { verifyPack } from "../../runtime/weights/verify.ts";
import { digestOf } from "./checked.ts";
import { startThread } from "./device.ts";
import { openFile } from "./files.ts";
import { removeLeftovers, writableTarget, writeAtomically, writeError } from "./writing.ts";

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
export async function packFile(input: string, output: string, options?: PackFileOptions): Promise<number> {
  return runPacker(input, output, givenOptions(options));
}

/** Compares all of a pack with its checksums; throws E_FILE_CORRUPT and what reading throws. */
export async function checkPack(file: string, options?: PackFileOptions): Promise<void> {
  await runPacker(file, undefined, givenOptions(options));
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
    throw new PiPhiError(
      "E_CANCELLED",
      "Packing was cancelled, and nothing was written. Run it again to make the pack.",
    );
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
  const model = openModel(openInput, input, dense);
  try {
    if (output === undefined) {
      const { pack } = model.weights;
      if (!pack) {
        throw new PiPhiError(
          "E_USAGE",
          `${input} is not a pack, and only packs have checksums. Make one: piphi pack IN OUT`,
        );
      }
      await verifyPack(pack, (bytes, totalBytes) => {
        report(bytes, totalBytes);
        checkpoint();
      });
      return model.fileBytes;
    }
    refuseOutput(output, model);
    const needBytes = packBytes(model);
    removeLeftovers(output);
    refuseFullDisk(output, needBytes);
    return await writeAtomically(output, async (sink) => {
      const { fileBytes, sources } = model;
      const { mtimeMs: modifiedMs } = fs.statSync(input);
      const digest = digestOf(sources.map(({ name }) => name));
      const origin = { name: path.basename(input), bytes: fileBytes, modifiedMs, digest, dense };
      await writePack(device, model, dense, sink, { origin, onProgress: report, checkpoint });
      refuseChanged(sources);
    });
  } finally {
    model.close();
  }
}

/** The embedded model, which others may turn to, is no file to pack. */
function openInput(file: string): ByteSource {
  try {
    return openFile(file);
  } catch (error) {
    if (!(error instanceof PiPhiError) || error.code !== "E_NOT_FOUND" || "target" in error.details) throw error;
    throw new PiPhiError("E_NOT_FOUND", `There is no file ${file}. Check the path.`, { path: file });
  }
}

/** Before minutes of work: throws E_FILE_WRITE for what is no file, E_USAGE for the model's own files. */
function refuseOutput(output: string, { sources }: Model): void {
  const stat = fs.statSync(writableTarget(output), { throwIfNoEntry: false });
  if (stat === undefined) return;
  const same = sources.some(({ name }) => {
    const source = fs.statSync(name);
    return source.dev === stat.dev && source.ino === stat.ino;
  });
  if (!same) return;
  const message = `${output} is the model itself: the pack would replace it. Give the pack another name.`;
  throw new PiPhiError("E_USAGE", message, { file: output });
}

function refuseFullDisk(output: string, needBytes: number): void {
  const folder = path.dirname(path.resolve(writableTarget(output)));
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

function diskFull(folder: string, needBytes: number, freeBytes?: number): PiPhiError {
  const megabytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  const free = freeBytes === undefined ? "" : ` of free space, but has only ${megabytes(freeBytes)}`;
  return new PiPhiError(
    "E_DISK_FULL",
    `The disk of ${folder} needs ${megabytes(needBytes)}${free}. Delete some files, or choose another folder: PIPHI_HOME moves the store, and --no-pack needs no room.`,
    { folder, needBytes, ...(freeBytes === undefined ? {} : { freeBytes }) },
  );
}
