/** Writes the header of a GGUF v3 file (gguf.ts draws it). */

const TYPES = { u32: 4, f64: 12, u64: 10 } as const;
const STRING = 8;
const ARRAY = 9;
const MAGIC = 0x46554747;
const VERSION = 3;

export class HeaderWriter {
  /** Keys written so far by `number`, `string` and `strings`. */
  keys = 0;
  length = 0;
  private buffer = new Uint8Array(1 << 16);

  /** What comes first. */
  begin(tensors: number, keys: number): void {
    this.u32(MAGIC);
    this.u32(VERSION);
    this.u64(tensors);
    this.u64(keys);
  }

  number(key: string, type: keyof typeof TYPES, value: number): void {
    this.key(key, TYPES[type]);
    if (type === "u32") this.u32(value);
    else if (type === "u64") this.u64(value);
    else this.room(8).setFloat64(0, value, true);
  }

  string(key: string, value: string): void {
    this.key(key, STRING);
    this.text(value);
  }

  strings(key: string, values: readonly string[]): void {
    this.key(key, ARRAY);
    this.u32(STRING);
    this.u64(values.length);
    for (const value of values) this.text(value);
  }

  /** A tensor whose data begins `offset` bytes after the beginning of all data. */
  tensor(name: string, shape: readonly number[], type: number, offset: number): void {
    this.text(name);
    this.u32(shape.length);
    for (const dimension of shape) this.u64(dimension);
    this.u32(type);
    this.u64(offset);
  }

  raw(bytes: Uint8Array): void {
    this.room(bytes.length);
    this.buffer.set(bytes, this.length - bytes.length);
  }

  /** Zeros up to a multiple of `alignment`. */
  align(alignment: number): void {
    this.room((alignment - (this.length % alignment)) % alignment);
  }

  bytes(): Uint8Array<ArrayBuffer> {
    return this.buffer.slice(0, this.length);
  }

  private key(key: string, type: number): void {
    this.text(key);
    this.u32(type);
    this.keys++;
  }

  private text(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.u64(bytes.length);
    this.raw(bytes);
  }

  private u32(value: number): void {
    this.room(4).setUint32(0, value, true);
  }

  private u64(value: number): void {
    this.room(8).setBigUint64(0, BigInt(value), true);
  }

  /** The next `bytes` bytes, which are zero. */
  private room(bytes: number): DataView {
    const at = this.length;
    this.length += bytes;
    if (this.length > this.buffer.length) {
      const larger = new Uint8Array(Math.max(this.length, 2 * this.buffer.length));
      larger.set(this.buffer);
      this.buffer = larger;
    }
    return new DataView(this.buffer.buffer, at, bytes);
  }
}
