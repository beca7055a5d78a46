/** The public types of the library; `client.ts` and the devices implement them. They need no DOM. */
import type { Disposable } from "./disposable.ts";
import type { ChatMessage, GenerateOptions } from "./generate-options.ts";

export type * from "./generate-options.ts";

export interface LoadOptions {
  /** Context length in tokens; default: the model's, at most 2048. */
  contextLength?: number;
  /** Type of the key/value cache; default "int8". */
  kv?: "int8" | "f16";
  /** Threads, the engine's own included; default: what the device offers. In browsers that is measured, in about 40 ms. */
  threads?: number;
  /**
   * Requests that run side by side, 1 to 16; each has a key/value cache of its own. Others wait for their turn. Default: as
   * many as cost little memory, at most 4; 1 for a Phi-2.
   */
  parallel?: number;
  /** Requests that may wait for their turn; one more is refused with E_BUSY. Default 64. */
  queue?: number;
  /**
   * Beginnings of prompts that are read before the first request: texts or ids for `generate`, messages for `chat`. With
   * Node they are kept on disk, too, so that the next start does not read them again.
   */
  warm?: readonly (string | readonly number[] | readonly ChatMessage[])[];
  /** Bytes, or "1G", of disk for texts that were read, for all models, beyond a restart (Node). Default: none; 1G for `warm` alone. */
  diskCache?: number | string;
  /** Upper limit of memory, as bytes or "1G", "512M"; default: what the device has free. */
  ram?: number | string;
  /** What becomes of F32, F16 and BF16 weights: int8 tiles (default) or the exact values as f32. */
  dense?: "int8" | "exact";
  /**
   * Leave the weights of a pack in the file's own pages, which processes share and the system can take back; default: where
   * memory is plentiful they move into huge pages of the process, from which they are read faster.
   */
  share?: boolean;
  /** How conversations are written down: "instruct", "chatml", "alpaca" or a Jinja template's text; default: as the file says. */
  template?: string;
  /** Which build of the kernels; default: the fastest that passes its self-test here. */
  kernel?: "simd" | "relaxed";
  /** Called while the model is downloaded (browsers), packed or checked, and while its weights are read. */
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
}

export interface Progress {
  /** "warm" counts tokens instead of bytes. */
  phase: "download" | "pack" | "check" | "weights" | "warm";
  loadedBytes: number;
  /** 0 where a server does not tell. */
  totalBytes: number;
}

/** A token, and how likely it was. */
export interface TokenChance {
  id: number;
  /** Its text alone; bytes that are no complete character show as U+FFFD. */
  text: string;
  /** Its bytes; none for control tokens. */
  bytes: number[];
  /** Natural logarithm of its probability over the whole vocabulary. */
  logprob: number;
}

/** A token of an answer; all but its id where `logprobs` asked for it, and no `logprob` for the first token of all. */
export interface AnswerToken extends Partial<Omit<TokenChance, "id">> {
  id: number;
  /** The most likely tokens here, the most likely first. */
  top?: TokenChance[];
}

/**
 * One step of the stream: what a pass over the weights gave. `text` can be empty while a character or a stop text is
 * incomplete, and can come without a token when that is decided.
 */
export interface Delta {
  text: string;
  tokens: AnswerToken[];
}

export type StopReason = "eos" | "stop" | "length" | "cancelled";

export interface Timings {
  /** From `load()` to ready. */
  loadMs: number;
  /** From when the request has its turn (`usage.queueMs` comes before) to the first token. */
  firstTokenMs: number;
  prefillMs: number;
  prefillTokensPerSecond: number;
  decodeMs: number;
  decodeTokensPerSecond: number;
}

export interface MemoryUse {
  /** Of the process. In browsers, which do not tell: the bytes of the model's WebAssembly memory. */
  peakRssBytes: number;
  mode: "mapped" | "resident" | "streamed";
  /** Weights that stay in memory. */
  pinnedBytes: number;
  /** Why weights that fit are not mapped, where that was tried. */
  notMapped?: string;
  streamedBytesPerToken: number;
  /** What was given up because the system ran short of it since the model was loaded; absent where nothing had to be. */
  pressure?: {
    /** Weights that were given back to the system: they come from storage again. */
    releasedBytes: number;
    /** Threads that take part now. */
    threads: number;
    reasons: string[];
  };
}

