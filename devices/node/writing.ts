/** Files that appear under their name as a whole: written beside their place, brought to the disk, and renamed. */

import fs from "node:fs";
import path from "node:path";
import type { ByteSink } from "../../runtime/device.ts";
import { PiPhiError } from "../../runtime/errors.ts";

/**
 * Lets `write` fill a file that then appears under its name as a whole. What it throws leaves no file behind; what a
 * killed process leaves, the next attempt replaces.
 */
export async function writeAtomically(output: string, write: (sink: ByteSink) => Promise<void>): Promise<number> {
  const part = `${output}.part`;
  let fd: number | undefined;
  try {
    fd = fs.openSync(part, "w");
    await write(sinkOf(fd, part));
    fs.fsyncSync(fd);
    const { size } = fs.fstatSync(fd);
    fs.closeSync(fd);
    fd = undefined;
    fs.renameSync(part, output);
    syncFolder(path.dirname(path.resolve(output)));
    return size;
  } catch (error) {
    const opened = fd !== undefined || fs.existsSync(part);
    if (fd !== undefined) fs.closeSync(fd);
    if (opened) fs.rmSync(part, { force: true });
    throw error instanceof PiPhiError ? error : writeError(output, error as NodeJS.ErrnoException);
  }
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
  return new PiPhiError("E_FILE_WRITE", `${file} cannot be written (${message}). ${remedy[code] ?? "Try again."}`, {
    file,
    errno: code,
  });
}
