/**
 * A part of a file as pages of linear memory: nothing is read before it is needed, nothing copied, and processes that use
 * the same file share its pages. Writes stay private to the process.
 */

import fs from "node:fs";
import type { MappedFile } from "../../runtime/device.ts";
import { truncated } from "../../runtime/weights/faults.ts";
import { libc } from "./libc.ts";

/** WebAssembly's own page; a multiple of the system's everywhere. */
const ALIGNMENT = 65536;

/**
 * Maps `bytes` of a file from `offset` on over the memory from `address` on, all of them multiples of 64 KiB. A string
 * says why that is not possible here. Throws E_FILE_TRUNCATED, RangeError for places that make no sense.
 */
export function mapFile(
  memory: WebAssembly.Memory,
  address: number,
  path: string,
  offset: number,
  bytes: number,
): MappedFile | string {
  const odd = [address, offset, bytes].some((value) => !Number.isSafeInteger(value) || value < 0 || value % ALIGNMENT);
  if (odd || bytes === 0 || address + bytes > memory.buffer.byteLength) {
    throw new RangeError(`Cannot map ${bytes} bytes from ${offset} to ${address} of ${memory.buffer.byteLength}.`);
  }
  const c = libc();
  if (typeof c === "string") return c;
  const fd = fs.openSync(path, "r");
  try {
    // Touching a page behind the end of a mapped file would kill the process.
    const { size } = fs.fstatSync(fd);
    if (size < offset + bytes) throw truncated(path, size, offset + bytes);
    // A view, not the buffer: koffi refuses a SharedArrayBuffer on Node 20.
    const at = c.address(new Uint8Array(memory.buffer)) + BigInt(address);
    if (!c.mapFile(at, bytes, fd, offset)) return "the file system does not allow mapping";
    c.advise(at, bytes, "willNeed");
    let owner: WebAssembly.Memory | undefined = memory; // its pages must not be given to anyone else
    return {
      close() {
        if (owner) c.mapZeros(at, bytes);
        owner = undefined;
      },
    };
  } finally {
    fs.closeSync(fd);
  }
}

/** Asks for huge pages for memory that will all be used: a pass over the weights then misses the TLB 512 times less. */
export function adviseHugePages(memory: WebAssembly.Memory, address: number, bytes: number): void {
  const c = libc();
  if (typeof c === "object") c.advise(c.address(new Uint8Array(memory.buffer)) + BigInt(address), bytes, "hugePage");
}

/** Gives the memory's pages back to the system; they read as zeros then. False where that is not possible. */
export function releasePages(memory: WebAssembly.Memory, address: number, bytes: number): boolean {
  const c = libc();
  if (typeof c === "string") return false;
  return c.advise(c.address(new Uint8Array(memory.buffer)) + BigInt(address), bytes, "dontNeed");
}
