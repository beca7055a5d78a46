/** What a command works with: streams, the library, and the one signal that ends it. Tests pass their own. */

import type { LoadOptions, Phi } from "../runtime/api.ts";
import type { Phi2Config } from "../runtime/phi2.ts";

/** The part of the public library that the command line stands on. */
export interface Api {
  /** The path of the model that comes with the package. */
  readonly EMBEDDED_MODEL: string;
  load(model: string | undefined, options?: LoadOptions): Promise<Phi>;
  /** Reads a model file's header only. */
  inspect(model: string): Promise<Inspection>;
  diagnose(): Promise<Diagnosis>;
}

export interface Inspection {
  name: string;
  path: string;
  architecture: string;
  quantization: string;
  parameters: number;
  fileBytes: number;
  config: Phi2Config;
  tensors: { name: string; type: string; shape: readonly number[]; bytes: number }[];
  vocabulary: { size: number; merges: number; eos: number };
  promptFormat: string;
  /** Files that the model consists of. */
  shards: number;
}

export interface Diagnosis {
  checks: { name: string; ok: boolean; value: string; advice?: string }[];
  kernels: { name: string; ok: boolean; gigabytesPerSecond: number }[];
}

export type Input = NodeJS.ReadableStream & { isTTY?: boolean };
export type Output = NodeJS.WritableStream & { isTTY?: boolean };
export type Environment = Readonly<Record<string, string | undefined>>;

/** The process around a command. */
export interface Host {
  readonly stdin: Input;
  /** Results only. */
  readonly stdout: Output;
  /** Progress, warnings, timings, errors. */
  readonly stderr: Output;
  readonly env: Environment;
  /** Fires at the first Ctrl-C. */
  readonly interrupt: AbortSignal;
  /** Ends the process at once. */
  exit(code: number): void;
  /** Loads the library; a call, because `--help` must not wait for it. */
  api(): Promise<Api>;
}

export interface Context extends Host {
  /** Fires at Ctrl-C and when nobody reads stdout any more. */
  readonly signal: AbortSignal;
}
