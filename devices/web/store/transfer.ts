/**
 * Brings the bytes of a remote file, through connections that break: it goes on where it was, if the server can, and if the
 * file is still the same there.
 */

import { PiPhiError } from "../../../runtime/errors.ts";
import { truncated } from "../../../runtime/weights/faults.ts";
import { contentLength, foreign, isGguf, type Remote, refusal } from "../remote.ts";
import type { Version } from "./record.ts";

/** Where bytes go, in their order. */
export interface Receiver {
  /** Bytes that it has. */
  readonly position: number;
  /** Takes the next ones, and may keep the chunk. */
  take(chunk: Uint8Array): void | Promise<void>;
  /** What it has is of no use: the file comes from its beginning. */
  restart(): void;
}

export interface TransferOptions {
  /** What the receiver's bytes are of. */
  known?: Version;
  onVersion?(version: Version): void | Promise<void>;
  onBytes?(totalBytes: number): void;
  /** Whether the browser shall keep what comes in its own cache, too. Default: no. */
  cached?: boolean;
  /** A connection that brings nothing for so long is given up. */
  stallMs?: number;
  /** Waits before each further try since bytes came last. */
  delaysMs?: readonly number[];
}

const STALL_MS = 30_000;
const DELAYS_MS = [250, 500, 1000, 2000];
/** Answers that another try may mend. */
const TRANSIENT = new Set([408, 425, 429, 500, 502, 503, 504]);

/** The transfer ended before the file did; another try may bring the rest. */
class Interrupted extends Error {
  constructor(
    readonly error: PiPhiError,
    /** Whether a server has answered. */
    readonly answered: boolean,
  ) {
    super(error.message);
  }
}

/** Throws E_NOT_FOUND, E_NOT_GGUF, E_FILE_READ, E_FILE_TRUNCATED, and what the receiver throws. */
export async function transfer(remote: Remote, receiver: Receiver, options: TransferOptions): Promise<Version> {
  const { delaysMs = DELAYS_MS } = options;
  const state: State = { version: options.known, ranges: true };
  let answered = receiver.position > 0;
  for (let failures = 0; ; ) {
    const before = receiver.position;
    try {
      return await attempt(remote, receiver, state, options);
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      answered ||= error.answered;
      if (receiver.position > before) failures = 0;
      // Where no server has ever answered, the address is wrong, or this page may not read it.
      if (!answered || failures === delaysMs.length) throw error.error;
      await new Promise((resolve) => setTimeout(resolve, delaysMs[failures]));
      failures++;
    }
  }
}

interface State {
  version: Version | undefined;
  /** Whether the server may know ranges. */
  ranges: boolean;
}

/** One request, to the end of the file; throws Interrupted where another may bring more. */
async function attempt(
  remote: Remote,
  receiver: Receiver,
  state: State,
  { onVersion, onBytes, cached = false, stallMs = STALL_MS }: TransferOptions,
): Promise<Version> {
  const watch = new Watch(stallMs);
  try {
    const from = state.ranges ? receiver.position : 0;
    if (from === 0 && receiver.position > 0) receiver.restart();
    if (from > 0 && from === state.version?.bytes) return state.version;
    const response = await ask(remote, from, state.version, cached ? "default" : "no-store", watch);
    const version = versionOf(response, from);
    if (from > 0 && !continues(response, from, version, state.version)) {
      // Another version, or a server that knows no ranges: this answer is of use if it is the whole file.
      receiver.restart();
      if (response.status === 206) {
        state.ranges = false;
        throw new Interrupted(cut(remote.name, "the server sent another part than was asked for"), true);
      }
    }
    if (receiver.position === 0) await onVersion?.(version);
    state.version = receiver.position === 0 ? version : { ...version, ...state.version };
    await take(remote.name, response, receiver, version.bytes, watch, () => onBytes?.(version.bytes));
    return state.version;
  } finally {
    watch.end();
  }
}

/** Gives a request up where nothing comes for too long. */
class Watch {
  private readonly abort = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(private readonly ms: number) {
    this.note();
  }

  get signal(): AbortSignal {
    return this.abort.signal;
  }

  /** Something came. */
  note(): void {
    clearTimeout(this.timer);
    const reason = new Error(`nothing came for ${this.ms / 1000} s`);
    this.timer = setTimeout(() => this.abort.abort(reason), this.ms);
  }

