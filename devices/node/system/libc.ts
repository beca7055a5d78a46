/**
 * The few calls of the C library that Node lacks, through npm's `koffi`, an optional dependency. Where it is missing,
 * or the platform is unknown, there is a reason instead.
 */

import { createRequire } from "node:module";

/** Constants of <sys/mman.h> and <fcntl.h>, as Linux (asm-generic, the same on x64 and arm64) and macOS define them. */
const CONSTANTS = {
  linux: { mapFixed: 0x10, mapPrivate: 0x02, mapAnonymous: 0x20, mapNoReserve: 0x4000 },
  darwin: { mapFixed: 0x10, mapPrivate: 0x02, mapAnonymous: 0x1000, mapNoReserve: 0x40 },
} as const;
const PROT_READ_WRITE = 3;
/** MREMAP_MAYMOVE | MREMAP_FIXED */
const MREMAP_FIXED = 3;
const ADVICE = { normal: 0, random: 1, sequential: 2, willNeed: 3, dontNeed: 4, hugePage: 14, collapse: 25 } as const;
export type Advice = keyof typeof ADVICE;

/** Each thread that has loaded koffi leaves its stacks behind when it ends: 3 MB by default. These calls need little. */
const SMALL_STACKS = {
  sync_stack_size: 128 << 10,
  sync_heap_size: 64 << 10,
  async_stack_size: 64 << 10,
  async_heap_size: 64 << 10,
  resident_async_pools: 0,
};

const LIBRARIES: Record<string, readonly string[]> = {
  linux: ["libc.so.6", `libc.musl-${process.arch === "arm64" ? "aarch64" : "x86_64"}.so.1`],
  darwin: ["libSystem.B.dylib"],
};

export interface Libc {
  /** Address of the first byte of a view. */
  address(view: Uint8Array): bigint;
  /** Maps `bytes` of a file over what is at `address`: private, read and write. False where the system refuses. */
  mapFile(address: bigint, bytes: number, fd: number, offset: number): boolean;
  /** Fresh pages anywhere; 0 where the system refuses. */
  mapAnywhere(bytes: number): bigint;
  unmap(address: bigint, bytes: number): void;
  /** Moves pages to `to`, over what is there, at once for all threads. False where that cannot be done (macOS). */
  move(from: bigint, bytes: number, to: bigint): boolean;
  /** Fills memory from a file; false where less was read. */
  read(fd: number, address: bigint, bytes: number, offset: number): boolean;
  /** Fresh zero pages over what is at `address`. */
  mapZeros(address: bigint, bytes: number): boolean;
  /** madvise */
  advise(address: bigint, bytes: number, advice: Advice): boolean;
  /** posix_fadvise; does nothing on macOS, which lacks it. */
  adviseFile(fd: number, offset: number, bytes: number, advice: Advice): void;
}

let loaded: Libc | string | undefined;

const require = createRequire(import.meta.url);

/** The C library, called by this very thread, or why it cannot be called. Most threads want system/calls.ts instead. */
export function libc(): Libc | string {
  loaded ??= load();
  return loaded;
}

/** Why there is nothing to call, found without loading it. */
export function libcMissing(): string | undefined {
  if (!Object.hasOwn(CONSTANTS, process.platform)) return `not supported on ${process.platform}`;
  try {
    require.resolve("koffi");
    return undefined;
  } catch (error) {
    return koffiMissing(error);
  }
}

function load(): Libc | string {
  const missing = libcMissing();
  if (missing !== undefined) return missing;
  const platform = process.platform as keyof typeof CONSTANTS;
  // biome-ignore lint/suspicious/noExplicitAny: koffi is optional, and so are its types
  let koffi: any;
  try {
    koffi = require("koffi");
  } catch (error) {
    return koffiMissing(error);
  }
  koffi.config({ ...koffi.config(), ...SMALL_STACKS });
  for (const name of LIBRARIES[platform]) {
    try {
      return bind(koffi, koffi.load(name), platform);
    } catch {
      // The next name, of another C library.
    }
  }
  return `no C library found (${LIBRARIES[platform].join(", ")})`;
}

function koffiMissing(error: unknown): string {
  return `the optional package koffi is not there (${String((error as Error).message).split("\n")[0]})`;
}

// biome-ignore lint/suspicious/noExplicitAny: see above
function bind(koffi: any, library: any, platform: "linux" | "darwin"): Libc {
  const flags = CONSTANTS[platform];
  const mmap = library.func(
    "intptr_t mmap(intptr_t address, size_t bytes, int protection, int flags, int fd, int64_t at)",
  );
  const madvise = library.func("int madvise(intptr_t address, size_t bytes, int advice)");
  const fadvise =
    platform === "linux" ? library.func("int posix_fadvise(int fd, int64_t at, int64_t n, int advice)") : undefined;
  const munmap = library.func("int munmap(intptr_t address, size_t bytes)");
  const pread = library.func("intptr_t pread(int fd, intptr_t to, size_t bytes, int64_t at)");
  const mremap =
    platform === "linux"
      ? library.func("intptr_t mremap(intptr_t from, size_t bytes, size_t newBytes, int flags, intptr_t to)")
      : undefined;
  const fixed = flags.mapFixed | flags.mapPrivate | flags.mapNoReserve;
  const map = (address: bigint, bytes: number, extra: number, fd: number, offset: number) =>
    BigInt(mmap(address, bytes, PROT_READ_WRITE, fixed | extra, fd, offset)) === address;
  return {
    address: (view) => BigInt(koffi.address(view)),
    mapFile: (address, bytes, fd, offset) => map(address, bytes, 0, fd, offset),
    mapAnywhere(bytes) {
      const address = BigInt(mmap(0, bytes, PROT_READ_WRITE, flags.mapPrivate | flags.mapAnonymous, -1, 0));
      return address > 0n ? address : 0n;
    },
    unmap: (address, bytes) => void munmap(address, bytes),
    move: (from, bytes, to) => mremap !== undefined && BigInt(mremap(from, bytes, bytes, MREMAP_FIXED, to)) === to,
    read(fd, address, bytes, offset) {
      for (let done = 0; done < bytes; ) {
        const count = Number(pread(fd, address + BigInt(done), bytes - done, offset + done));
        if (count <= 0) return false;
        done += count;
      }
      return true;
    },
    mapZeros: (address, bytes) => map(address, bytes, flags.mapAnonymous, -1, 0),
    advise: (address, bytes, advice) => madvise(address, bytes, ADVICE[advice]) === 0,
    adviseFile: (fd, offset, bytes, advice) => void fadvise?.(fd, offset, bytes, ADVICE[advice]),
  };
}
