/** A library that answers from a script, and a process that only exists in memory. */

import { PassThrough, Readable, Writable } from "node:stream";
import { homeOf } from "../../devices/home/open.ts";
import type {
  ChatMessage,
  Delta,
  Diagnosis,
  Estimate,
  GenerateOptions,
  GenerateResult,
  Generation,
  Inspection,
  LoadOptions,
  MemoryUse,
  Phi,
  Session,
  StopReason,
} from "../../devices/node/index.ts";
import { TARGETS } from "../../devices/profiles/profiles.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import type { Understanding } from "../../runtime/home/types.ts";
import type { UnderstandOptions } from "../../runtime/home/understand.ts";
import type { Api, Environment, HomeApi } from "../../tools/context.ts";
import { main } from "../../tools/main.ts";

const CONFIG = {
  hiddenSize: 64,
  intermediateSize: 256,
  layers: 4,
  heads: 4,
  headDim: 16,
  rotaryDim: 8,
  ropeBase: 10_000,
  layerNormEpsilon: 1e-5,
  contextLength: 256,
  vocabSize: 512,
};

const MEMORY = { peakRssBytes: 81_200_000, mode: "mapped", pinnedBytes: 1_234_567, streamedBytesPerToken: 0 } as const;

export interface Call {
  method: string;
  input: unknown;
  options: Record<string, unknown>;
}

export interface Script {
  /** Changes to the memory figures. */
  memory?: Partial<MemoryUse>;
  /** The deltas of every answer. */
  deltas?: string[];
  contextLength?: number;
  /** Awaited before each delta. */
  onDelta?: (index: number) => void | Promise<void>;
  /** Called when several prompts are answered together. */
  onTogether?: () => void;
  /** Thrown by `load`. */
  loadError?: unknown;
  estimate?: Partial<Estimate>;
  /** Thrown after the deltas. */
  answerError?: unknown;
  stopReason?: StopReason;
  cachedTokens?: number;
  rolledTokens?: number;
  /** The note of every session that is restored. */
  note?: string;
  /** Thrown where a session is saved, and restored. */
  saveError?: unknown;
  restoreError?: unknown;
  /** Take from the cache what a prompt of ids shares with the one before. */
  reusesPrefix?: boolean;
  /** Prompts of more messages (or characters) than this are too long. */
  longestPrompt?: number;
  /** What a sentence means, instead of what the model says; `calls` has each sentence as "understand". */
  understand?: (text: string, options: UnderstandOptions) => Partial<Understanding>;
  duringLoad?: (options: LoadOptions) => void | Promise<void>;
}

function timings(decodeTokensPerSecond: number) {
  return {
    loadMs: 12.3,
    firstTokenMs: 34,
    prefillMs: 34,
    prefillTokensPerSecond: decodeTokensPerSecond * 10,
    decodeMs: 1500,
    decodeTokensPerSecond,
  };
}

const INSPECTION: Inspection = {
  name: "ho\u001b[31mme",
  path: "",
  architecture: "phi2",
  quantization: "Q8_0",
  parameters: 1_000_000,
  fileBytes: 1_234_567,
  config: CONFIG,
  tensors: [
    { name: "token_embd.weight", type: "Q8_0", shape: [64, 512], bytes: 34_816 },
    { name: "output.weight", type: "Q8_0", shape: [64, 512], bytes: 34_816 },
    { name: "output.bias", type: "F32", shape: [512], bytes: 2048 },
  ],
  vocabulary: { size: 512, merges: 255, eos: 0 },
  promptFormat: "instruct",
  prompt: { reason: "the file has no template", example: "Instruct: \u001b[2J\nOutput:", stops: ["\nUser:"] },
  shards: 1,
};

const DIAGNOSIS: Diagnosis = {
  checks: [
    { name: "processor", ok: true, value: "4 cores, SSE4.1" },
    { name: "swap", ok: false, value: "0 B", advice: "add 2 GB of swap" },
  ],
  kernels: [
    { name: "simd", ok: true, gigabytesPerSecond: 9.74 },
    { name: "relaxed", ok: false, gigabytesPerSecond: 0 },
  ],
};

const ESTIMATE: Estimate = {
  fits: true,
  mode: "streamed",
  layers: { pinned: 12, streamed: 20 },
  bytes: { weights: 600_000_000, kv: 86_000_000, scratch: 13_000_000, slots: 77_000_000, total: 776_000_000 },
  contextLength: 512,
  streamedBytesPerToken: 955_000_000,
  predictedTokensPerSecond: 0.914,
  predictedFrom: "pi-5: 11.59 GB/s of memory, 90 MB/s of sd",
};