  end(): void {
    clearTimeout(this.timer);
    this.abort.abort();
  }
}

async function ask(
  remote: Remote,
  from: number,
  known: Version | undefined,
  cache: RequestCache,
  { signal }: Watch,
): Promise<Response> {
  const headers: Record<string, string> = from > 0 ? { range: `bytes=${from}-` } : {};
  // Servers of other origins would be asked for permission first, and many know none for it.
  const sameOrigin = new URL(remote.url).origin === globalThis.location?.origin;
  const strong = known?.etag?.startsWith('"') ? known.etag : known?.modified;
  if (from > 0 && sameOrigin && strong) headers["if-range"] = strong;
  const response = await fetch(remote.url, { headers, signal, cache }).catch((error) => {
    throw new Interrupted(unreachable(remote.name, signal.aborted ? signal.reason : error, from), false);
  });
  const { ok, status } = response;
  if (ok) return response;
  if (status === 416) return response;
  if (TRANSIENT.has(status)) throw new Interrupted(refusal(remote.name, status), true);
  throw refusal(remote.name, status);
}

/** Of the whole file, whatever part of it was sent. */
function versionOf(response: Response, from: number): Version {
  const { headers, status } = response;
  const length = contentLength(response);
  const range = /^bytes (?:\d+-\d+|\*)\/(\d+)$/.exec(headers.get("content-range") ?? "")?.[1];
  const rest = status === 206 && length > 0 ? from + length : status === 200 ? length : 0;
  return {
    bytes: range === undefined ? rest : Number(range),
    etag: headers.get("etag"),
    modified: headers.get("last-modified"),
  };
}

/** Whether an answer goes on from byte `from` with the file that is known. Other origins may hide all that would tell. */
function continues(response: Response, from: number, version: Version, known: Version | undefined): boolean {
  if (response.status !== 206 || response.headers.has("content-encoding")) return false;
  const start = /^bytes (\d+)-/.exec(response.headers.get("content-range") ?? "")?.[1];
  if (start !== undefined && Number(start) !== from) return false;
  if (!known) return true;
  const same = <T>(a: T, b: T, unknown: T) => a === b || a === unknown || b === unknown;
  return (
    same(version.bytes, known.bytes, 0) &&
    same(version.etag, known.etag, null) &&
    same(version.modified, known.modified, null)
  );
}

/** Hands on the body as it comes; throws Interrupted where it ends too early, E_NOT_GGUF where it is no model. */
async function take(
  name: string,
  response: Response,
  receiver: Receiver,
  totalBytes: number,
  watch: Watch,
  onBytes: () => void,
): Promise<void> {
  if (response.status === 416) {
    receiver.restart();
    throw new Interrupted(refusal(name, 416), true);
  }
  const reader = response.body?.getReader();
  try {
    while (reader) {
      const { done, value: chunk } = await reader.read().catch((error) => {
        const reason = watch.signal.aborted ? watch.signal.reason : error;
        throw new Interrupted(cut(name, reason instanceof Error ? reason.message : String(reason)), true);
      });
      if (done) break;
      watch.note();
      if (receiver.position === 0 && !isGguf(chunk)) throw foreign(name, chunk, totalBytes);
      await receiver.take(chunk);
      onBytes();
    }
  } finally {
    await reader?.cancel().catch(() => {}); // of a broken transfer, whose error is known
  }
  if (receiver.position >= totalBytes) return;
  throw new Interrupted(truncated(name, receiver.position, totalBytes, "Load it again: what has come is kept."), true);
}

/** Browsers do not tell a page why there is no answer. */
function unreachable(name: string, error: unknown, from: number): PiPhiError {
  const reason = error instanceof Error ? error.message : String(error);
  const remedy =
    from > 0
      ? "Check the connection, and load it again: what has come is kept."
      : "Check the connection, and that its server allows this page to read it (CORS).";
  return new PiPhiError("E_FILE_READ", `${name} could not be downloaded (${reason}). ${remedy}`, { file: name });
}

function cut(name: string, reason: string): PiPhiError {
  const message = `${name} could not be downloaded (${reason}). The connection was cut: load it again.`;
  return new PiPhiError("E_FILE_READ", message, { file: name });
}
