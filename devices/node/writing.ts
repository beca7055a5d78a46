/** Files that appear under their name as a whole: written beside their place, brought to the disk, and renamed. */

import { createHash, randomBytes } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { ByteSink } from "../../runtime/device.ts";
import { PiPhiError } from "../../runtime/errors.ts";

/**
 * Lets `write` fill a file that then appears under its name as a whole. What it throws leaves no file behind. Several may
 * write the same file at once: the last one's stays.
 */
export async function writeAtomically(output: string, write: (sink: ByteSink) => Promise<void>): Promise<number> {
  const part = `${output}.${partMark()}.${process.pid}-${randomBytes(3).toString("hex")}${PART}`;
  let fd: number | undefined;
  try {
    fd = fs.openSync(part, "wx");
    await write(sinkOf(fd, output));
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
export function removeLeftovers(output: string): void {
  const folder = path.dirname(output);
  const prefix = `${path.basename(output)}.`;
  for (const name of namesIn(folder)) {
    if (!name.startsWith(prefix) || !name.endsWith(PART)) continue;
    const [mark, writer] = name.slice(prefix.length).split(".");
    const file = path.join(folder, name);
    if (mark === partMark() ? isGone(Number.parseInt(writer, 10)) : isOld(file)) removeQuietly(file);
  }
}

function removeQuietly(file: string): void {
  try {
    fs.rmSync(file, { force: true });
  } catch {
    // Another user's, perhaps: it only takes room.
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

/** What a failed write means; E_DISK_FULL or E_FILE_WRITE. */
export function writeError(file: string, error: NodeJS.ErrnoException): PiPhiError {
  const { code = "unknown", message } = error;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new PiPhiError("E_DISK_FULL", `The disk ran full while ${file} was written. Free some room and try again.`, {
      file,
    });
  }
  const remedy: Record<string, string> = {
    EACCES: "This user may not write there: choose another folder, or change its permissions.",
    EPERM: "This user may not write there: choose another folder, or change its permissions.",
    EROFS: "The file system is read-only: choose another folder (PIPHI_HOME is the store's; --no-pack needs none).",
    EFBIG: "The file system cannot hold files of this size (FAT ends at 4 GiB): choose another one.",
    ENOENT: "The folder does not exist: make it first.",
    EISDIR: "There is a folder of that name: choose another name.",
  };
  // Without the call and its paths, which may be those of a file of another name that was to be renamed.
  const [reason] = message.split(", ");
  return new PiPhiError("E_FILE_WRITE", `${file} cannot be written (${reason}). ${remedy[code] ?? "Try again."}`, {
    file,
    errno: code,
  });
}