/** `calls` lists what the commands asked of the library, in order. */
export function fakeApi(script: Script = {}): { api: Api; calls: Call[] } {
  const calls: Call[] = [];
  const rates = [50, 30, 10, 20];
  let answers = 0;

  let previous: readonly unknown[] = [];

  /** Tokens that a prompt has in common with the one before. */
  function sharedPrefix(prompt: string | readonly number[]): number {
    const ids = [...prompt];
    const different = ids.findIndex((id, i) => id !== previous[i]);
    previous = ids;
    return Math.max(0, different);
  }

  function answer(promptTokens: number, options: GenerateOptions, cachedTokens = script.cachedTokens ?? 0): Generation {
    const rate = rates[answers++ % rates.length];
    const pieces = options.ignoreEos
      ? Array<string>(options.maxTokens ?? 1).fill("x")
      : (script.deltas ?? [" On", "."]);
    let result: GenerateResult | undefined;
    const deltas = (async function* (): AsyncGenerator<Delta> {
      if (promptTokens > (script.longestPrompt ?? Number.POSITIVE_INFINITY)) {
        throw new PiPhiError("E_PROMPT_TOO_LONG", "The prompt does not fit.");
      }
      let text = "";
      const tokens: number[] = [];
      for (const [index, piece] of pieces.entries()) {
        await script.onDelta?.(index);
        if (options.signal?.aborted) break;
        text += piece;
        tokens.push(100 + index);
        yield { text: piece, tokens: [{ id: 100 + index }] };
      }
      if (script.answerError) throw script.answerError;
      result = {
        text,
        tokens,
        promptTokens,
        cachedTokens,
        generatedTokens: tokens.length,
        usage: { promptTokens, cachedTokens, generatedTokens: tokens.length, queueMs: 0 },
        rolledTokens: script.rolledTokens,
        stopReason: options.signal?.aborted ? "cancelled" : (script.stopReason ?? "eos"),
        timings: timings(rate),
      };
    })();
    const drain = async () => {
      for await (const _ of deltas);
      return result!;
    };
    // biome-ignore lint/suspicious/noThenProperty: a Generation can be awaited for its result
    return { [Symbol.asyncIterator]: () => deltas, then: (resolve, reject) => drain().then(resolve, reject) };
  }

  const session = (note: string): Session => ({
    prefix: "",
    note,
    generate: (input, options) => phi.generate(input, options),
    chat: (messages, options) => phi.chat(messages, options),
    tokens: async () => [],
    async save(path, options = {}) {
      calls.push({ method: "save", input: path, options: { ...options } });
      if (script.saveError) throw script.saveError;
      return 168_000_000;
    },
    export: async () => new Uint8Array(),
    async close() {
      calls.push({ method: "closeSession", input: undefined, options: {} });
    },
    [Symbol.asyncDispose]: async () => undefined,
  });

  const phi: Phi = {
    info: {
      name: "home",
      architecture: "phi2",
      quantization: "Q8_0",
      parameters: 1_000_000,
      fileBytes: 1_234_567,
      config: CONFIG,
      contextLength: script.contextLength ?? 256,
      kv: "int8",
      kernel: "relaxed",
      threads: 2,
      sharing: "memory",
      bytesPerToken: 500_000_000,
      memory: MEMORY,
    },
    generate(input, options = {}) {
      calls.push({ method: "generate", input, options: { ...options } });
      return answer(input.length, options, script.reusesPrefix ? sharedPrefix(input) : undefined);
    },
    chat(messages: readonly ChatMessage[], options = {}) {
      calls.push({ method: "chat", input: messages, options: { ...options } });
      return answer(messages.length, options);
    },
    async score(input, options = {}) {
      calls.push({ method: "score", input, options: { ...options } });
      const ids = typeof input === "string" ? [7, 8] : [...input];
      const top: [number, number][] = [
        [5, -0.25],
        [6, -1.5],
      ];
      const usage = { promptTokens: ids.length, cachedTokens: 0, generatedTokens: 0, queueMs: 0 };
      return { ids, positions: ids.map((id) => ({ id, top: top.slice(0, options.top) })), usage };
    },
    async session(options = {}) {
      calls.push({ method: "session", input: undefined, options: { ...options } });
      return session("");
    },
    async restore(from, options = {}) {
      calls.push({ method: "restore", input: from, options: { ...options } });
      if (script.restoreError) throw script.restoreError;
      return session(script.note ?? "");
    },
    tokenize: async (text) => ({ ids: [...text].map((_, i) => i), pieces: [...text] }),
    detokenize: async (ids) => ids.map((id) => (id === 5 ? "\n" : ` t${id}`)).join(""),
    bandwidth: async () => 40e9,
    async generateAll(prompts, options = {}) {
      calls.push({ method: "generateAll", input: prompts, options: { ...options } });
      script.onTogether?.();
      return { results: [], decodeMs: 100, decodedTokens: 16 };
    },
    memory: async () => ({ ...MEMORY, ...script.memory }),
    status: async () => ({ running: 0, waiting: 0, parallel: 1, queue: 64, cachedPrefixes: 0, cachedBytes: 0 }),
    async close() {
      calls.push({ method: "close", input: undefined, options: {} });
    },
    [Symbol.asyncDispose]: async () => undefined,
  };

  const api: Api = {
    async load(model, options = {}) {
      calls.push({ method: "load", input: model, options: { ...options } });
      await script.duringLoad?.(options);
      if (script.loadError) throw script.loadError;
      return phi;
    },
    async tokenize(text, model) {
      calls.push({ method: "tokenize", input: text, options: { model } });
      return { ids: [...text].map((_, i) => i), pieces: [...text] };
    },
    async inspect(path = "/models/home.gguf") {
      calls.push({ method: "inspect", input: path, options: {} });
      return { ...INSPECTION, path };
    },
    diagnose: async () => DIAGNOSIS,
    async packFile(input, output, options = {}) {
      calls.push({ method: "packFile", input, options: { ...options, output } });
      if (script.loadError) throw script.loadError;
      return 1_636_958_208;
    },
    async checkPack(input, options = {}) {
      calls.push({ method: "checkPack", input, options: { ...options } });
      if (script.loadError) throw script.loadError;
    },
    async estimate(model, options = {}) {
      calls.push({ method: "estimate", input: model, options: { ...options } });
      return { ...ESTIMATE, ...script.estimate };
    },
    async estimateOn(device, model, options = {}) {
      calls.push({ method: "estimateOn", input: model, options: { ...options, device } });
      const small = device === "pi-zero";
      const where = {
        device,
        deviceName: device.toUpperCase(),
        model: model ?? "Phi-2",
        ramBytes: small ? 2 ** 29 : 2 ** 32,
      };
      const remedy = { fits: false, predictedTokensPerSecond: null, predictedFrom: null, remedy: "Free 120 MiB more." };
      return { ...where, threads: 4, ...ESTIMATE, ...(small ? remedy : {}), ...script.estimate };
    },
    DEVICE_IDS: ["pi", "pi-4gb", "pi-zero"],
    EMBEDDED_MODEL: "embedded.gguf",
    TARGETS: TARGETS.slice(0, 2).map((target, i) => ({ ...target, id: ["pi-zero", "pi-4gb"][i] })),
  };
  return { api, calls };
}

