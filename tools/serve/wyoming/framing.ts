/**
 * Wyoming's framing (github.com/OHF-Voice/wyoming). An event is
 *
 *     {"type":"transcript","version":"1.10.2","data_length":18,"payload_length":4}\n    one line of JSON
 *     {"text":"lights on"}                                                              data_length bytes of JSON, no newline
 *     ....                                                                              payload_length bytes, such as audio
 *
 * Lengths are bytes, and either may be missing. Data may stand in the line as well ("data":{…}); data after it counts more.
 */

import { PiPhiError } from "../../../runtime/errors.ts";

export type EventData = Readonly<Record<string, unknown>>;

export interface WyomingEvent {
  readonly type: string;
  readonly data: EventData;
}

/** The version of the protocol's own library that this follows. */
export const PROTOCOL_VERSION = "1.10.2";

/** Bytes. What people say is short; a payload, which no event here needs, is passed over without being kept. */
export const LIMITS = { line: 64 * 1024, data: 256 * 1024, payload: 64 * 2 ** 20 } as const;

const NEWLINE = 0x0a;

function invalid(what: string): PiPhiError {
  const message = `The event is no Wyoming event: ${what}. Send a line of JSON with a type, then as many bytes as its lengths say.`;
  return new PiPhiError("E_USAGE", message);
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function parse(bytes: Uint8Array, what: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw invalid(`${what} is no JSON`);
  }
  if (!isRecord(value)) throw invalid(`${what} is no JSON object`);
  return value;
}

function lengthOf(header: Record<string, unknown>, field: string, most: number): number {
  const length = header[field] ?? 0;
  if (typeof length !== "number" || !Number.isSafeInteger(length) || length < 0) {
    throw invalid(`${field} is no number of bytes`);
  }
  if (length > most) throw invalid(`${field} is more than ${most} bytes`);
  return length;
}

/** Bytes that have come and were not used: one buffer that grows, so that bytes which trickle in cost no more than others. */
class Incoming {
  #buffer = Buffer.alloc(4096);
  #start = 0;
  #end = 0;
  /** Where no newline needs to be looked for again. */
  #searched = 0;

  get length(): number {
    return this.#end - this.#start;
  }

  push(piece: Buffer): void {
    if (this.#end + piece.length > this.#buffer.length) this.#makeRoom(piece.length);
    piece.copy(this.#buffer, this.#end);
    this.#end += piece.length;
  }

  #makeRoom(more: number): void {
    const kept = this.#buffer.subarray(this.#start, this.#end);
    const size = Math.max(4096, 2 * (kept.length + more));
    const next = size > this.#buffer.length ? Buffer.alloc(size) : this.#buffer;
    kept.copy(next);
    this.#searched -= this.#start;
    this.#end -= this.#start;
    this.#start = 0;
    this.#buffer = next;
  }

  /** Bytes before the first newline; undefined where none has come. */
  lineLength(): number | undefined {
    const at = this.#buffer.subarray(0, this.#end).indexOf(NEWLINE, Math.max(this.#start, this.#searched));
    this.#searched = this.#end;
    return at < 0 ? undefined : at - this.#start;
  }

  /** Takes so many bytes, which are there; they are valid until the next `push`. */
  take(count: number): Buffer {
    const taken = this.#buffer.subarray(this.#start, this.#start + count);
    this.#start += count;
    this.#searched = this.#start;
    return taken;
  }
}

/** Reads events from a stream, however it is cut. */
export class EventReader {
  readonly #incoming = new Incoming();
  #header: Record<string, unknown> | undefined;
  #dataLength = 0;
  /** Bytes of a payload that are still to come. */
  #payload = 0;

  /** True in the middle of an event. */
  get partial(): boolean {
    return this.#header !== undefined || this.#payload > 0 || this.#incoming.length > 0;
  }

  /**
   * The events that these bytes complete.
   * @throws PiPhiError E_USAGE where they are no events: the stream cannot be read any further
   */
  *push(bytes: Buffer): Generator<WyomingEvent> {
    this.#incoming.push(this.#withoutPayload(bytes));
    for (let event = this.#next(); event !== undefined; event = this.#next()) yield event;
  }

  /** What follows a payload that has begun: none of it is kept. */
  #withoutPayload(bytes: Buffer): Buffer {
    const passed = Math.min(this.#payload, bytes.length);
    this.#payload -= passed;
    return bytes.subarray(passed);
  }

  #next(): WyomingEvent | undefined {
    if (this.#payload > 0) return undefined;
    this.#header ??= this.#readHeader();
    if (this.#header === undefined || this.#incoming.length < this.#dataLength) return undefined;
    const header = this.#header;
    const extra = this.#dataLength > 0 ? parse(this.#incoming.take(this.#dataLength), "its data") : {};
    this.#header = undefined;
    this.#payload = lengthOf(header, "payload_length", LIMITS.payload);
    this.#payload -= this.#incoming.take(Math.min(this.#payload, this.#incoming.length)).length;
    return { type: header.type as string, data: { ...(header.data as object | null | undefined), ...extra } };
  }

  #readHeader(): Record<string, unknown> | undefined {
    const length = this.#incoming.lineLength();
    if ((length ?? this.#incoming.length) > LIMITS.line) throw invalid(`its line is longer than ${LIMITS.line} bytes`);
    if (length === undefined) return undefined;
    const header = parse(this.#incoming.take(length + 1).subarray(0, length), "its line");
    if (typeof header.type !== "string") throw invalid("its type is no text");
    if (header.data !== undefined && header.data !== null && !isRecord(header.data)) {
      throw invalid("its data is no JSON object");
    }
    this.#dataLength = lengthOf(header, "data_length", LIMITS.data);
    lengthOf(header, "payload_length", LIMITS.payload);
    return header;
  }
}

/** An event as bytes. */
export function encodeEvent({ type, data }: WyomingEvent): Buffer {
  const bytes = Buffer.from(Object.keys(data).length === 0 ? "" : JSON.stringify(data));
  const header = { type, version: PROTOCOL_VERSION, ...(bytes.length > 0 && { data_length: bytes.length }) };
  return Buffer.concat([Buffer.from(`${JSON.stringify(header)}\n`), bytes]);
}
