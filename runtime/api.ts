/** The public types of the library; `client.ts` and the devices implement them. No imports: these types need no DOM. */

declare global {
  // As in TypeScript's library "ESNext.Disposable", for programs that are checked without it.
  interface SymbolConstructor {
    readonly asyncDispose: unique symbol;
  }
  interface AsyncDisposable {
    [Symbol.asyncDispose](): PromiseLike<void>;
  }
}

export interface LoadOptions {
  /** Context length in tokens; default: the model's, at most 2048. */
  contextLength?: number;
  /** Type of the key/value cache; default "int8". */
  kv?: "int8" | "f16";
  /** Threads, the engine's own included; default: what the device offers. */
  threads?: number;
  /** Answers that can be given side by side (generateAll), 1 to 16; each has a key/value cache of its own. Default 1. */
  parallel?: number;
  /** Upper limit of memory, as bytes or "1G", "512M"; default: what the device has free. */
  ram?: number | string;
  /** What becomes of F32, F16 and BF16 weights: int8 tiles (default) or the exact values as f32. */
  dense?: "int8" | "exact";
  /**
   * Leave the weights of a pack in the file's own pages, which processes share and the system can take back; default: where
   * memory is plentiful they move into huge pages of the process, from which they are read faster.
   */
  share?: boolean;
  /** Which build of the kernels; default: the fastest that passes its self-test here. */
  kernel?: "simd" | "relaxed";
  /** Called while the model is downloaded (browsers), packed or checked, and while its weights are read. */
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
}

export interface Progress {
  phase: "download" | "pack" | "check" | "weights";
  loadedBytes: number;
  /** 0 where a server does not tell. */
  totalBytes: number;
}

export interface SamplingOptions {
  /** 0 = greedy (default). */
  temperature?: number;
  /** Keep the k most likely tokens; 0 = all (default 40, used only when temperature > 0). */
  topK?: number;
  /** Nucleus: keep the most likely tokens whose probabilities sum to p; 1 = all (default 0.95). */
  topP?: number;
  /** Drop tokens less likely than minP times the most likely one; 0 = none (default 0.05). */
  minP?: number;
  /** Divides the positive logits of the last 64 tokens (multiplies negative ones); 1 = off (default). */
  repeatPenalty?: number;
  /** Same seed, prompt and options: same text, on any number of threads. Default: random. */
  seed?: number;
}

export interface GenerateOptions extends SamplingOptions {
  /** Default: until the context is full; where it rolls, as many tokens as it holds. */
  maxTokens?: number;
  /**
   * What happens when the context is full: the answer ends with "length" (default), or the oldest tokens go, but for the
   * first 32, and the text goes on ("roll": needs a context of at least 96 tokens; prompts may be longer than it).
   */
  overflow?: "roll" | "stop";
  /** Texts that end the answer and are not part of it. */
  stop?: string[];
  /**
   * Ends a running answer, which then resolves with what there is and `stopReason: "cancelled"`; a request that still
   * waits for its turn is rejected with E_CANCELLED.
   */
  signal?: AbortSignal;
  /** Go on after the end-of-text token (benchmarks). */
  ignoreEos?: boolean;
  /**
   * Tokens to guess from the context and verify in one pass over the weights; the text is the same. 0 = none. Default: 7
   * where weights are streamed, none elsewhere.
   */
  drafts?: number;
  /** Measure where the time goes; costs a few percent. */
  profile?: boolean;
}

export interface ChatMessage {
  role: "system" | "user" | "assistant";
  content: string;
}

/** One step of the stream; `text` can be empty while a character or a stop text is incomplete. */
export interface Delta {
  text: string;
  id: number;
}

export type StopReason = "eos" | "stop" | "length" | "cancelled";

export interface Timings {
  /** From `load()` to ready. */
  loadMs: number;
  /** From when the engine begins with the request (others may be before it) to the first token. */
  firstTokenMs: number;
  prefillMs: number;
  prefillTokensPerSecond: number;
  decodeMs: number;
  decodeTokensPerSecond: number;
}

export interface MemoryUse {
  peakRssBytes: number | null;
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

export interface GenerateResult {
  text: string;
  tokens: number[];
  promptTokens: number;
  /** Of the prompt's tokens, those whose keys and values were still in the cache. */
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
  /** Milliseconds of the passes that gave all running answers their next token, and the tokens they gave. */
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
  /** Weight bytes read for each generated token. */
  bytesPerToken: number;
  memory: MemoryUse;
}

export interface Score {
  ids: number[];
  /** Position i: the distribution after ids[0..i]; natural logarithms over the whole vocabulary. */
  positions: { id: number; top: [id: number, logprob: number][] }[];
}

export interface Tokenization {
  ids: number[];
  /** The text of each id (bytes that are no complete character show as U+FFFD). */
  pieces: string[];
}

export interface Phi extends AsyncDisposable {
  readonly info: ModelInfo;
  /** Continues a text, or token ids, without any template. */
  generate(prompt: string | readonly number[], options?: GenerateOptions): Generation;
  /**
   * Continues several prompts side by side, as many as `parallel` at once: a pass over the weights gives all of them their
   * next token. The texts are those that the prompts get one by one.
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
export interface Session extends AsyncDisposable {
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
