/**
 * A part of a file as pages of linear memory: nothing is read before it is needed, nothing copied, and processes that use
 * the same file share its pages. Writes stay private to the process.
 */

import fs from "node:fs";
import type { MappedFile } from "../../runtime/device.ts";
import { truncated } from "../../runtime/weights/faults.ts";
import { openError } from "./files.ts";
import { addressOf, systemCalls } from "./system/calls.ts";

/** A part of a file in linear memory. */
export interface Mapping extends MappedFile {
  /** The file, open while it is mapped: under its name there may be another by then. */
  readonly fd: number;
  /** Maps the file's own pages over it once more; false where the system refuses. */
  again(): boolean;
}

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
): Mapping | string {
  const odd = [address, offset, bytes].some((value) => !Number.isSafeInteger(value) || value < 0 || value % ALIGNMENT);
  if (odd || bytes === 0 || address + bytes > memory.buffer.byteLength) {
    throw new RangeError(`Cannot map ${bytes} bytes from ${offset} to ${address} of ${memory.buffer.byteLength}.`);
  }
  const c = systemCalls();
  if (typeof c === "string") return c;
  const fd = openForMapping(path, offset + bytes);
  const at = addressOf(c, memory) + BigInt(address);
  if (!c.mapFile(at, bytes, fd, offset)) {
    fs.closeSync(fd);
    return "the file system does not allow mapping";
  }
  c.advise(at, bytes, "willNeed");
  let owner: WebAssembly.Memory | undefined = memory; // its pages must not be given to anyone else
  return {
    fd,
    again: () => owner !== undefined && c.mapFile(at, bytes, fd, offset),
    close() {
      if (!owner) return;
      c.mapZeros(at, bytes);
      fs.closeSync(fd);
      owner = undefined;
    },
  };
}

/** Touching a page behind the end of a mapped file would kill the process: throws E_FILE_TRUNCATED. */
function openForMapping(path: string, end: number): number {
  let fd: number;
  try {
    fd = fs.openSync(path, "r");
  } catch (error) {
    throw openError(path, error as NodeJS.ErrnoException);
  }
  const { size } = fs.fstatSync(fd);
  if (size >= end) return fd;
  fs.closeSync(fd);
  throw truncated(path, size, end);
}

/** Maps a file; its bytes move into huge pages while they are used. */
export function mapPromoted(...where: Parameters<typeof mapFile>): MappedFile | string {
  const mapped = mapFile(...where);
  const c = systemCalls();
  if (typeof mapped === "string" || typeof c === "string") return mapped;
  const [memory, address, , offset, bytes] = where;
  const promotion = c.promote({ base: addressOf(c, memory), address, fd: mapped.fd, offset, bytes });
  let given = false;
  return {
    giveBackCopies() {
      const moved = given ? 0 : c.endPromotion(promotion);
      if (moved === 0 || !mapped.again()) return 0;
      given = true;
      return moved;
    },
    close() {
      c.endPromotion(promotion);
      mapped.close();
    },
  };
}

/** Asks for huge pages for memory that will all be used: a pass over the weights then misses the TLB 512 times less. */
export function adviseHugePages(memory: WebAssembly.Memory, address: number, bytes: number): void {
  const c = systemCalls();
  if (typeof c === "object") c.advise(addressOf(c, memory) + BigInt(address), bytes, "hugePage");
}

/**
 * Gives the memory's pages back to the system, but for parts of pages at its ends; they read as zeros then. False where that
 * is not possible.
 */
export function releasePages(memory: WebAssembly.Memory, address: number, bytes: number): boolean {
  const c = systemCalls();
  if (typeof c === "string") return false;
  const from = Math.ceil(address / ALIGNMENT) * ALIGNMENT; // the system's pages can be of 16 or 64 KiB
  const to = Math.floor((address + bytes) / ALIGNMENT) * ALIGNMENT;
  return from >= to || c.advise(addressOf(c, memory) + BigInt(from), to - from, "dontNeed");
}
