/** Model files in a browser: Blobs by name, read synchronously, which only workers may. */

import type { ByteSource } from "../../runtime/device.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { truncated } from "../../runtime/weights/faults.ts";

/** What is known to the worker under the names that messages, and a split model's parts, use. */
export type Files = Map<string, Blob>;

/** FileReaderSync gives buffers of its own, which are copied on; this bounds them. */
const CHUNK_BYTES = 4 << 20;

/** Of workers only, and so not in TypeScript's DOM library. */
declare class FileReaderSync {
  readAsArrayBuffer(blob: Blob): ArrayBuffer;
}

/** Opens one of `files`; throws E_NOT_FOUND. */
export function openBlob(files: Files, name: string): ByteSource {
  const blob = files.get(name);
  if (!blob) {
    throw new PiPhiError(
      "E_NOT_FOUND",
      `${name} is not among the files that were given. Give all parts of the model.`,
      {
        file: name,
        given: [...files.keys()],
      },
    );
  }
  const read = (offset: number, into: Uint8Array) => {
    const end = offset + into.length;
    if (end > blob.size) throw truncated(name, blob.size, end);
    for (let done = 0; done < into.length; done += CHUNK_BYTES) {
      const from = offset + done;
      into.set(readChunk(blob.slice(from, Math.min(from + CHUNK_BYTES, end)), name, from), done);
    }
  };
  return { name, size: blob.size, read, close: () => {} };
}

/** All of `chunk`, which begins at `offset` of the file. Some browsers give less for files beyond 2 GiB. */
function readChunk(chunk: Blob, name: string, offset: number): Uint8Array {
  let reason: string;
  try {
    const buffer = new FileReaderSync().readAsArrayBuffer(chunk);
    if (buffer.byteLength === chunk.size) return new Uint8Array(buffer);
    reason = `${buffer.byteLength} of ${chunk.size} bytes came back`;
  } catch (error) {
    reason = error instanceof Error ? error.message : String(error);
  }
  throw new PiPhiError(
    "E_FILE_READ",
    `Reading ${name} failed (${reason}). Load it again; a file that has changed since it was picked must be picked anew.`,
    { file: name, offset },
  );
}