/** What a request took. */
export interface Usage {
  promptTokens: number;
  /** Of the prompt's tokens, those whose keys and values were cached: they were not computed again. */
  cachedTokens: number;
  generatedTokens: number;
  /** From when the request arrived to when it got its turn. */
  queueMs: number;
}

export interface GenerateResult {
  text: string;
  /** With `echo`, the prompt's come first. */
  tokens: number[];
  /** How likely each of `tokens` was, where `logprobs` asked for it. */
  logprobs?: AnswerToken[];
  usage: Usage;
  promptTokens: number;
  /** Of the prompt's tokens, those whose keys and values were cached. */
  cachedTokens: number;
  generatedTokens: number;
  /** Of the prompt's and the answer's tokens, those that left the context to make room, where any did. */
  rolledTokens?: number;
  stopReason: StopReason;
  timings: Timings;
  /** Passes over the weights, tokens guessed and guesses that were right, where tokens were guessed. */
  drafts?: { passes: number; proposed: number; accepted: number };
  profile?: Profile;
}

/** Answers to several prompts, given side by side. */
export interface GenerateAllResult {
  /** In the order of the prompts. */
  results: GenerateResult[];
  /** Milliseconds of the passes that gave running answers their next tokens, and the tokens they gave. */
  decodeMs: number;
  decodedTokens: number;
}

/** Milliseconds of the leading thread by operation; "other" is sampling, text and JavaScript. */
export interface Profile {
  prefill: Record<string, number>;
  decode: Record<string, number>;
}

/** A running generation: iterate over its deltas, or await its result, or both. */
export interface Generation extends AsyncIterable<Delta>, PromiseLike<GenerateResult> {}

export interface ModelInfo {
  name: string;
  architecture: string;
  /** Most frequent weight type of the file, e.g. "Q4_0". */
  quantization: string;
  parameters: number;
  fileBytes: number;
  config: Phi2Config;
  /** Of this load. */
  contextLength: number;
  kv: "int8" | "f16";
  kernel: string;
  threads: number;
  /**
   * How the threads work together: on one memory, or by messages, each with a share of the weights in a memory of its own
   * (browsers that share no memory).
   */
  sharing: "memory" | "messages" | "none";
  /** Weight bytes read for each generated token. */
  bytesPerToken: number;
  memory: MemoryUse;
}

export interface Score {
  ids: number[];
  /** Position i: the distribution after ids[0..i]; natural logarithms over the whole vocabulary. */
  positions: { id: number; top: [id: number, logprob: number][] }[];
  usage: Usage;
}

/** What an engine is busy with. */
export interface Status {
  /** Requests that run now, and those that wait for their turn. */
  running: number;
  waiting: number;
  /** How many can run side by side, and how many may wait. */
  parallel: number;
  queue: number;
  /** Texts whose keys and values are kept for requests to come, and the bytes of those that were put aside. */
  cachedPrefixes: number;
  cachedBytes: number;
}

export interface Tokenization {
  ids: number[];
  /** The text of each id (bytes that are no complete character show as U+FFFD). */
  pieces: string[];
}

/**
 * A loaded model. Requests may be made at any time, many at once: they run side by side, as many as `parallel`, and others
 * wait for their turn; beyond `queue` they are refused with E_BUSY. What each gets does not depend on the others.
 */
