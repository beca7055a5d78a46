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
  close(): void;
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
  post(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
  /** Called once if the thread dies by itself. */
  onFailure(listener: (error: Error) => void): void;
  terminate(): void;
  /** Whether the process may not end while this thread lives (Node). */
  keepAlive?(on: boolean): void;
}

export interface Device {
  readonly name: string;
  /** Threads that run at full speed side by side. */
  readonly threads: number;
  /** Bytes that can be allocated now without harm, or undefined where the platform does not tell. */
  availableBytes(): number | undefined;
  /** Peak resident bytes of this process, or undefined where the platform does not tell. */
  peakBytes(): number | undefined;
  /** Whether memory can be shared between threads. */
  readonly sharedMemory: boolean;
  /** Opens one file for reading; throws E_NOT_FOUND or E_FILE_READ. `name` is a path, URL or handle name. */
  open(name: string): ByteSource;
  /** The bytes of a kernel build. */
  kernel(build: KernelBuild): Promise<Uint8Array>;
  /**
   * Gives up what the engine's compiler does at its own risk, after kernels failed their self-test; false where there is
   * nothing (any more) to give up.
   */
  retreat?(): boolean;
  /** A fresh WASI host for `memory`; a WebAssembly abort in it surfaces as a PiPhiError E_KERNEL. */
  wasi(memory: WebAssembly.Memory): WasiHost;
  /** Starts a worker of the engine's team. Never called where `sharedMemory` is false. */
  startTeamWorker(): Thread;
}
