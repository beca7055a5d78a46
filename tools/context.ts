/** What a command works with: streams, the library, and the one signal that ends it. Tests pass their own. */

/** The part of the public library that the command line stands on. */
export type Api = Pick<
  typeof import("../devices/node/index.ts"),
  | "load"
  | "inspect"
  | "tokenize"
  | "diagnose"
  | "packFile"
  | "checkPack"
  | "estimate"
  | "estimateOn"
  | "EMBEDDED_MODEL"
  | "DEVICE_IDS"
  | "TARGETS"
>;

/** The part that is about a house. */
export type HomeApi = typeof import("../devices/node/home/index.ts");

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
  /** The same of what only commands about a house need. */
  home(): Promise<HomeApi>;
}

export interface Context extends Host {
  /** Fires at Ctrl-C and when nobody reads stdout any more. */
  readonly signal: AbortSignal;
}
