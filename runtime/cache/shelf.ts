/**
 * Caches on disk: the keys and values of texts that were read, as saved sessions (session-file.ts) in the device's own store,
 * so that a restart does not read a long prompt again. They are found by the model's hash and their tokens, under a budget of
 * bytes for all models together: those that were not used for longest go. What is damaged is removed; nobody is told, since
 * all that it costs is to read the text again.
 */

import type { ByteSource, KeptFiles } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import { crc32 } from "../weights/crc32.ts";
import { type Found, type Shelf, sharedStart, WORTH_TOKENS } from "./pool.ts";
import type { Sequence } from "./sequence.ts";
import { readSession, readSessionHeader, type Saved, type SessionTarget, writeSession } from "./session-file.ts";

/** Shorter texts are read in no time. */
const LEAST_TOKENS = 2 * WORTH_TOKENS;

interface Entry {
  name: string;
  tokens: readonly number[];
}

export class DiskShelf implements Shelf {
  private entries: Entry[] = [];

  /** Looks at what there is for the model. */
  constructor(
    private readonly files: KeptFiles,
    private readonly target: SessionTarget,
    private readonly vocabSize: number,
    private readonly mostBytes: number,
  ) {
    for (const { name } of files.list()) {
      if (!name.startsWith(this.prefix)) continue;
      const tokens = this.reading(name, (source) => this.tokensOf(source));
      if (tokens) this.entries.push({ name, tokens });
    }
  }

  find(ids: readonly number[], atLeast: number): Found | undefined {
    let best: Entry | undefined;
    let length = Math.max(atLeast, 1) - 1;
    for (const entry of this.entries) {
      const shared = Math.min(sharedStart(entry.tokens, ids), ids.length - 1);
      if (shared > length) [best, length] = [entry, shared];
    }
    return best && { length, fill: (sequence) => this.restore(best, sequence) };
  }

  /** Writes a cache, unless it is short, or all of it is there. Those not used for longest make room. */
  async put(saved: Saved): Promise<void> {
    const { tokens, dropped } = saved;
    if (dropped > 0 || tokens.length < LEAST_TOKENS) return;
    const same = this.entries.find((entry) => sharedStart(entry.tokens, tokens) === tokens.length);
    if (same) return this.files.used(same.name);
    if (!this.makeRoom(saved.cacheBytes())) return;
    const { model, modelHash, kv } = this.target;
    const name = `${this.prefix}${tokens.length}-${crc32(bytesOf(tokens)).toString(16)}.piphi`;
    const about = { model, modelHash, kv, prefix: "", note: "" };
    try {
      await this.files.create(name, async (sink) => writeSession(sink, saved, about, () => {}));
    } catch (error) {
      if (error instanceof PiPhiError) return; // a disk that is full, or may not be written: as if there were none
      throw error;
    }
    const within = this.entries.filter((entry) => sharedStart(entry.tokens, tokens) === entry.tokens.length);
    for (const entry of within) this.remove(entry.name);
    this.entries.push({ name, tokens: [...tokens] });
  }

  /** What names of this model's files begin with. */
  private get prefix(): string {
    const { modelHash, kv } = this.target;
    return `${modelHash.slice(0, 16)}-${kv}-`;
  }

  private makeRoom(bytes: number): boolean {
    if (bytes > this.mostBytes) return false;
    const oldestFirst = [...this.files.list()].sort((a, b) => a.usedMs - b.usedMs);
    let taken = oldestFirst.reduce((sum, file) => sum + file.bytes, 0);
    for (const file of oldestFirst) {
      if (taken + bytes <= this.mostBytes) break;
      this.remove(file.name);
      taken -= file.bytes;
    }
    return true;
  }

  private restore(entry: Entry, sequence: Sequence): void {
    const restored = this.reading(entry.name, (source) => {
      readSession(source, readSessionHeader(source), sequence, this.vocabSize, () => {});
      return true;
    });
    if (restored) this.files.used(entry.name);
    else sequence.truncate(0);
  }

  private tokensOf(source: ByteSource): number[] | undefined {
    const { header, end } = readSessionHeader(source);
    const { modelHash, contextLength, kv } = this.target;
    const fits = header.modelHash === modelHash && header.kv === kv && header.tokens <= contextLength;
    if (!fits || header.dropped > 0) return undefined;
    const tokens = new Uint32Array(header.tokens);
    source.read(end, new Uint8Array(tokens.buffer));
    return [...tokens];
  }

  /** Reads a file; one that cannot be read is removed, and gives nothing. */
  private reading<T>(name: string, work: (source: ByteSource) => T): T | undefined {
    let source: ByteSource | undefined;
    try {
      source = this.files.open(name);
      return work(source);
    } catch (error) {
      if (!(error instanceof PiPhiError)) throw error;
      this.remove(name);
      return undefined;
    } finally {
      source?.close();
    }
  }

  private remove(name: string): void {
    this.files.remove(name);
    this.entries = this.entries.filter((entry) => entry.name !== name);
  }
}

function bytesOf(tokens: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(tokens).buffer);
}
