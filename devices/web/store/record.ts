/**
 * What the store knows of a model, as lines of JSON in a file that only grows: a tab can be killed in the middle of a line,
 * which then counts as not written.
 *
 *   {"model": …}                      first: which model it is
 *   {"part": 0, "version": …}         what the server said of a file: its size and its version
 *   {"part": 0, "at": N, "sum": hex}  its first N bytes lie on the disk, and this is their SHA-256
 *   {"part": 0, "end": N, "sum": hex} all of it does
 *   {"pack": …}                       the pack that was made of it; the files are gone then
 *   {"used": ms}                      it was loaded
 */

import { PiPhiError } from "../../../runtime/errors.ts";
import type { DensePrecision } from "../../../runtime/weights/tiles.ts";

/** Which model, and how it shall be kept. */
export interface ModelRequest {
  url: string;
  /** Whether it is kept, or by which name; undefined: if it is large. */
  store?: boolean | string;
  /** Of each file, in the order of a split model's parts. */
  sha256?: readonly string[];
  dense: DensePrecision;
}

/** Smaller models are downloaded from the browser's cache in no time. */
export const SMALLEST_BYTES = 64 << 20;

/** Which model a record is of. */
export interface Kept {
  /** Of the first file, without its query, which may hold a secret. */
  address: string;
  /** The name that it is kept by, where the caller gave one. */
  as?: string;
  /** By which messages and a split model's files call them. */
  names: string[];
  dense: string;
}

/** What tells one version of a file from another, as far as a server says. */
export interface Version {
  /** 0 where it is not known. */
  bytes: number;
  etag: string | null;
  modified: string | null;
}

export interface Mark {
  bytes: number;
  sum: string;
}

export interface PartRecord {
  version?: Version;
  /** Rising. */
  marks: Mark[];
  end?: Mark;
}

export interface PackRecord {
  /** Its name in the store's folder. */
  file: string;
  bytes: number;
  /** When the browser says it was written last: a file that was changed since is checked. */
  modifiedMs: number;
  name: string;
  quantization: string;
}

export interface StoreRecord {
  model: Kept;
  parts: PartRecord[];
  pack?: PackRecord;
  usedMs: number;
}

export type Line =
  | { model: Kept }
  | { part: number; version: Version }
  | { part: number; at: number; sum: string }
  | { part: number; end: number; sum: string }
  | { pack: PackRecord }
  | { used: number };

/** The record that these lines make, up to the first that is not whole; undefined without a first one. */
export function readRecord(text: string): StoreRecord | undefined {
  let record: StoreRecord | undefined;
  for (const line of text.split("\n").slice(0, -1)) {
    const parsed = parse(line);
    if (parsed === undefined) break;
    if ("model" in parsed) {
      record = { model: parsed.model, parts: parsed.model.names.map(() => ({ marks: [] })), usedMs: 0 };
    } else if (record === undefined) return undefined;
    else enter(record, parsed);
  }
  return record;
}

function parse(line: string): Line | undefined {
  try {
    return JSON.parse(line) as Line;
  } catch {
    return undefined;
  }
}

function enter(record: StoreRecord, line: Exclude<Line, { model: Kept }>): void {
  if ("used" in line) record.usedMs = line.used;
  else if ("pack" in line) record.pack = line.pack;
  else {
    const part = record.parts[line.part];
    if (part === undefined) return;
    if ("version" in line) {
      part.version = line.version;
      part.marks = [];
      part.end = undefined;
    } else if ("at" in line) part.marks.push({ bytes: line.at, sum: line.sum });
    else part.end = { bytes: line.end, sum: line.sum };
  }
}

export function writeLine(line: Line): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(`${JSON.stringify(line)}\n`);
}

/** Whether all files of the model lie in the store, or the pack of them does. */
export function isComplete({ parts, pack }: StoreRecord): boolean {
  return pack !== undefined || parts.every(({ end }) => end !== undefined);
}

/** The beginning of all file names of a model in the store. */
export async function keyOfRequest({ store, dense }: Pick<ModelRequest, "store" | "dense">, url: URL): Promise<string> {
  const identity = typeof store === "string" ? store : url.href;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(`${identity}\n${dense}`));
  return Array.from(new Uint8Array(digest, 0, 8), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export const recordName = (key: string) => `${key}.record`;
export const partName = (key: string, part: number) => `${key}.${part}.gguf`;
export const packName = (key: string) => `${key}.pack.gguf`;

/** The browser gives no more room; `needBytes` are wanted. */
export function storeFull(needBytes: number, freeBytes?: number): PiPhiError {
  const megabytes = (bytes: number) => `${Math.ceil(bytes / 2 ** 20)} MiB`;
  const free = freeBytes === undefined ? "" : `, but this page may only store another ${megabytes(freeBytes)}`;
  return new PiPhiError(
    "E_DISK_FULL",
    `The model needs ${megabytes(needBytes)} of storage${free}. Free space on the device, remove other models (store.remove), or load it without storing it (store: false).`,
    { needBytes, ...(freeBytes === undefined ? {} : { freeBytes }) },
  );
}