/** The real library of houses, with a reader that answers from the script. */
async function fakeHome(script: Script, { api, calls }: ReturnType<typeof fakeApi>): Promise<HomeApi> {
  const real = await import("../../devices/node/home/index.ts");
  const read = async (text: string, options: UnderstandOptions): Promise<Understanding> => {
    const { house: _house, phi: _phi, signal: _signal, ...rest } = options;
    calls.push({ method: "understand", input: text, options: rest });
    return { text, intents: [], confidence: 0.987, ms: 12.3, ...script.understand?.(text, options) };
  };
  return {
    ...real,
    async openHome({ house, homeAssistant }) {
      const place = homeAssistant ? await real.followHomeAssistant(homeAssistant) : real.readHouse(house!);
      return homeOf({ house: place, phi: await api.load(), read });
    },
  };
}

/** Collects what is written; `fail` makes every later write fail with this code. */
export class Screen extends Writable {
  text = "";
  fail: string | undefined;

  constructor(readonly isTTY = false) {
    super({ decodeStrings: false });
  }

  override _write(chunk: string | Buffer, _encoding: string, done: (error?: Error) => void): void {
    if (this.fail) {
      done(Object.assign(new Error(`write ${this.fail}`), { code: this.fail }));
      return;
    }
    this.text += String(chunk);
    done();
  }
}

export interface Setting extends Script {
  /** Text that is piped in; undefined = a terminal on which nobody types. */
  stdin?: string | Readable;
  env?: Environment;
  tty?: boolean;
  stdout?: Screen;
  interrupt?: AbortController;
}

/** Runs one command line; `stdout`/`stderr` are what it wrote. */
export async function piphi(args: string[], setting: Setting = {}) {
  const fake = fakeApi(setting);
  const { api, calls } = fake;
  const stdout = setting.stdout ?? new Screen(setting.tty);
  const stderr = new Screen(setting.tty);
  const terminal = Object.assign(new PassThrough(), { isTTY: true });
  const piped = typeof setting.stdin === "string" ? Readable.from([Buffer.from(setting.stdin)]) : setting.stdin;
  const exits: number[] = [];
  const code = await main(args, {
    stdin: piped ?? terminal,
    stdout,
    stderr,
    env: setting.env ?? {},
    interrupt: (setting.interrupt ?? new AbortController()).signal,
    exit: (status) => exits.push(status),
    api: async () => api,
    home: () => fakeHome(setting, fake),
  });
  const call = (method: string) => calls.find((one) => one.method === method);
  return { code, stdout: stdout.text, stderr: stderr.text, calls, call, exits };
}

export const notFound = new PiPhiError("E_NOT_FOUND", "There is no file x.gguf.\nCheck the path.", { path: "x.gguf" });
