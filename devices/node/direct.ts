/**
 * A file that is read ahead of its use, past the page cache where the file system allows that: what streams by once for
 * each token would only push more useful pages out.
 */

import fs from "node:fs";
import { promisify } from "node:util";
import type { AheadSource } from "../../runtime/device.ts";
import { truncated } from "../../runtime/weights/faults.ts";
import { openError, readError } from "./files.ts";
import { libc } from "./libc.ts";

const read = promisify(fs.read);
const DIRECT = fs.constants.O_DIRECT ?? 0;

export interface DirectSource extends AheadSource {
  /** Whether reads have gone past the page cache so far. */
  direct(): boolean;
}

/** Opens a file; throws E_NOT_FOUND or E_FILE_READ. */
export function openAhead(path: string): DirectSource {
  let { fd, direct } = open(path);
  const { size } = fs.fstatSync(fd);
  const c = libc();

  const opened = [fd];

  /** tmpfs and others accept the flag, or only some sizes, and refuse the read. Other reads may still be under way. */
  const goBuffered = () => {
    if (!direct) return;
    fd = fs.openSync(path, "r");
    opened.push(fd);
    direct = false;
  };

  const readOnce = async (offset: number, into: Uint8Array): Promise<number> => {
    try {
      const { bytesRead } = await read(fd, into, 0, into.length, offset);
      return bytesRead;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "EINVAL" || !direct) throw readError(path, offset, error as NodeJS.ErrnoException);
      goBuffered();
      return readOnce(offset, into);
    }
  };

  return {
    async read(offset, into) {
      for (let done = 0; done < into.length; ) {
        const count = await readOnce(offset + done, into.subarray(done));
        if (count === 0) throw truncated(path, size, offset + into.length);
        done += count;
        // A short read may end anywhere; from there on only the page cache can help.
        if (done < into.length && done % 512 !== 0) goBuffered();
      }
      if (!direct && typeof c === "object") c.adviseFile(fd, offset, into.length, "dontNeed");
    },
    direct: () => direct,
    close() {
      for (const one of opened.splice(0)) fs.closeSync(one);
    },
  };
}

function open(path: string): { fd: number; direct: boolean } {
  try {
    if (DIRECT !== 0) return { fd: fs.openSync(path, fs.constants.O_RDONLY | DIRECT), direct: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EINVAL") throw openError(path, error as NodeJS.ErrnoException);
  }
  try {
    return { fd: fs.openSync(path, "r"), direct: false };
  } catch (error) {
    throw openError(path, error as NodeJS.ErrnoException);
  }
}
