/**
 * A file that is read ahead of its use, past the page cache where the file system allows that: what streams by once for
 * each token would only push more useful pages out.
 */

import fs from "node:fs";
import { promisify } from "node:util";
import type { AheadSource } from "../../runtime/device.ts";
import { truncated } from "../../runtime/weights/faults.ts";
import { openError, readError } from "./files.ts";
import { systemCalls } from "./system/calls.ts";

const read = promisify(fs.read);
const DIRECT = fs.constants.O_DIRECT ?? 0;

export interface DirectSource extends AheadSource {
  /** Whether reads have gone past the page cache so far. */
  direct(): boolean;
}

/** Opens a file; throws E_NOT_FOUND or E_FILE_READ. */
export function openAhead(path: string): DirectSource {
  // Both at once: later there may be another file of this name.
  const buffered = open(path, fs.constants.O_RDONLY);
  const unbuffered = openDirect(path);
  const opened = [buffered, ...(unbuffered === undefined ? [] : [unbuffered])];
  let direct = unbuffered !== undefined;
  const { size } = fs.fstatSync(buffered);

  const readOnce = async (offset: number, into: Uint8Array): Promise<number> => {
    const fd = direct ? unbuffered! : buffered;
    try {
      const { bytesRead } = await read(fd, into, 0, into.length, offset);
      return bytesRead;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "EINVAL" || fd === buffered) throw readError(path, offset, error as NodeJS.ErrnoException);
      // Some file systems accept the flag, or only some sizes, and refuse the read; others may still be under way.
      direct = false;
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
        if (done < into.length && done % 512 !== 0) direct = false;
      }
      if (direct) return;
      const c = systemCalls();
      if (typeof c === "object") c.adviseFile(buffered, offset, into.length, "dontNeed");
    },
    direct: () => direct,
    close() {
      // Once only: the numbers may be those of other files by then.
      for (const fd of opened.splice(0)) fs.closeSync(fd);
    },
  };
}

function open(path: string, flags: number): number {
  try {
    return fs.openSync(path, flags);
  } catch (error) {
    throw openError(path, error as NodeJS.ErrnoException);
  }
}

/** Undefined where the system or the file system has no direct reads. */
function openDirect(path: string): number | undefined {
  if (DIRECT === 0) return undefined;
  try {
    return fs.openSync(path, fs.constants.O_RDONLY | DIRECT);
  } catch {
    return undefined;
  }
}
