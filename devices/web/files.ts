/** The files of a model in a browser: where they are kept, and how workers read them. */

import type { AheadSource, ByteSource } from "../../runtime/device.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { truncated } from "../../runtime/weights/faults.ts";
import { sharesMemory } from "./capacity.ts";
import { openReadable, SharedHandle, type Stored, storeFolder } from "./store/opfs.ts";

type Part = Blob | ArrayBuffer | SharedArrayBuffer;

/**
 * By the name that messages use and that a split model's files know each other by: the parts of each, in order, or its name in
 * the store.
 */
export type Files = Map<string, Part[] | Stored>;

/** FileReaderSync gives buffers of its own, which are copied on; this bounds them. */
const CHUNK_BYTES = 4 << 20;

/** Of workers only, and so not in TypeScript's DOM library. */
declare class FileReaderSync {
  readAsArrayBuffer(blob: Blob): ArrayBuffer;
}

/**
 * A part with these bytes, in memory that all workers share, or that can be moved to one; throws E_MEMORY. Not a Blob:
 * Chromium holds at most 500 MiB of them where it has no profile on disk, and when they are full cannot slice them.
 */
export function keep(chunks: readonly Uint8Array[]): Part {
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  try {
    const buffer = sharesMemory() ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
    let at = 0;
    for (const chunk of chunks) {
      new Uint8Array(buffer).set(chunk, at);
      at += chunk.length;
    }
    return buffer;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw new PiPhiError(
      "E_MEMORY",
      `The browser refused another ${Math.ceil(bytes / 2 ** 20)} MiB for the model. Close other tabs, or use a smaller quantization.`,
      { needBytes: bytes },
    );
  }
}

/** What moves to another thread instead of being copied. */
export function transferable(files: Files): ArrayBuffer[] {
  return Array.from(files.values(), (file) => ("stored" in file ? [] : file))
    .flat()
    .filter((part) => part instanceof ArrayBuffer);
}

/** What `files` holds for `name`; throws E_NOT_FOUND. */
export function find<T>(files: ReadonlyMap<string, T>, name: string): T {
  const file = files.get(name);
  if (file !== undefined) return file;
  const message = `${name} is not among the files that were given. Give all parts of the model.`;
  throw new PiPhiError("E_NOT_FOUND", message, { file: name, given: [...files.keys()] });
}

/** A worker's files. Those in the store have to be made ready before they can be opened at once. */
export class OpenFiles {
  private readonly handles = new Map<string, SharedHandle>();

  constructor(readonly files: Files) {}

  /** Makes the files in the store ready; throws E_FILE_READ. */
  async prepare(): Promise<void> {
    for (const [name, file] of this.files) if ("stored" in file) await this.prepareStored(name, file);
  }

  private async prepareStored(name: string, { stored }: Stored): Promise<void> {
    const file = await (await storeFolder())?.getFileHandle(stored).catch(() => undefined);
    if (file === undefined) throw unreadable(name, "the browser has deleted it");
    const handle = await openReadable(file);
    if (handle) this.handles.set(name, new SharedHandle(handle));
    else this.files.set(name, [await file.getFile()]);
  }

  /** Throws E_NOT_FOUND. */
  open(name: string): ByteSource {
    const file = find(this.files, name);
    return "stored" in file ? find(this.handles, name).open(name) : openParts(file, name);
  }

  /** Whether files lie in the store, and can be read again at any time. */
  get areStored(): boolean {
    return Array.from(this.files.values()).some((file) => "stored" in file);
  }

  openAhead(name: string): AheadSource {
    const source = this.open(name);
    return { read: async (offset, into) => source.read(offset, into), close: () => source.close() };
  }

  /** Lets go of what is in memory. */
  forget(name?: string): void {
    if (name === undefined) this.files.clear();
    else this.files.delete(name);
  }
}

function openParts(parts: readonly Part[], name: string): ByteSource {
  const size = parts.reduce((sum, part) => sum + sizeOf(part), 0);
  const read = (offset: number, into: Uint8Array) => {
    const end = offset + into.length;
    if (end > size) throw truncated(name, size, end);
    let start = 0;
    for (const part of parts) {
      const from = Math.max(offset, start);
      const to = Math.min(end, start + sizeOf(part));
      if (from < to) readPart(part, from - start, into.subarray(from - offset, to - offset), name);
      start += sizeOf(part);
    }
  };
  return { name, size, read, close: () => {} };
}

function sizeOf(part: Part): number {
  return part instanceof Blob ? part.size : part.byteLength;
}

/** Fills all of `into` from `offset` of `part` on. */
function readPart(part: Part, offset: number, into: Uint8Array, name: string): void {
  if (!(part instanceof Blob)) {
    into.set(new Uint8Array(part, offset, into.length));
    return;
  }
  for (let done = 0; done < into.length; done += CHUNK_BYTES) {
    const from = offset + done;
    into.set(readChunk(part.slice(from, Math.min(from + CHUNK_BYTES, offset + into.length)), name), done);
  }
}

function readChunk(chunk: Blob, name: string): Uint8Array {
  try {
    return complete(new FileReaderSync().readAsArrayBuffer(chunk), chunk);
  } catch (error) {
    throw unreadable(name, error);
  }
}

/** All of `chunk`, on any thread; throws E_FILE_READ. */
export async function readBlob(chunk: Blob, name: string): Promise<Uint8Array> {
  try {
    return complete(await chunk.arrayBuffer(), chunk);
  } catch (error) {
    throw unreadable(name, error);
  }
}

/** Some browsers give less than all for files beyond 2 GiB. */
function complete(buffer: ArrayBuffer, { size }: Blob): Uint8Array {
  if (buffer.byteLength === size) return new Uint8Array(buffer);
  throw new Error(`${buffer.byteLength} of ${size} bytes came back`);
}

function unreadable(name: string, error: unknown): PiPhiError {
  const reason = error instanceof Error ? error.message : String(error);
  const remedy = "Load it again. If the file has changed since you picked it, pick it again.";
  return new PiPhiError("E_FILE_READ", `Reading ${name} failed (${reason}). ${remedy}`, { file: name });
}
