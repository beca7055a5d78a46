/** Brings a model from the network to where workers can read it: its file, or all files of a split one. */

import type { LoadOptions } from "../../runtime/api.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { truncated } from "../../runtime/weights/faults.ts";
import { notGguf } from "../../runtime/weights/foreign.ts";
import { type Files, keep } from "./files.ts";

/** A file is kept in parts of this size: what comes is copied there once, and no buffer needs to grow. */
const PART_BYTES = 32 << 20;
const PROGRESS_MS = 50;
const PART_NAME = /-\d{5}-of-(\d{5})\.gguf$/;

type DownloadOptions = Pick<LoadOptions, "onProgress" | "signal">;

/** A file to download, and what messages call it: its address without query, which may hold a secret. */
export interface Remote {
  url: string;
  name: string;
}

/**
 * Downloads `url` and, if its name is that of a split model's file, all the others; the one asked for comes first.
 * Throws E_NOT_FOUND, E_FILE_READ, E_FILE_TRUNCATED, E_NOT_GGUF, E_MEMORY or E_CANCELLED.
 */
export async function download(url: URL, { onProgress, signal }: DownloadOptions): Promise<Files> {
  const remotes = remotesOf(url);
  const allBytes = remotes.length > 1 ? await totalSize(remotes, signal) : undefined;
  const files: Files = new Map();
  let loadedBytes = 0;
  let reportedAt = 0;
  for (const remote of remotes) {
    const response = await request(remote, { signal });
    const fileBytes = contentLength(response);
    const totalBytes = allBytes ?? fileBytes;
    const before = loadedBytes;
    const parts = await receive(remote.name, response, signal, (bytes) => {
      loadedBytes += bytes;
      const now = performance.now();
      if (now - reportedAt < PROGRESS_MS && loadedBytes !== totalBytes) return;
      reportedAt = now;
      onProgress?.({ phase: "download", loadedBytes, totalBytes });
    });
    const received = loadedBytes - before;
    if (received < fileBytes) throw truncated(remote.name, received, fileBytes);
    files.set(remote.name, parts);
  }
  return files;
}

/** The file at `url` first, then the other files of the split model whose part it is by its name. */
export function remotesOf(url: URL): Remote[] {
  const count = Number(PART_NAME.exec(url.pathname)?.[1] ?? 1);
  const digits = (part: number) => String(part).padStart(5, "0");
  const asked = remoteOf(url);
  if (count < 2) return [asked];
  const parts = Array.from({ length: count }, (_, i) => {
    const part = new URL(url);
    part.pathname = url.pathname.replace(PART_NAME, `-${digits(i + 1)}-of-${digits(count)}.gguf`);
    return remoteOf(part);
  });
  return [asked, ...parts.filter(({ name }) => name !== asked.name)];
}

function remoteOf(url: URL): Remote {
  const plain = new URL(url);
  plain.search = plain.hash = "";
  return { url: url.href, name: plain.href };
}

/** The sum of the files' sizes, 0 where a server does not tell. Finds a missing part before the first is downloaded. */
async function totalSize(remotes: readonly Remote[], signal?: AbortSignal): Promise<number> {
  let sum = 0;
  let known = true;
  for (const remote of remotes) {
    const bytes = contentLength(await request(remote, { method: "HEAD", signal }));
    sum += bytes;
    known &&= bytes > 0;
  }
  return known ? sum : 0;
}

/** Bytes of the body, 0 where that is not known: the header counts the bytes of a compressed transfer. */
export function contentLength({ headers }: Response): number {
  return headers.has("content-encoding") ? 0 : Number(headers.get("content-length") ?? 0);
}

/** An answer with a body to read; throws E_NOT_FOUND, E_FILE_READ or E_CANCELLED. */
export async function request({ url, name }: Remote, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init).catch((error) => {
    throw interrupted(name, error, CORS_REMEDY, init.signal);
  });
  const { ok, status } = response;
  if (ok) return response;
  const details = { file: name, status };
  if (status === 404 || status === 410) {
    throw new PiPhiError(
      "E_NOT_FOUND",
      `There is no file ${name} (HTTP ${status}). Check the address, or leave the model out to use the embedded one.`,
      details,
    );
  }
  const message = `The server refused ${name} (HTTP ${status}). Check that it can be downloaded without signing in, or try again later.`;
  throw new PiPhiError("E_FILE_READ", message, details);
}

/** The body's parts, as they are kept. */
async function receive(
  name: string,
  response: Response,
  signal: AbortSignal | undefined,
  onBytes: (bytes: number) => void,
) {
  const parts = [];
  let chunks: Uint8Array[] = [];
  let chunkBytes = 0;
  let first = true;
  for await (const chunk of chunksOf(name, response, signal)) {
    if (first && !isGguf(chunk)) throw foreign(name, chunk, contentLength(response));
    first = false;
    chunks.push(chunk);
    chunkBytes += chunk.length;
    if (chunkBytes >= PART_BYTES) {
      parts.push(keep(chunks));
      chunks = [];
      chunkBytes = 0;
    }
    onBytes(chunk.length);
  }
  parts.push(keep(chunks));
  return parts;
}

/** The body as it comes, until the caller leaves the loop; throws E_FILE_READ or E_CANCELLED. */
export async function* chunksOf(name: string, { body }: Response, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
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

/** Whether a file can be a GGUF whose first bytes these are. */
function isGguf(chunk: Uint8Array): boolean {
  return "GGUF".startsWith(String.fromCharCode(...chunk.subarray(0, 4)));
}

/** E_NOT_GGUF, before all of a wrong file is downloaded. */
function foreign(name: string, head: Uint8Array, fileBytes: number): PiPhiError {
  const read = (offset: number, into: Uint8Array) => into.set(head.subarray(offset, offset + into.length));
  return notGguf({ name, size: Math.max(head.length, fileBytes), read, close: () => {} });
}

/** Browsers do not tell a page why there is no answer. */
const CORS_REMEDY = "Check the connection, and that its server allows this page to read it (CORS).";
/** There was an answer, so the page may read it. */
const CUT_REMEDY = "The connection was cut: load it again.";

function interrupted(name: string, error: unknown, remedy: string, signal?: AbortSignal | null): PiPhiError {
  if (signal?.aborted)
    return new PiPhiError("E_CANCELLED", "Loading was cancelled. Load the model again if you still need it.");
  const reason = error instanceof Error ? error.message : String(error);
  return new PiPhiError("E_FILE_READ", `${name} could not be downloaded (${reason}). ${remedy}`, { file: name });
}
