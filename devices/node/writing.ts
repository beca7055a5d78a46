/** Files that appear under their name as a whole: written beside their place, brought to the disk, and renamed. */

import { createHash, randomBytes } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import type { ByteSink } from "../../runtime/device.ts";
import { PiPhiError } from "../../runtime/errors.ts";

/** The mode of files that hold what people said: for their owner's eyes. A file that is replaced keeps its own mode. */
export const PRIVATE_MODE = 0o600;
const USUAL_MODE = 0o666;

/**
 * Lets `write` fill a file that then appears under its name as a whole. What it throws leaves no file behind. Several may
 * write the same file at once: the last one's stays. A symbolic link stays, and its target is written. Throws E_FILE_WRITE
 * for a name that is a folder, a pipe or a device.
 */
export async function writeAtomically(
  output: string,
  write: (sink: ByteSink) => Promise<void>,
  mode = USUAL_MODE,
): Promise<number> {
  const target = writableTarget(output);
  const part = `${partPrefix(target)}${partMark()}.${process.pid}-${randomBytes(3).toString("hex")}${PART}`;
  let fd: number | undefined;
  try {
    fd = fs.openSync(part, "wx", mode);
    const before = fs.statSync(target, { throwIfNoEntry: false });
    if (before) fs.fchmodSync(fd, before.mode & 0o777);
    await write(sinkOf(fd, output));
    fs.fsyncSync(fd);
    const { size } = fs.fstatSync(fd);
    fs.closeSync(fd);
    fd = undefined;
    fs.renameSync(part, target);
    syncFolder(path.dirname(path.resolve(target)));
    return size;
  } catch (error) {
    if (fd !== undefined) fs.closeSync(fd);
    if (fs.existsSync(part)) fs.rmSync(part, { force: true });
    throw error instanceof PiPhiError ? error : writeError(output, error as NodeJS.ErrnoException);
  }
}

/** Links that may follow each other, as on Linux. */
const MOST_LINKS = 40;

/**
 * The file that is written for this name: where symbolic links lead. Throws E_FILE_WRITE where that is no regular file, since
 * a rename would put one in its place.
 */
export function writableTarget(output: string): string {
  let target = output;
  try {
    for (let links = 0; fs.lstatSync(target, { throwIfNoEntry: false })?.isSymbolicLink(); links++) {
      if (links === MOST_LINKS) throw errnoError("ELOOP", "too many symbolic links");
      target = path.resolve(path.dirname(target), fs.readlinkSync(target));
    }
    const stat = fs.statSync(output, { throwIfNoEntry: false });
    if (stat?.isDirectory()) throw errnoError("EISDIR", "is a directory");
    if (stat === undefined || stat.isFile()) return target;
  } catch (error) {
    throw writeError(output, error as NodeJS.ErrnoException);
  }
  throw new PiPhiError(
    "E_FILE_WRITE",
    `${output} is a pipe or a device. Output needs a regular file: give the name of one.`,
    { file: output },
  );
}

function errnoError(code: string, message: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${message}`), { code });
}

/**
 * Makes a folder and those above it that are missing; throws E_FILE_WRITE. Node's own `recursive` never returns where a file
 * system such as /proc takes no folders, and gives ENOENT for a read-only one.
 */
export function makeFolders(folder: string): void {
  const missing: string[] = [];
  for (let at = path.resolve(folder); !fs.existsSync(at); at = path.dirname(at)) missing.push(at);
  for (const each of missing.reverse()) {
    try {
      fs.mkdirSync(each);
    } catch (error) {
      // Another process may have been faster.
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EEXIST" && fs.statSync(each).isDirectory()) continue;
      // The folder above is there by now: its file system makes none.
      if (code === "ENOENT") throw writeError(folder, errnoError("ENOTSUP", "the file system takes no folders"));
      throw writeError(folder, error as NodeJS.ErrnoException);
    }
  }
}

const PART = ".part";
/** Bytes of a name, on nearly all file systems; and of what a part has beside its file's name, and more. */
const MOST_NAME_BYTES = 255;
const PART_EXTRA_BYTES = 48;

/** `text` cut to as many bytes of UTF-8, at a character's border. */
export function cutBytes(text: string, bytes: number): string {
  let cut = text;
  while (Buffer.byteLength(cut) > bytes) cut = Array.from(cut).slice(0, -1).join("");
  return cut;
}

/** What the names of a file's parts begin with: the file's own name, or the beginning and a hash of a long one. */
function partPrefix(file: string): string {
  const name = path.basename(file);
  const hash = createHash("sha256").update(name).digest("hex").slice(0, 12);
  const room = MOST_NAME_BYTES - PART_EXTRA_BYTES;
  const short = Buffer.byteLength(name) <= room ? name : `${cutBytes(name, room - hash.length - 1)}.${hash}`;
  return path.join(path.dirname(file), `${short}.`);
}
/** A file that another machine (or container) writes, in a folder that is shared, changes all the time. */
const FOREIGN_PATIENCE_MS = 3_600_000;

/** Tells apart machines that share a folder: process ids mean nothing on another one. */
function partMark(): string {
  return createHash("sha256").update(os.hostname()).digest("hex").slice(0, 6);
}

/** Removes what processes that were killed left of the same file; throws E_FILE_WRITE as writeAtomically does. */
export function removeLeftovers(output: string): void {
  const prefixPath = partPrefix(writableTarget(output));
  const folder = path.dirname(prefixPath);
  const prefix = path.basename(prefixPath);
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
    return new PiPhiError(
      "E_DISK_FULL",
      `The disk became full while ${file} was written. Delete some files and try again.`,
      {
        file,
      },
    );
  }
  const remedy: Record<string, string> = {
    EACCES: "You do not have permission to write there. Choose another folder, or change its permissions.",
    EPERM: "You do not have permission to write there. Choose another folder, or change its permissions.",
    EROFS: "The file system is read-only: choose another folder (PIPHI_HOME is the store's; --no-pack needs none).",
    EFBIG: "The file system cannot hold files of this size (FAT ends at 4 GiB): choose another one.",
    ENOENT: "The folder does not exist: make it first.",
    EISDIR: "There is a folder of that name: choose another name.",
    ENOTSUP: "Choose another folder (PIPHI_HOME is the store's; --no-pack needs none).",
    ENOTDIR: "A part of the path is a file: choose another folder.",
    ENAMETOOLONG: "The name is too long for the file system: choose a shorter one.",
    ELOOP: "The symbolic links lead in a circle: choose another name.",
  };
  // Without the call and its paths, which may be those of a file of another name that was to be renamed.
  const [reason] = message.split(", ");
  return new PiPhiError("E_FILE_WRITE", `${file} cannot be written (${reason}). ${remedy[code] ?? "Try again."}`, {
    file,
    errno: code,
  });
}
