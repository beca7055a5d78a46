/**
 * What differs between a Raspberry Pi, a browser and a test: files, threads, compiled kernels, memory.
 * `runtime/` knows devices only through this interface; `devices/` implement it.
 */

/** A file that can be read at any offset, synchronously (engines live in workers, where that is allowed everywhere). */
export interface ByteSource {
  /** For messages: a path, a URL or a file's name. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /** Fills all of `into` from `offset` bytes on, or throws a PiPhiError (E_FILE_READ, E_FILE_TRUNCATED). */
  read(offset: number, into: Uint8Array): void;
  /** Whether the file is still as it was when it was opened. */
  unchanged?(): boolean;
  close(): void;
}

/** A file that is written. */
export interface ByteSink {
  /** Sets its length; throws E_DISK_FULL or E_FILE_WRITE. */
  resize(bytes: number): void;
  /** Writes all of `bytes` at `offset`; throws E_DISK_FULL or E_FILE_WRITE. */
  write(offset: number, bytes: Uint8Array): void;
}

/** A file that is read ahead of its use, several reads at once; see residence/stream.ts. */
export interface AheadSource {
  /** Fills `into` from `offset` on; rejects with a PiPhiError. Offset, length and address are multiples of 4096. */
  read(offset: number, into: Uint8Array): Promise<void>;
  close(): void;
}

/** A file whose bytes lie in linear memory as the operating system's pages. */
export interface MappedFile {
  /**
   * Memory is short: copies of the file's pages that the process has to itself give way to the file's own, which the system
   * can take. Returns their bytes. The contents stay the same.
   */
  giveBackCopies?(): number;
  /** Gives the pages back; the memory reads as zeros then. */
  close(): void;
}

/** Files of the device's own store, which may be gone at any time; see cache/shelf.ts. Nothing but `open` and `create` throws. */
export interface KeptFiles {
  list(): { name: string; bytes: number; usedMs: number }[];
  /** Throws E_NOT_FOUND or E_FILE_READ. */
  open(name: string): ByteSource;
  /** As Device.create. */
  create(name: string, write: (sink: ByteSink) => Promise<void>): Promise<number>;
  /** Notes that it was used just now. */
  used(name: string): void;
  remove(name: string): void;
}

/** The two builds of the kernels: plain SIMD, and SIMD with the relaxed instructions. */
export type KernelBuild = "simd" | "relaxed";

/** Imports for a WASI reactor plus what it tried to say before it stopped. */
export interface WasiHost {
  readonly imports: WebAssembly.Imports;
  /** To be called once with the new instance, before any export is used. */
  start(instance: WebAssembly.Instance): void;
}

/** A thread that has been started; messages are structured clones. */
export interface Thread {
  /** `transfer` moves along instead of being copied. */
  post(message: unknown, transfer?: Transferable[]): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Called once if the thread dies by itself. */
  onFailure(listener: (error: Error) => void): void;
  terminate(): void;
  /** Becomes false where the thread has not begun to run within the device's time limit. Absent: it runs already. */
  readonly running?: Promise<boolean>;
  /** Whether the process may not end while this thread lives (Node). */
  keepAlive?(on: boolean): void;
}

export type WorkerRole = "team" | "reader";

/** What a machine can do; bytes are bytes a second. */
export interface MachineSpeed {
  /** Whose figures these are, for people. */
  figures: string;
  /** Cores that count; threads beyond them add nothing. */
  cores: number;
  /** Read from memory by one thread, and by all together. */
  memoryBytes: { one: number; all: number };
  /** Read from storage; undefined where weights cannot be streamed. */
  storageBytes?: number;
  /** Instructions a second of one core. */
  instructions: number;
  /** Instructions for a weight of an int4 or an int8 matrix. */
  instructionsPerWeight: { int4: number; int8: number };
}

/** What a device sees when it is asked. */
export interface Pressure {
  /** Bytes that can still be allocated without harm. */
  availableBytes?: number;
  /** Bytes that this process holds itself: what it takes is planned. */
  ownBytes?: number;
  /** Share of the time since it was asked last in which something had to wait for memory, 0 to 1. */
  stalledShare?: number;
  /** Why the processor runs slower than it could, where it does. */
  throttled?: string;
}

export interface Device {
  readonly name: string;
  /** Threads that run at full speed side by side. */
  readonly threads: number;
  /** What predictions are made of, where it is known. */
  readonly speed?: MachineSpeed;
  /** Bytes that can be allocated now without harm, or undefined where the platform does not tell. */
  availableBytes(): number | undefined;
  /** Bytes of this process beside the model's memory: those it has now, and those its threads will still take. */
  overheadBytes?(threads: number): { present: number; growth: number };
  /** Whether it only shows when memory is asked for how much there is: less is tried where it is refused. */
  readonly triesMemory?: boolean;
  /** Peak resident bytes of this process, or undefined where the platform does not tell. */
  peakBytes(): number | undefined;
  /** Whether memory can be shared between threads. */
  readonly sharedMemory: boolean;
  /**
   * Maps a part of a file over the memory's bytes from `address` on; all of them multiples of 64 KiB. A string says why
   * that is not possible here. Throws E_FILE_TRUNCATED. `hugePages`: there is memory for a copy instead, if it is faster.
   */
  map?(
    memory: WebAssembly.Memory,
    address: number,
    name: string,
    offset: number,
    bytes: number,
    hugePages: boolean,
  ): MappedFile | string;
  /** Asks for huge pages for a part of the memory that will all be used. */
  hugePages?(memory: WebAssembly.Memory, address: number, bytes: number): void;
  /** Gives the pages of a part of the memory back to the system; its contents are lost. False where that is not possible. */
  releasePages?(memory: WebAssembly.Memory, address: number, bytes: number): boolean;
  /** What the system is short of now. Takes microseconds: it is called between tokens. */
  pressure?(): Pressure;
  /**
   * Opens a file to be read ahead of its use, by a thread of its own where memory is shared. Devices that have this can stream
   * weights, those without shared memory by `open`.
   */
  openAhead?(name: string): AheadSource;
  /** Opens one file for reading; throws E_NOT_FOUND or E_FILE_READ. `name` is a path, URL or handle name. */
  open(name: string): ByteSource;
  /**
   * Lets `write` fill a file that appears under its name as a whole, or not at all where it throws; its size. A new file is
   * for its owner alone, a replaced one keeps its permissions. Throws
   * E_DISK_FULL or E_FILE_WRITE. Devices without this have no files to write.
   */
  create?(name: string, write: (sink: ByteSink) => Promise<void>): Promise<number>;
  /** Where caches of texts that were read can be kept from run to run. */
  readonly kept?: KeptFiles;
  /** Tells the user about something that works less well than it could, in one sentence. */
  warn(text: string): void;
  /** The bytes of a kernel build. */
  kernel(build: KernelBuild): Promise<Uint8Array>;
  /**
   * Gives up what the engine's compiler does at its own risk, after kernels failed their self-test; false where there is
   * nothing (any more) to give up.
   */
  retreat?(): boolean;
  /** A fresh WASI host for `memory`; a WebAssembly abort in it surfaces as a PiPhiError E_KERNEL. */
  wasi(memory: WebAssembly.Memory): WasiHost;
  /** Starts a worker: a member of the engine's team, or the reader of its weights. Never where `sharedMemory` is false. */
  startWorker(role: WorkerRole): Thread;
  /** Starts a worker that takes a share of the weights in a memory of its own, where none is shared. */
  startShard?(): Thread;
}