export interface Phi extends Disposable {
  readonly info: ModelInfo;
  /** Continues a text, or token ids, without any template. */
  generate(prompt: string | readonly number[], options?: GenerateOptions): Generation;
  /**
   * Continues several prompts side by side, as many as `parallel` at once: a pass over the weights gives all of them their
   * next token. The texts are those that the prompts get one by one. Counts as one request.
   */
  generateAll(prompts: readonly (string | readonly number[])[], options?: GenerateOptions): Promise<GenerateAllResult>;
  /** Answers a conversation in the model's own prompt format. */
  chat(messages: readonly ChatMessage[], options?: GenerateOptions): Generation;
  /** Log-probabilities after each token. */
  score(input: string | readonly number[], options?: { top?: number; signal?: AbortSignal }): Promise<Score>;
  /**
   * Begins a session: answers whose keys and values are kept beside those of others, and can be saved. With more sessions
   * than `parallel`, they are put aside in memory meanwhile, as far as it reaches; what does not fit is read again.
   */
  session(options?: SessionOptions): Promise<Session>;
  /**
   * Restores a session from where it was saved, or from its exported bytes, without computing it again; the model and `kv`
   * must be those it was saved with. Rejects with E_NOT_FOUND, E_FILE_READ, E_NOT_SESSION, E_SESSION_VERSION,
   * E_SESSION_MODEL, E_SESSION_KV, E_CONTEXT, E_FILE_TRUNCATED or E_FILE_CORRUPT.
   */
  restore(from: string | Uint8Array, options?: { signal?: AbortSignal }): Promise<Session>;
  tokenize(text: string): Promise<Tokenization>;
  detokenize(ids: readonly number[]): Promise<string>;
  /** Bytes a second at which the threads can read the weights in memory: the bound of decode. Takes about 0.2 s. */
  bandwidth(): Promise<number>;
  /** The current memory figures. */
  memory(): Promise<MemoryUse>;
  /** What the engine is busy with; is answered between passes. */
  status(): Promise<Status>;
  close(): Promise<void>;
}

export interface SessionOptions {
  /**
   * What all texts of the session begin with: before the prompts of `generate`, and as a first system message for `chat`.
   * It is read at once. Default: nothing.
   */
  prefix?: string;
  signal?: AbortSignal;
}

export interface SaveOptions {
  /** A text of your own that is saved with the session, such as its messages; default: the one it was restored with. */
  note?: string;
  signal?: AbortSignal;
}

/** Answers as `Phi` gives them, with keys and values of their own: what a prompt shares with the text so far is kept. */
export interface Session extends Disposable {
  readonly prefix: string;
  /** The note that it was restored with, or "". */
  readonly note: string;
  generate(prompt: string | readonly number[], options?: GenerateOptions): Generation;
  chat(messages: readonly ChatMessage[], options?: GenerateOptions): Generation;
  /** All that was read and written, the prefix first, without a last token that was not computed any more. */
  tokens(): Promise<number[]>;
  /**
   * Saves it as a file that appears as a whole; resolves with its bytes. Rejects with E_DISK_FULL, E_FILE_WRITE or
   * E_CANCELLED, and in browsers with E_USAGE.
   */
  save(path: string, options?: SaveOptions): Promise<number>;
  /** What `save` writes, for places that are no files. */
  export(options?: SaveOptions): Promise<Uint8Array>;
  /** Frees what it has. */
  close(): Promise<void>;
}

export interface Estimate {
  fits: boolean;
  mode: MemoryUse["mode"];
  layers: { pinned: number; streamed: number };
  bytes: { weights: number; kv: number; scratch: number; slots: number; total: number };
  contextLength: number;
  /** Weight bytes that a token takes from storage. */
  streamedBytesPerToken: number;
  /**
   * What decode should reach, from the figures of the device's profile and not measured: null where the model does not
   * fit, and where nothing is known of the device's speed (browsers).
   */
  predictedTokensPerSecond: number | null;
  /** Whose figures that prediction is made of, such as "pi-5: 11.59 GB/s of memory, 90 MB/s of sd". */
  predictedFrom: string | null;
  /** What to do when it does not fit. */
  remedy?: string;
}

/** Hyperparameters of a Phi model, as the file states them. */
export interface Phi2Config {
  /** Width of the residual stream (d). */
  hiddenSize: number;
  /** Width of the MLP's inner layer (ff). */
  intermediateSize: number;
  layers: number;
  heads: number;
  headDim: number;
  /** The first rotaryDim of headDim dimensions are rotated. */
  rotaryDim: number;
  ropeBase: number;
  layerNormEpsilon: number;
  /** Positions the model was trained for. */
  contextLength: number;
  /** Rows of the embedding and of the head. */
  vocabSize: number;
}

/** How a build of the kernels did in its self-test. */
export interface KernelReport {
  name: string;
  ok: boolean;
  /** Weight bytes a second of the int4 kernel on one thread, from cache. */
  gigabytesPerSecond: number;
  /** Why not, where `ok` is false. */
  reason?: string;
}
