/** Files on a disk. */

import fs from "node:fs";
import type { ByteSource } from "../../runtime/device.ts";
import { PiPhiError } from "../../runtime/errors.ts";

/** Opens a file; throws E_NOT_FOUND or E_FILE_READ. */
export function openFile(path: string): ByteSource {
  let fd: number;
  try {
    // Without waiting: opening a pipe that nobody writes to would block for good.
    fd = fs.openSync(path, fs.constants.O_RDONLY | (fs.constants.O_NONBLOCK ?? 0));
  } catch (error) {
    throw openError(path, error as NodeJS.ErrnoException);
  }
  const stat = fs.fstatSync(fd);
  if (stat.isDirectory()) {
    fs.closeSync(fd);
    throw new PiPhiError("E_FILE_READ", `${path} is a folder. Give the path of a file in it.`, { path });
  }
  if (!stat.isFile()) {
    fs.closeSync(fd);
    throw new PiPhiError("E_FILE_READ", `${path} is a pipe or a device. Save the model to a file first.`, { path });
  }
  let open = true;
  return {
    name: path,
    size: stat.size,
    read: (offset, into) => readFully(fd, path, offset, into),
    unchanged: watch(fd, path, stat),
    close() {
      if (open) fs.closeSync(fd);
      open = false;
    },
  };
}

/** Whether a file is still what `stat` said when it was opened. */
function watch(fd: number, path: string, stat: fs.Stats): () => boolean {
  let before = stat;
  return () => {
    const now = fs.fstatSync(fd);
    if (now.size !== before.size || now.mtimeMs !== before.mtimeMs) return false;
    // A write whose time was set back still shows here, but so does what is no write: new links, names and permissions.
    const written = now.ctimeMs !== before.ctimeMs && !hasMoved(now, before) && isNamed(path, now);
    if (!written) before = now;
    return !written;
  };
}

function hasMoved(now: fs.Stats, before: fs.Stats): boolean {
  const { nlink, mode, uid, gid } = before;
  return now.nlink !== nlink || now.mode !== mode || now.uid !== uid || now.gid !== gid;
}

function isNamed(path: string, { dev, ino }: fs.Stats): boolean {
  try {
    const found = fs.statSync(path);
    return found.dev === dev && found.ino === ino;
  } catch {
    return false;
  }
}

function readFully(fd: number, path: string, offset: number, into: Uint8Array): void {
  for (let done = 0; done < into.length; ) {
    let count: number;
    try {
      count = fs.readSync(fd, into, done, into.length - done, offset + done);
    } catch (error) {
      throw readError(path, offset + done, error as NodeJS.ErrnoException);
    }
    if (count === 0) {
      throw new PiPhiError(
        "E_FILE_TRUNCATED",
        `${path} ends at byte ${offset + done}, where ${into.length - done} more were expected. Download it again.`,
        { path, offset: offset + done, missing: into.length - done },
      );
    }
    done += count;
  }
}

export function readError(path: string, offset: number, error: NodeJS.ErrnoException): PiPhiError {
  return new PiPhiError("E_FILE_READ", `Reading ${path} failed (${error.message}). Check the disk and try again.`, {
    path,
    errno: error.code ?? "unknown",
    offset,
  });
}

/** Where a symbolic link leads; undefined for everything else. */
function linkTarget(path: string): string | undefined {
  try {
    return fs.readlinkSync(path);
  } catch {
    return undefined;
  }
}

export function openError(path: string, error: NodeJS.ErrnoException): PiPhiError {
  if (error.code === "ENOENT") {
    const target = linkTarget(path);
    if (target !== undefined) {
      const message = `${path} is a link to ${target}, but there is no file there. Mount the disk that holds it, or make the link again.`;
      return new PiPhiError("E_NOT_FOUND", message, { path, target });
    }
    return new PiPhiError(
      "E_NOT_FOUND",
      `There is no file ${path}. Check the path, or leave the model out to use the embedded one.`,
      {
        path,
      },
    );
  }
  if (error.code === "EACCES" || error.code === "EPERM") {
    return new PiPhiError(
      "E_FILE_READ",
      `${path} cannot be read: you do not have permission. Change the file's permissions.`,
      {
        path,
        errno: error.code,
      },
    );
  }
  return new PiPhiError("E_FILE_READ", `${path} cannot be opened (${error.message}). Check the disk and try again.`, {
    path,
    errno: error.code ?? "unknown",
  });
}
