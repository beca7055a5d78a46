/**
 * Sequential, little-endian reading of a file's header in large pieces. Nothing is allocated or looped over before the
 * length that the file states for it has been compared with the bytes that the file has.
 */

import type { ByteSource } from "../device.ts";
import { damaged, truncated } from "./faults.ts";

/** One read covers the header of most files: Phi-2's is 2.2 MB, nearly all of it vocabulary. */
const CHUNK_BYTES = 4 << 20;
/** A vocabulary of 256 000 tokens needs 12 MB. Bounds the memory and the time a hostile header can take. */
const MAX_HEADER_BYTES = 32 << 20;

export class HeaderReader {
  readonly #source: ByteSource;
  /** The byte order mark stays: a token may begin with one. */
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  #bytes = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);
  /** The offset of #bytes[0] in the file, and how much of #bytes is consumed. */
  #start = 0;
  #at = 0;

  constructor(source: ByteSource) {
    this.#source = source;
  }

  /** Bytes consumed so far: the offset in the file of what comes next. */
  get offset(): number {
    return this.#start + this.#at;
  }

  u32(): number {
    return this.scalar(4, (view, at) => view.getUint32(at, true));
  }

  /** Exact up to 2^53; larger values are rounded and so stay larger. */
  u64(): number {
    return this.scalar(8, (view, at) => view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32);
  }

  /** What `read` makes of the next `bytes` bytes, which begin at `at` in `view`. */
  scalar<T>(bytes: number, read: (view: DataView, at: number) => T): T {
    const at = this.#advance(bytes);
    return read(this.#view, at);
  }

  /** A u64 count of `what`, each of at least `itemBytes`: at most `max`, and as many as the file has room for. */
  count(what: string, itemBytes: number, max = Number.POSITIVE_INFINITY): number {
    const count = this.u64();
    if (count > max)
      throw damaged(this.#source.name, `it states ${count} ${what}, at most ${max} are possible`, { count });
    this.#check(count * itemBytes, what);
    return count;
  }

  /** A u64 length and as many bytes of UTF-8, which messages call `what`; malformed sequences become U+FFFD. */
  string(what: string, maxBytes?: number): string {
    const length = this.count(what, 1, maxBytes);
    const at = this.#advance(length);
    return this.#decoder.decode(this.#bytes.subarray(at, at + length));
  }

  /** A copy of the next `length` bytes, in a buffer of its own. */
  bytes(length: number): Uint8Array<ArrayBuffer> {
    const at = this.#advance(length);
    return this.#bytes.slice(at, at + length);
  }

  /** Consumes `length` bytes, which then lie at the returned index of #bytes. */
  #advance(length: number): number {
    if (this.#at + length > this.#bytes.length) this.#fill(length);
    const at = this.#at;
    this.#at += length;
    return at;
  }

  #fill(length: number): void {
    this.#check(length, "header");
    this.#start = this.offset;
    this.#at = 0;
    this.#bytes = new Uint8Array(Math.min(Math.max(length, CHUNK_BYTES), this.#source.size - this.#start));
    this.#view = new DataView(this.#bytes.buffer);
    this.#source.read(this.#start, this.#bytes);
  }

  #check(length: number, what: string): void {
    const { name, size } = this.#source;
    const end = this.offset + length;
    if (end > MAX_HEADER_BYTES) {
      const limit = `more than the ${MAX_HEADER_BYTES} of the largest header`;
      throw damaged(name, `the ${what} would end at byte ${end}, ${limit}`, { offset: this.offset, end });
    }
    if (end > size) throw truncated(name, size, end);
  }
}
