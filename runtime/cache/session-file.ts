/**
 * Saved sessions: tokens with the keys and values of those that the cache holds, so that they need not be computed again.
 *
 *     0   8 bytes   "PiPhiKV" and a zero
 *     8   u32       version, 1
 *    12   u32       bytes of the header
 *    16   u32       CRC-32 of the header
 *    20             header, JSON in UTF-8: SessionHeader
 *                   u32[tokens] token ids, also of tokens that were dropped
 *                   the cache: [layer][head] of the stretches that kernels/cache.ts draws (int8: keys, values, their
 *                   scales; f16: keys, values), each of the tokens that are held, rounded up to 32
 *                   if tokens were dropped: [layer][head] the first 32 keys as they were before they were turned (roll.ts)
 *   end   u32       CRC-32 of all after the header
 *
 * Numbers are little-endian. Keys and values belong to one model in one precision: the header has a hash of it.
 */

import type { ByteSink, ByteSource } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import { TILE } from "../plan/cache-size.ts";
import { crc32 } from "../weights/crc32.ts";
import { damaged, printable, truncated } from "../weights/faults.ts";
import type { Sequence } from "./sequence.ts";

const MAGIC = new TextEncoder().encode("PiPhiKV\0");
const VERSION = 1;
const PREAMBLE_BYTES = 20;
const CHECKSUM_BYTES = 4;

export interface SessionHeader {
  model: string;
  /** See weights/identity.ts. */
  modelHash: string;
  kv: "int8" | "f16";
  tokens: number;
  dropped: number;
  prefix: string;
  /** The caller's own text. */
  note: string;
}

/** What a session is restored into. */
export type SessionTarget = Pick<SessionHeader, "model" | "modelHash" | "kv"> & { contextLength: number };

/** What is saved: a sequence, or what was taken out of one. */
export interface Saved {
  readonly tokens: readonly number[];
  readonly dropped: number;
  /** Bytes of its pieces. */
  cacheBytes(): number;
  pieces(): Iterable<Uint8Array>;
}

/** Writes a sequence; `checkpoint` may throw between its layers. Throws what the sink throws. */
export function writeSession(
  sink: ByteSink,
  sequence: Saved,
  about: Omit<SessionHeader, "tokens" | "dropped">,
  checkpoint: () => void,
): void {
  const { tokens, dropped } = sequence;
  const header = new TextEncoder().encode(JSON.stringify({ ...about, tokens: tokens.length, dropped }));
  const preamble = new Uint8Array(PREAMBLE_BYTES);
  preamble.set(MAGIC);
  const words = new DataView(preamble.buffer);
  [VERSION, header.length, crc32(header)].forEach((word, i) => {
    words.setUint32(MAGIC.length + 4 * i, word, true);
  });
  sink.resize(PREAMBLE_BYTES + header.length + contentBytes(tokens.length, sequence.cacheBytes()));
  sink.write(0, preamble);
  sink.write(PREAMBLE_BYTES, header);
  let at = PREAMBLE_BYTES + header.length;
  let sum = 0;
  const put = (bytes: Uint8Array) => {
    checkpoint();
    sink.write(at, bytes);
    at += bytes.length;
    sum = crc32(bytes, sum);
  };
  put(new Uint8Array(Uint32Array.from(tokens).buffer));
  for (const piece of sequence.pieces()) put(piece);
  sink.write(at, new Uint8Array(Uint32Array.of(sum).buffer));
}

/** Bytes after the header. */
function contentBytes(tokens: number, cacheBytes: number): number {
  return 4 * tokens + cacheBytes + CHECKSUM_BYTES;
}

/** Reads and checks a file's header; throws E_NOT_SESSION, E_SESSION_VERSION, E_FILE_TRUNCATED and E_FILE_CORRUPT. */
export function readSessionHeader(source: ByteSource): { header: SessionHeader; end: number } {
  const { name, size } = source;
  const preamble = new Uint8Array(Math.min(PREAMBLE_BYTES, size));
  source.read(0, preamble);
  if (MAGIC.some((byte, i) => preamble[i] !== byte)) {
    throw new PiPhiError("E_NOT_SESSION", `${name} is not a saved session. Give a file that was saved as a session.`, {
      file: name,
    });
  }
  if (size < PREAMBLE_BYTES) throw cut(name, size, PREAMBLE_BYTES);
  const words = new DataView(preamble.buffer);
  const [version, headerBytes, checksum] = [0, 1, 2].map((i) => words.getUint32(MAGIC.length + 4 * i, true));
  if (version !== VERSION) {
    throw new PiPhiError(
      "E_SESSION_VERSION",
      `${name} was saved by another version of PiPhi (its format is ${version}, this one reads ${VERSION}). Use that version, or begin a new session.`,
      { file: name, version, supported: VERSION },
    );
  }
  const end = PREAMBLE_BYTES + headerBytes;
  if (size < end) throw cut(name, size, end);
  const bytes = new Uint8Array(headerBytes);
  source.read(PREAMBLE_BYTES, bytes);
  if (crc32(bytes) !== checksum) throw corrupt(name, "its header does not match its checksum");
  return { header: parseHeader(name, new TextDecoder().decode(bytes)), end };
}

