/**
 * Provides the files of a model that lies at an address: from the store, where they lie as a pack that needs no conversion;
 * from the network into the store; or from the network into memory.
 */

import type { Progress } from "../../../runtime/api.ts";
import type { Device } from "../../../runtime/device.ts";
import { PiPhiError } from "../../../runtime/errors.ts";
import { openModel } from "../../../runtime/weights/model.ts";
import { packBytes, writePack } from "../../../runtime/weights/packer.ts";
import { verifyPack } from "../../../runtime/weights/verify.ts";
import { download, sizesOf } from "../download.ts";
import type { Files } from "../files.ts";
import { type Remote, remotesOf } from "../remote.ts";
import { Entry, readEntry, removeEntry } from "./entry.ts";
import { openWritable, type SharedHandle, storeFolder } from "./opfs.ts";
import {
  isComplete,
  type Kept,
  keyOfRequest,
  type ModelRequest,
  type PackRecord,
  packName,
  partName,
  SMALLEST_BYTES,
  storeFull,
} from "./record.ts";
import { transfer } from "./transfer.ts";

export interface Provided {
  /** The one to load comes first. */
  files: Files;
  /** Of a model that lies in the store. */
  key?: string;
}

export interface Listener {
  onProgress(progress: Progress): void;
  /** A large model is about to be stored. */
  onStoring(): void;
}

/** Another tab is asked so often how far it is. */
const LOOK_MS = 250;
/** What is wrong with a file that will not get right by itself. */
const HOPELESS = new Set<string>([
  ...["E_NOT_GGUF", "E_FILE_TRUNCATED", "E_FILE_CORRUPT", "E_PACK_VERSION", "E_GGUF_VERSION", "E_ARCHITECTURE"],
  ...["E_TENSOR_TYPE", "E_TENSOR_MISSING", "E_TENSOR_SHAPE", "E_TENSOR_VALUES", "E_CONFIG", "E_VOCABULARY"],
  ...["E_NOT_FOUND", "E_DISK_FULL"],
]);

/** Throws what downloading, reading and packing a model throw. */
export async function provide(device: Device, request: ModelRequest, listener: Listener): Promise<Provided> {
  const url = new URL(request.url);
  const remotes = remotesOf(url);
  const folder = request.store === false ? undefined : await storeFolder();
  if (folder === undefined) return { files: await download(remotes, listener.onProgress) };
  const key = await keyOfRequest(request, url);
  if (request.store === undefined && !(await readEntry(folder, key))) {
    const bytes = await sizesOf(remotes);
    if (bytes > 0 && bytes < SMALLEST_BYTES) return { files: await download(remotes, listener.onProgress) };
  }
  return locked(folder, key, listener, async () => {
    const model: Kept = { address: remotes[0].name, names: remotes.map(({ name }) => name), dense: request.dense };
    if (typeof request.store === "string") model.as = request.store;
    const entry = await Entry.open(folder, key, model);
    try {
      return { files: await new Provision(device, entry, remotes, request, listener).run(), key };
    } catch (error) {
      if (!(error instanceof PiPhiError) || !HOPELESS.has(error.code)) throw error;
      entry.close();
      await removeEntry(folder, key);
      throw error;
    } finally {
      entry.close();
    }
  });
}

