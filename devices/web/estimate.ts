/** What a model would take in this browser, from the first megabytes of its files: without its weights, or a worker. */

import type { Estimate, LoadOptions } from "../../runtime/api.ts";
import type { ByteSource } from "../../runtime/device.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { estimateModel } from "../../runtime/plan/estimate.ts";
import { truncated } from "../../runtime/weights/faults.ts";
import { capacity } from "./capacity.ts";
import { find, readBlob } from "./files.ts";
import { contentLength, type Remote, refusal, remotesOf } from "./remote.ts";
import { readEntry } from "./store/entry.ts";
import { storeFolder } from "./store/opfs.ts";

/** What runtime/weights/header.ts reads at once; enough for the header of most files. */
const FIRST_BYTES = 4 << 20;

/** The beginning of a file. */
interface Head {
  bytes: Uint8Array;
  /** Of the file; infinite where a server does not tell. */
  size: number;
}

/** Reads the first `bytes` bytes of a file, or all of a file that has fewer. */
type ReadHead = (bytes: number) => Promise<Head>;

/** By the names that a split model's files know each other by; the one asked for comes first. */
export type Heads = ReadonlyMap<string, ReadHead>;

/** Thrown out of a synchronous read, to be answered with one that can wait. */
class BeyondHead extends Error {
  constructor(
    readonly file: string,
    readonly end: number,
  ) {
    super(`${file} is needed up to byte ${end}.`);
  }
}

/** Where a model that is estimated will be read from: files of so many bytes and more as packs, from the browser's own files. */
export interface Keeping {
  packedFromBytes?: number;
  storable: boolean;
}

/** Throws what reading the files' headers throws, and E_USAGE. */
export async function estimateHeads(
  readers: Heads,
  options: LoadOptions,
  { packedFromBytes, storable }: Keeping,
): Promise<Estimate> {
  const device = { ...capacity(), ...(storable && { openAhead: unopened }) };
  const [model] = readers.keys();
  const heads = new Map<string, Head>();
  for (const [name, read] of readers) heads.set(name, await read(FIRST_BYTES));
  for (;;) {
    try {
      return estimateModel(device, (name) => openHead(heads, name), model, options, packedFromBytes);
    } catch (error) {
      if (!(error instanceof BeyondHead)) throw error;
      const { file, end } = error;
      // Twice as much, so that reading anew costs no more than the header; its reader bounds both.
      const bytes = Math.max(end, 2 * find(heads, file).bytes.length);
      heads.set(file, await find(readers, file)(bytes));
    }
  }
}

/** Nothing is read ahead of an estimate; that it could be is what counts. */
function unopened(name: string): never {
  throw new PiPhiError("E_FILE_READ", `${name} is only estimated. Load it first.`);
}

function openHead(heads: ReadonlyMap<string, Head>, name: string): ByteSource {
  const { bytes, size } = find(heads, name);
  const read = (offset: number, into: Uint8Array) => {
    const end = offset + into.length;
    if (end > size) throw truncated(name, size, end);
    if (end > bytes.length) throw new BeyondHead(name, end);
    into.set(bytes.subarray(offset, end));
  };
  return { name, size, read, close: () => {} };
}

/** Heads of files in this browser; reading them throws E_FILE_READ. */
export function localHeads(files: ReadonlyMap<string, Blob | ArrayBuffer>): Heads {
  return new Map(
    Array.from(files, ([name, file]): [string, ReadHead] => {
      if (file instanceof ArrayBuffer) {
        return [name, async (bytes) => ({ bytes: new Uint8Array(file.slice(0, bytes)), size: file.byteLength })];
      }
      return [name, async (bytes) => ({ bytes: await readBlob(file.slice(0, bytes), name), size: file.size })];
    }),
  );
}

/** The head of a model's pack in the store, which needs no network; undefined where there is none. */
export async function storedHeads(name: string, key: string): Promise<Heads | undefined> {
  const folder = await storeFolder();
  const pack = folder && (await readEntry(folder, key))?.pack;
  if (!pack) return undefined;
  const file = await (await folder.getFileHandle(pack.file)).getFile();
  return localHeads(new Map([[name, file]]));
}

/** Heads of the file at `url` and, if its name is that of a split model's file, of all the others. */
export function remoteHeads(url: URL, signal?: AbortSignal): Heads {
  return new Map(remotesOf(url).map((remote) => [remote.name, (bytes) => fetchHead(remote, bytes, signal)]));
}

/** An answer with a body to read; throws E_NOT_FOUND, E_FILE_READ or E_CANCELLED. */
async function request({ url, name }: Remote, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init).catch((error) => {
    throw interrupted(name, error, CORS_REMEDY, init.signal);
  });
  if (response.ok) return response;
  throw refusal(name, response.status);
}

/** The body as it comes, until the caller leaves the loop; throws E_FILE_READ or E_CANCELLED. */
async function* chunksOf(name: string, { body }: Response, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  const reader = body?.getReader();
  try {
    while (reader) {
      const { done, value: chunk } = await reader.read().catch((error) => {
        throw interrupted(name, error, CUT_REMEDY, signal);
      });
      if (done) break;
      yield chunk;
    }
  } finally {
    await reader?.cancel().catch(() => {}); // of a broken transfer, whose error is known
  }
}

/** Browsers do not tell a page why there is no answer. */
const CORS_REMEDY = "Check the connection, and that its server allows this page to read it (CORS).";
/** There was an answer, so the page may read it. */
const CUT_REMEDY = "The connection was cut: load it again.";

function interrupted(name: string, error: unknown, remedy: string, signal?: AbortSignal | null): PiPhiError {
  if (signal?.aborted) {
    return new PiPhiError("E_CANCELLED", "The estimate was cancelled. Ask again if you still need it.");
  }
  const reason = error instanceof Error ? error.message : String(error);
  return new PiPhiError("E_FILE_READ", `${name} could not be downloaded (${reason}). ${remedy}`, { file: name });
}

/** Throws E_NOT_FOUND, E_FILE_READ, E_FILE_TRUNCATED or E_CANCELLED. */
async function fetchHead(remote: Remote, bytes: number, signal?: AbortSignal): Promise<Head> {
  const response = await request(remote, { headers: { range: `bytes=0-${bytes - 1}` }, signal });
  const head = new Uint8Array(bytes);
  let received = 0;
  // A server that knows no ranges sends the whole file; leaving the loop stops it.
  for await (const chunk of chunksOf(remote.name, response, signal)) {
    const wanted = chunk.subarray(0, bytes - received);
    head.set(wanted, received);
    received += wanted.length;
    if (received === bytes) break;
  }
  const size = fileSize(response) || (received < bytes ? received : Number.POSITIVE_INFINITY);
  const expected = Math.min(bytes, size);
  if (received < expected) throw truncated(remote.name, received, expected);
  return { bytes: head.subarray(0, received), size };
}

/** Bytes of the whole file, 0 where that is not known: other origins may hide the range's header. */
function fileSize(response: Response): number {
  if (response.status !== 206) return contentLength(response);
  return Number(/\/(\d+)$/.exec(response.headers.get("content-range") ?? "")?.[1] ?? 0);
}
