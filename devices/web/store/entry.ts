/** One model in the store, while this worker writes to it: its record, and the files that have come so far. */

import { createSHA256, type IHasher } from "hash-wasm";
import { openReadable, openWritable, SharedHandle, type WritableFile } from "./opfs.ts";
import {
  isComplete,
  type Kept,
  type Line,
  type Mark,
  type PartRecord,
  packName,
  partName,
  readRecord,
  recordName,
  type StoreRecord,
  type Version,
  writeLine,
} from "./record.ts";
import type { Receiver } from "./transfer.ts";

/** What was written is made safe, and noted, this often: at most so much is downloaded again. */
const MARK_BYTES = 16 << 20;
const MARK_MS = 2000;
const READ_BYTES = 1 << 20;

/** What a store's folder says of a model; undefined where it has none. */
export async function readEntry(folder: FileSystemDirectoryHandle, key: string): Promise<StoreRecord | undefined> {
  try {
    const file = await folder.getFileHandle(recordName(key));
    return readRecord(await (await file.getFile()).text());
  } catch {
    return undefined;
  }
}

/** Deletes all files of a model; throws what the browser throws where one is in use. */
export async function removeEntry(folder: FileSystemDirectoryHandle, key: string): Promise<void> {
  const names: string[] = [];
  for await (const name of folder.keys()) if (name.startsWith(`${key}.`)) names.push(name);
  // The record goes last: without it, nobody would know of the others.
  for (const name of names.toSorted((a, b) => Number(a === recordName(key)) - Number(b === recordName(key)))) {
    await folder.removeEntry(name);
  }
}

export class Entry {
  private constructor(
    readonly folder: FileSystemDirectoryHandle,
    readonly key: string,
    private readonly file: WritableFile,
    private known: StoreRecord,
  ) {}

  /** Opens a model's record, which is begun if there is none or if it is of other files. */
  static async open(folder: FileSystemDirectoryHandle, key: string, model: Kept): Promise<Entry> {
    const known = await readEntry(folder, key);
    const fits = known?.model.names.join() === model.names.join();
    if (!fits) await removeEntry(folder, key);
    const file = await openWritable(folder, recordName(key));
    const entry = new Entry(folder, key, file, known!);
    if (!fits) entry.note({ model });
    return entry;
  }

  get record(): StoreRecord {
    return this.known;
  }

  /** Writes a line, and knows it from now on. */
  note(line: Line): void {
    this.file.append(writeLine(line));
    const text = new Uint8Array(this.file.size);
    this.file.read(0, text);
    this.known = readRecord(new TextDecoder().decode(text))!;
  }

  /** Forgets all that has come. */
  async reset(): Promise<void> {
    const { model } = this.known;
    this.file.resize(0);
    this.note({ model });
    await this.removeFiles();
  }

  /** Deletes what the record does not speak of: the files that a pack was made of, or all after a reset. */
  async removeFiles(): Promise<void> {
    const { pack } = this.known;
    const names = this.known.model.names.map((_, i) => partName(this.key, i));
    const unused = [...names, packName(this.key)].filter((name) => name !== pack?.file);
    if (!pack && isComplete(this.known)) return;
    for (const name of unused) await this.folder.removeEntry(name).catch(() => {}); // most are not there
  }

  /** Where a part's bytes go; it has those already that were noted and are still as they were. */
  async receiver(part: number): Promise<PartReceiver> {
    const file = await openWritable(this.folder, partName(this.key, part));
    const receiver = new PartReceiver(file, await createSHA256(), part, (line) => this.note(line));
    receiver.resume(this.known.parts[part]);
    return receiver;
  }

  /** A file of the store that is not being written, to be read by this worker. */
  async reader(name: string): Promise<SharedHandle> {
    const handle = await openReadable(await this.folder.getFileHandle(name));
    return new SharedHandle(handle!);
  }

  close(): void {
    this.file.close();
  }
}

/** Writes a file of a model as it comes, with its checksum. */
class PartReceiver implements Receiver {
  position = 0;
  private marked = 0;
  private markedMs = performance.now();

  constructor(
    private readonly file: WritableFile,
    private readonly hash: IHasher,
    private readonly part: number,
    private readonly note: (line: Line) => void,
  ) {}

  /** Takes over what an earlier attempt has written, as far as it is as it was noted. */
  resume({ marks }: PartRecord): void {
    let sound = this.hash.save();
    const bytes = new Uint8Array(READ_BYTES);
    for (const mark of marks) {
      if (!this.hashUpTo(mark, bytes)) break;
      sound = this.hash.save();
      this.marked = mark.bytes;
    }
    this.hash.load(sound);
    this.position = this.marked;
  }

  /** Whether the file has these bytes. */
  private hashUpTo(mark: Mark, bytes: Uint8Array): boolean {
    if (this.file.size < mark.bytes) return false;
    for (let at = this.marked; at < mark.bytes; ) {
      const count = this.file.read(at, bytes.subarray(0, Math.min(bytes.length, mark.bytes - at)));
      if (count === 0) return false;
      this.hash.update(bytes.subarray(0, count));
      at += count;
    }
    return this.sum() === mark.sum;
  }

  onVersion(version: Version): void {
    this.note({ part: this.part, version });
  }

  take(chunk: Uint8Array): void {
    this.file.write(this.position, chunk);
    this.hash.update(chunk);
    this.position += chunk.length;
    const late = performance.now() - this.markedMs > MARK_MS;
    if (late || this.position - this.marked >= MARK_BYTES) this.mark();
  }

  restart(): void {
    this.hash.init();
    this.position = this.marked = 0;
    this.file.resize(0);
  }

  /** All of it has come. */
  end(): void {
    this.file.resize(this.position);
    this.file.flush();
    this.note({ part: this.part, end: this.position, sum: this.sum() });
  }

  /** Lets go of the file; what has come stays for the next attempt. */
  close(): void {
    try {
      if (this.position > this.marked) this.mark();
    } finally {
      this.file.close();
    }
  }

  private mark(): void {
    this.file.flush();
    this.note({ part: this.part, at: this.position, sum: this.sum() });
    this.marked = this.position;
    this.markedMs = performance.now();
  }

  /** SHA-256 of what has come so far. */
  private sum(): string {
    const state = this.hash.save();
    const sum = this.hash.digest();
    this.hash.load(state);
    return sum;
  }
}