function parseHeader(file: string, json: string): SessionHeader {
  let header: Partial<Record<keyof SessionHeader, unknown>>;
  try {
    header = JSON.parse(json) ?? {};
  } catch {
    throw corrupt(file, "its header cannot be read");
  }
  const { model, modelHash, kv, tokens, dropped, prefix, note } = header;
  const counts = [tokens, dropped].every((count) => Number.isInteger(count) && (count as number) >= 0);
  const texts = [model, modelHash, prefix, note].every((text) => typeof text === "string");
  if (!counts || !texts || (kv !== "int8" && kv !== "f16")) throw corrupt(file, "its header lacks something");
  const held = (tokens as number) - (dropped as number);
  if (held < 0 || ((dropped as number) > 0 && (held < TILE || (dropped as number) % TILE !== 0))) {
    throw corrupt(file, "its counts contradict each other");
  }
  return header as SessionHeader;
}

/** Refuses what cannot go on here; throws E_SESSION_MODEL, E_SESSION_KV and E_CONTEXT. */
export function checkSession(file: string, header: SessionHeader, target: SessionTarget): void {
  const { kv, tokens, dropped } = header;
  if (header.modelHash !== target.modelHash) {
    const saved = printable(header.model, 80);
    throw new PiPhiError(
      "E_SESSION_MODEL",
      `${file} is a session of ${saved}, but ${printable(target.model, 80)} with other weights is loaded. Load the model that it was saved with, in the same precision.`,
      { file, model: saved, modelHash: header.modelHash, loadedHash: target.modelHash },
    );
  }
  if (kv !== target.kv) {
    throw new PiPhiError(
      "E_SESSION_KV",
      `${file} was saved with a key/value cache of type ${kv}, but the model was loaded with ${target.kv}. Load the model with the session's type (kv: ${kv}).`,
      { file, kv, loadedKv: target.kv },
    );
  }
  const held = tokens - dropped;
  if (held <= target.contextLength) return;
  throw new PiPhiError(
    "E_CONTEXT",
    `${file} holds ${held} tokens, but the context has room for only ${target.contextLength}. Load the model with a context of at least ${held} (contextLength: ${held}).`,
    { file, tokens: held, contextLength: target.contextLength },
  );
}

/** Reads what follows a checked header into a sequence, which is left empty by all that this throws. */
export function readSession(
  source: ByteSource,
  { header, end }: { header: SessionHeader; end: number },
  sequence: Sequence,
  vocabSize: number,
  checkpoint: () => void,
): void {
  const { name, size } = source;
  const { tokens: count, dropped } = header;
  const expected = end + contentBytes(count, sequence.cacheBytes(count - dropped, dropped));
  if (size < expected) throw cut(name, size, expected);
  if (size > expected) throw corrupt(name, `it is longer than it says (${size} bytes instead of ${expected})`);
  let at = end;
  let sum = 0;
  const take = (into: Uint8Array) => {
    checkpoint();
    source.read(at, into);
    at += into.length;
    sum = crc32(into, sum);
  };
  const tokens = new Uint32Array(count);
  take(new Uint8Array(tokens.buffer));
  sequence.restore([...tokens], dropped, take);
  const stated = new Uint32Array(1);
  source.read(at, new Uint8Array(stated.buffer));
  const sound = stated[0] === sum && tokens.every((id) => id < vocabSize);
  if (sound) return;
  sequence.truncate(0);
  throw corrupt(name, "its content does not match its checksum");
}

const REMEDY = "Take an older copy, or begin a new session.";
const corrupt = (file: string, what: string) => damaged(file, what, {}, REMEDY);
const cut = (file: string, size: number, needed: number) => truncated(file, size, needed, REMEDY);
