/**
 * Files in the origin private file system. A worker reads and writes them synchronously through access handles; those that
 * only read can be many where the browser knows the mode, elsewhere there is one, and others read through Blobs.
 */

import type { ByteSource } from "../../../runtime/device.ts";
import { PiPhiError } from "../../../runtime/errors.ts";
import { truncated } from "../../../runtime/weights/faults.ts";
import { storeFull } from "./record.ts";

/** Of workers only, and so not in TypeScript's DOM library. */
export interface AccessHandle {
  read(into: Uint8Array, options: { at: number }): number;
  write(from: Uint8Array, options: { at: number }): number;
  truncate(bytes: number): void;
  getSize(): number;
  flush(): void;
  close(): void;
}

type Openable = FileSystemFileHandle & {
  createSyncAccessHandle(options?: { mode: "read-only" | "readwrite" }): Promise<AccessHandle>;
};

const FOLDER = "piphi";

/** The store's folder; undefined where the browser has no such file system for this page, or refuses it. */
export async function storeFolder(): Promise<FileSystemDirectoryHandle | undefined> {
  try {
    const root = await navigator.storage.getDirectory();
    return await root.getDirectoryHandle(FOLDER, { create: true });
  } catch {
    return undefined;
  }
}

/** A file of the store, as messages to other threads name it. */
export interface Stored {
  stored: string;
}

function unreadable(name: string, error: unknown): PiPhiError {
  const reason = error instanceof Error ? error.message : String(error);
  return new PiPhiError(
    "E_FILE_READ",
    `Reading ${name} from the browser's storage failed (${reason}). Load the model again: what the browser has deleted is downloaded again.`,
    { file: name },
  );
}

function writeFailed(name: string, error: unknown, needBytes: number): PiPhiError {
  if (error instanceof DOMException && error.name === "QuotaExceededError") return storeFull(needBytes);
  const reason = error instanceof Error ? error.message : String(error);
  return new PiPhiError(
    "E_FILE_WRITE",
    `Writing ${name} to the browser's storage failed (${reason}). Load the model again, or load it without storing it (store: false).`,
    { file: name },
  );
}

/** Opens a file of the store to be written, by this worker alone; throws E_BUSY where another tab has it. */
export async function openWritable(folder: FileSystemDirectoryHandle, name: string): Promise<WritableFile> {
  try {
    const file = (await folder.getFileHandle(name, { create: true })) as Openable;
    return new WritableFile(name, await file.createSyncAccessHandle());
  } catch (error) {
    if (error instanceof DOMException && error.name === "NoModificationAllowedError") throw inUse(name);
    throw writeFailed(name, error, 0);
  }
}

export function inUse(name: string): PiPhiError {
  const message = `The stored model is in use, here or in another tab (${name}). Close it there, and try again.`;
  return new PiPhiError("E_BUSY", message, { file: name });
}

/** A file that this worker writes; throws E_DISK_FULL and E_FILE_WRITE. */
export class WritableFile {
  constructor(
    readonly name: string,
    private readonly handle: AccessHandle,
  ) {}

  get size(): number {
    return this.handle.getSize();
  }

  /** Fills `into` from `offset` on; how many bytes there were. */
  read(offset: number, into: Uint8Array): number {
    return this.handle.read(into, { at: offset });
  }

  write(offset: number, bytes: Uint8Array): void {
    try {
      for (let done = 0; done < bytes.length; ) {
        const count = this.handle.write(bytes.subarray(done), { at: offset + done });
        if (!(count > 0)) throw new DOMException("no byte was written", "QuotaExceededError");
        done += count;
      }
    } catch (error) {
      throw writeFailed(this.name, error, offset + bytes.length);
    }
  }

  append(bytes: Uint8Array): void {
    this.write(this.size, bytes);
    this.flush();
  }

  resize(bytes: number): void {
    try {
      this.handle.truncate(bytes);
    } catch (error) {
      throw writeFailed(this.name, error, bytes);
    }
  }

  flush(): void {
    try {
      this.handle.flush();
    } catch (error) {
      throw writeFailed(this.name, error, this.size);
    }
  }

  close(): void {
    this.handle.close();
  }
}

/** A file to read, or undefined where this worker cannot have an access handle: others have it, and the browser knows one only. */
export async function openReadable(file: FileSystemFileHandle): Promise<AccessHandle | undefined> {
  try {
    return await (file as Openable).createSyncAccessHandle({ mode: "read-only" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "NoModificationAllowedError") return undefined;
    throw unreadable(file.name, error);
  }
}

/** Reads an open file. It is closed when every one that was opened of it is. */
export class SharedHandle {
  private users = 0;

  constructor(private readonly handle: AccessHandle) {}

  open(name: string): ByteSource {
    this.users++;
    let open = true;
    return {
      name,
      size: this.handle.getSize(),
      read: (offset, into) => readFully(this.handle, name, offset, into),
      close: () => {
        if (open && --this.users === 0) this.handle.close();
        open = false;
      },
    };
  }
}

function readFully(handle: AccessHandle, name: string, offset: number, into: Uint8Array): void {
  for (let done = 0; done < into.length; ) {
    let count: number;
    try {
      count = handle.read(done === 0 ? into : into.subarray(done), { at: offset + done });
    } catch (error) {
      throw unreadable(name, error);
    }
    if (!(count > 0)) throw truncated(name, handle.getSize(), offset + into.length, "Load it again.");
    done += count;
  }
}
