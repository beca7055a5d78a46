/**
 * Mapped weights into huge pages, while they are used. A file's pages are 4 KiB each, so a pass over gigabytes of them waits
 * for the page tables; measured on a virtual machine, decode is 20 to 40 % faster from huge pages. Where memory is plentiful
 * a thread of its own copies the file, stretch by stretch, and moves each copy over its mapping in one system call. Then the
 * memory before the weights follows: a thousand tokens' keys and values are read a fifth faster. Not from the start, since
 * huge pages of a cache would all be cleared for the first token.
 */

import type { MappedFile } from "../../runtime/device.ts";
import { type Libc, libc } from "./libc.ts";
import type { Mapping } from "./mapping.ts";

/** What a promoter gets to do; sent as a message. */
export interface PromotionTask {
  memory: WebAssembly.Memory;
  address: number;
  /** The mapped file, which stays open until the promoter has ended. */
  fd: number;
  offset: number;
  bytes: number;
  /** i32: STOP asks it to end, ENDED says that it has, MOVED counts what it moved, in units of 64 KiB. */
  words: SharedArrayBuffer;
}

const STOP = 0;
const ENDED = 1;
const MOVED = 2;
export const PROMOTION_BYTES = 12;
/** What MOVED counts; sizes are multiples of it. */
const MOVED_UNIT = 65536;
/** A promoter that reads from slow storage ends after its stretch. */
const ENDING_MS = 10_000;

/** A short answer is given in less, and needs the memory's bandwidth for itself. */
const PATIENCE_MS = 1500;
/** The usual size of a huge page; where it is larger, the system still maps as much as it can. */
const HUGE_PAGE = 2n << 20n;
const STRETCH_BYTES = 32 << 20;

/** The promoter's thread. What cannot be moved stays as it is. */
export function promote({ memory, address, fd, offset, bytes, words }: PromotionTask): void {
  const state = new Int32Array(words);
  Atomics.wait(state, STOP, 0, PATIENCE_MS);
  const c = libc();
  try {
    if (typeof c === "string") return;
    const base = c.address(new Uint8Array(memory.buffer)) + BigInt(address);
    let at = Number((HUGE_PAGE - (base % HUGE_PAGE)) % HUGE_PAGE);
    while (at < bytes && Atomics.load(state, STOP) === 0) {
      const size = Math.min(STRETCH_BYTES, bytes - at);
      const room = size + Number(HUGE_PAGE);
      const fresh = c.mapAnywhere(room);
      if (fresh === 0n) return;
      const copy = fresh + ((HUGE_PAGE - (fresh % HUGE_PAGE)) % HUGE_PAGE);
      c.advise(copy, size, "hugePage");
      const moved = c.read(fd, copy, size, offset + at) && c.move(copy, size, base + BigInt(at));
      // What was moved is not there any more; around it is only the slack for alignment.
      if (!moved) c.unmap(fresh, room);
      else {
        if (copy > fresh) c.unmap(fresh, Number(copy - fresh));
        const end = copy + BigInt(size);
        if (fresh + BigInt(room) > end) c.unmap(end, Number(fresh + BigInt(room) - end));
      }
      if (!moved) return;
      at += size;
      Atomics.add(state, MOVED, size / MOVED_UNIT);
    }
    for (let at = 0; at < address && Atomics.load(state, STOP) === 0; at += STRETCH_BYTES) {
      collapse(c, base - BigInt(address - at), Math.min(STRETCH_BYTES, address - at));
    }
  } finally {
    Atomics.store(state, ENDED, 1);
    Atomics.notify(state, ENDED);
  }
}

/** Small pages that are in use become huge ones (Linux 6.1), and so do those that are used from now on. */
function collapse(c: Libc, address: bigint, bytes: number): void {
  c.advise(address, bytes, "hugePage");
  c.advise(address, bytes, "collapse");
}

/** A mapping whose bytes a promoter on a thread of its own moves into huge pages. */
export function promoted(mapping: Mapping, words: SharedArrayBuffer, terminate: () => void): MappedFile {
  const state = new Int32Array(words);
  return {
    giveBackCopies() {
      if (!endPromotion(words) || Atomics.load(state, MOVED) === 0 || !mapping.again()) return 0;
      return Atomics.exchange(state, MOVED, 0) * MOVED_UNIT;
    },
    close() {
      endPromotion(words);
      terminate();
      mapping.close();
    },
  };
}

/** Asks a promoter to end, and waits until it has: after that nothing is moved over the memory any more. False if it goes on. */
export function endPromotion(words: SharedArrayBuffer): boolean {
  const state = new Int32Array(words);
  Atomics.store(state, STOP, 1);
  Atomics.notify(state, STOP);
  return Atomics.wait(state, ENDED, 0, ENDING_MS) !== "timed-out";
}