/** Does `work` while no other tab works at the same model; tells of its progress meanwhile. */
async function locked<T>(
  folder: FileSystemDirectoryHandle,
  key: string,
  { onProgress }: Listener,
  work: () => Promise<T>,
): Promise<T> {
  const { locks } = navigator as { locks?: LockManager };
  if (!locks) return work();
  for (;;) {
    const done = await locks.request(`piphi-store-${key}`, { ifAvailable: true }, async (lock) => {
      return lock === null ? undefined : { value: await work() };
    });
    if (done) return done.value;
    const parts = (await readEntry(folder, key))?.parts ?? [];
    const loadedBytes = parts.reduce((sum, { marks, end }) => sum + (end ?? marks.at(-1) ?? { bytes: 0 }).bytes, 0);
    const totalBytes = parts.reduce((sum, { version }) => sum + (version?.bytes ?? 0), 0);
    onProgress({ phase: "download", loadedBytes, totalBytes });
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
}

/** What is done, once, to have a model in the store. */
class Provision {
  constructor(
    private readonly device: Device,
    private readonly entry: Entry,
    private readonly remotes: readonly Remote[],
    private readonly request: ModelRequest,
    private readonly listener: Listener,
  ) {}

  async run(): Promise<Files> {
    const { entry } = this;
    if (entry.record.pack && !(await this.isSound(entry.record.pack))) await entry.reset();
    if (isComplete(entry.record) && !this.isAskedFor()) await entry.reset();
    if (!isComplete(entry.record)) {
      this.listener.onStoring();
      await this.download();
    }
    if (!entry.record.pack) await this.pack();
    entry.note({ used: Date.now() });
    const { pack } = entry.record;
    const [{ name }] = this.remotes;
    if (pack) return new Map([[name, { stored: pack.file }]]);
    return new Map(this.remotes.map((remote, i) => [remote.name, { stored: partName(entry.key, i) }]));
  }

  /** Whether a pack is as it was written: what was changed since is read and compared. */
  private async isSound(pack: PackRecord): Promise<boolean> {
    const { entry, listener } = this;
    try {
      const file = await (await entry.folder.getFileHandle(pack.file)).getFile();
      if (file.size !== pack.bytes) return false;
      if (file.lastModified === pack.modifiedMs) return true;
      await this.check(pack.file, (loadedBytes, totalBytes) => {
        listener.onProgress({ phase: "check", loadedBytes, totalBytes });
      });
      entry.note({ pack: { ...pack, modifiedMs: file.lastModified } });
      return true;
    } catch (error) {
      // Gone, or damaged: it comes again.
      if (error instanceof DOMException || error instanceof PiPhiError) return false;
      throw error;
    }
  }

  private async check(file: string, onProgress: (bytes: number, totalBytes: number) => void): Promise<void> {
    const handle = await this.entry.reader(file);
    const model = openModel((name) => handle.open(name), file, this.request.dense);
    try {
      if (model.weights.pack) await verifyPack(model.weights.pack, onProgress);
    } finally {
      model.close();
    }
  }

  /** Whether the files in the store have the checksums that the caller asks for. */
  private isAskedFor(): boolean {
    return this.remotes.every((_, i) => this.hasAskedSum(i));
  }

  private hasAskedSum(part: number): boolean {
    const { sha256 } = this.request;
    if (sha256 === undefined) return true;
    // The one that was asked for comes first among the remotes; checksums come in the order of the parts.
    const ordered = this.remotes.map(({ name }) => name).toSorted();
    const expected = sha256[ordered.indexOf(this.remotes[part].name)];
    return this.entry.record.parts[part].end?.sum === expected?.toLowerCase();
  }

  private async download(): Promise<void> {
    const { entry, remotes } = this;
    const bytes = remotes.length > 1 ? await sizesOf(remotes) : 0;
    if (bytes > 0) await this.refuseFull(bytes);
    for (const part of remotes.keys()) {
      if (entry.record.parts[part].end !== undefined) continue;
      const resumed = await this.receive(part, bytes);
      if (this.hasAskedSum(part)) continue;
      const { name } = remotes[part];
      entry.note({ part, version: entry.record.parts[part].version! });
      // What was continued may have been another version, unseen: once more, from its beginning.
      if (resumed) await this.receive(part, bytes);
      if (this.hasAskedSum(part)) continue;
      throw new PiPhiError(
        "E_FILE_CORRUPT",
        `${name} does not have the SHA-256 that was asked for. Check the checksum, and where the address leads.`,
        { file: name },
      );
    }
  }

  /** Downloads what is missing of a file; whether some of it was there. `allBytes`: of all files, 0 if that is not known. */
  private async receive(part: number, allBytes: number): Promise<boolean> {
    const { entry, remotes, listener } = this;
    const before = entry.record.parts.slice(0, part).reduce((sum, { end }) => sum + (end?.bytes ?? 0), 0);
    const receiver = await entry.receiver(part);
    const resumed = receiver.position > 0;
    try {
      await transfer(remotes[part], receiver, {
        known: resumed ? entry.record.parts[part].version : undefined,
        onVersion: async (version) => {
          receiver.onVersion(version);
          if (version.bytes > 0 && allBytes === 0) await this.refuseFull(version.bytes);
        },
        onBytes: (bytes) => {
          const totalBytes = allBytes || (remotes.length > 1 ? 0 : bytes);
          listener.onProgress({ phase: "download", loadedBytes: before + receiver.position, totalBytes });
        },
      });
      receiver.end();
    } finally {
      receiver.close();
    }
    return resumed;
  }

  /** Throws E_DISK_FULL where the browser has no room for files of so many bytes, before they are downloaded. */
  private async refuseFull(bytes: number): Promise<void> {
    const received = this.entry.record.parts.reduce((sum, { marks, end }) => {
      return sum + (end ?? marks.at(-1) ?? { bytes: 0 }).bytes;
    }, 0);
    const free = await freeBytes();
    if (bytes - received > free) throw storeFull(bytes - received, free);
  }

  /** Turns the files into a pack, if there is room for both; without, they are converted at each start. */
  private async pack(): Promise<void> {
    const { entry, remotes, request, listener } = this;
    const handles = new Map<string, SharedHandle>();
    for (const [i, { name }] of remotes.entries()) handles.set(name, await entry.reader(partName(entry.key, i)));
    const model = openModel((name) => handles.get(name)!.open(name), remotes[0].name, request.dense);
    try {
      const { weights, name, quantization, fileBytes } = model;
      const facts = { name, quantization };
      const report = (phase: "pack" | "check") => (loadedBytes: number, totalBytes: number) => {
        listener.onProgress({ phase, loadedBytes, totalBytes });
      };
      if (weights.pack) {
        await verifyPack(weights.pack, report("check"));
        return await this.notePack({ ...facts, file: partName(entry.key, 0) });
      }
      if ((await freeBytes()) < packBytes(model)) return;
      const file = packName(entry.key);
      const sink = await openWritable(entry.folder, file);
      try {
        const digest = entry.record.parts.map(({ end }) => end!.sum).join();
        const { pathname } = new URL(remotes[0].name);
        const origin = { name: pathname.slice(pathname.lastIndexOf("/") + 1), modifiedMs: 0, bytes: fileBytes, digest };
        await writePack(this.device, model, request.dense, sink, {
          origin: { ...origin, dense: request.dense },
          onProgress: report("pack"),
          checkpoint: () => {},
        });
        sink.flush();
      } finally {
        sink.close();
      }
      await this.notePack({ ...facts, file });
    } catch (error) {
      if (!(error instanceof PiPhiError) || error.code !== "E_DISK_FULL") throw error;
      await entry.folder.removeEntry(packName(entry.key));
    } finally {
      model.close();
    }
    await entry.removeFiles();
  }

  private async notePack(facts: Pick<PackRecord, "file" | "name" | "quantization">): Promise<void> {
    const { entry } = this;
    const { size, lastModified } = await (await entry.folder.getFileHandle(facts.file)).getFile();
    entry.note({ pack: { ...facts, bytes: size, modifiedMs: lastModified } });
  }
}

/** What the page may still store. */
async function freeBytes(): Promise<number> {
  const { quota, usage = 0 } = await navigator.storage.estimate();
  return quota === undefined ? Number.POSITIVE_INFINITY : quota - usage;
}
