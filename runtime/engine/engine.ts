/**
 * The engine: a loaded model on a thread of its own, so that it never runs where the user is waited for. Requests come at any
 * time, many at once; schedule.ts runs them. `client.ts` is its other end.
 */

import type {
  ChatMessage,
  Delta,
  GenerateAllResult,
  GenerateResult,
  MemoryUse,
  ModelInfo,
  Progress,
  Score,
  Status,
} from "../api.ts";
import { Pool } from "../cache/pool.ts";
import { Sequence } from "../cache/sequence.ts";
import type { SessionTarget } from "../cache/session-file.ts";
import { Signals, STOP_ALL } from "../compute/team.ts";
import type { Device } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import { queueLimit } from "../options.ts";
import type { Layout } from "../plan/layout.ts";
import { Steward } from "../residence/steward.ts";
import { Answer } from "./answer.ts";
import { assemble, type EngineLoadOptions, type Parts } from "./assembly.ts";
import type { Language } from "./language.ts";
import { promptTooLong } from "./limits.ts";
import { Mail } from "./mail.ts";
import { Scoring } from "./reading.ts";
import { Schedule } from "./schedule.ts";
import { type SessionState, Sessions } from "./sessions.ts";
import { Warmth, warmIds } from "./warmth.ts";
import type { Pass } from "./work.ts";
import { type EngineGenerateOptions, isShaped } from "./writer.ts";

/** Drafts verified at once where a pass over the weights is expensive: with the last token, two groups of four. */
const STREAMED_DRAFTS = 7;
/** Of the memory that is left, what texts that belong to nobody any more may keep at most; and where nobody knows what is left. */
const MOST_KEPT_BYTES = 2 ** 30;
const BLIND_KEPT_BYTES = 2 ** 27;
/** Requests of callers on the engine's own thread have no number, and cannot be cancelled one by one. */
const NOBODYS = 0;

export class Engine {
  readonly sessions: Sessions;
  readonly language: Language;
  readonly mail: Mail;
  private readonly pool: Pool;
  private readonly steward: Steward;
  private readonly schedule: Schedule;
  /** How other threads reach it while it works. */
  readonly signals: Signals;
  private readonly warmth: Warmth;
  /** Requests that have not been answered yet. */
  private open = 0;
  private closing: Promise<void> | undefined;

  private constructor(
    private readonly parts: Parts,
    private readonly queue: number,
    warm: readonly number[][],
    options: EngineLoadOptions,
  ) {
    const { device, leader, layout, memory, residence, language, spareBytes } = parts;
    const { buffer } = memory;
    const caches = { layout, buffer, kernels: leader.kernels };
    const sequences = Array.from({ length: layout.sequences }, (_, i) => new Sequence(caches, i));
    this.language = language;
    const keptBytes = Number.isFinite(spareBytes) ? Math.min(spareBytes / 2, MOST_KEPT_BYTES) : BLIND_KEPT_BYTES;
    this.pool = new Pool(sequences, spareBytes, keptBytes);
    this.signals = Signals.create(device.sharedMemory);
    leader.team.signals = this.signals;
    this.mail = new Mail(device.sharedMemory ? this.signals : undefined);
    this.steward = new Steward(device, leader, residence, memory, this.pool);
    this.schedule = new Schedule({
      compute: {
        layout,
        buffer,
        forward: (ids, logitsFrom) => (parts.shards?.leader ?? leader).forward(ids, logitsFrom),
        fault: () => residence.fault(),
      },
      pool: this.pool,
      signals: this.signals,
      mail: () => this.mail.letIn(),
      prepare: () => this.prepare(),
      stopped: (request) => (request === STOP_ALL ? this.end(STOP_ALL, closed()) : this.cancel(request)),
      profile: (on) => leader.profile(on),
    });
    this.sessions = this.makeSessions();
    const { vocabSize } = layout.config;
    const kept = { files: device.kept, pool: this.pool, schedule: this.schedule, vocabSize };
    this.warmth = new Warmth({ ...kept, target: () => this.target() }, warm, options);
  }

  /** Opens, plans, and loads; throws every error that a bad file, option or machine can cause. */
  static async load(
    device: Device,
    file: string,
    options: EngineLoadOptions,
    onProgress: (progress: Progress) => void,
  ): Promise<Engine> {
    const queue = queueLimit(options);
    let ids: number[][] = [];
    const check = (language: Language, { contextLength }: Layout) => {
      ids = warmIds(options, language, contextLength);
    };
    const engine = new Engine(await assemble(device, file, options, check, onProgress), queue, ids, options);
    try {
      await engine.warmth.begin(onProgress);
    } catch (error) {
      await engine.close();
      throw error;
    }
    return engine;
  }

  get memory(): WebAssembly.Memory {
    return this.parts.memory;
  }

  get info(): ModelInfo {
    const { description, layout, choice, shards } = this.parts;
    return {
      ...description,
      architecture: "phi2",
      config: layout.config,
      contextLength: layout.contextLength,
      kv: layout.kv,
      kernel: choice.name,
      threads: layout.threads + (shards?.layouts.length ?? 0),
      sharing: shards ? "messages" : layout.threads > 1 ? "memory" : "none",
      memory: this.memoryUse(),
    };
  }

  memoryUse(): MemoryUse {
    const { device, layout, memory, residence, leader, shards } = this.parts;
    const { mode, notMapped } = residence;
    const others = (of: (one: Layout) => number) => (shards?.layouts ?? []).reduce((sum, one) => sum + of(one), 0);
    const pressure = this.steward.report();
    return {
      peakRssBytes: device.peakBytes() ?? memory.buffer.byteLength + others(({ totalBytes }) => totalBytes),
      mode: shards?.layouts.some((one) => one.mode === "streamed") ? "streamed" : mode,
      pinnedBytes: layout.bytes.weights + others(({ bytes }) => bytes.weights) - this.steward.releasedBytes,
      streamedBytesPerToken: leader.weights.streamedBytes + others((one) => one.streamedBytesPerToken),
      ...(notMapped !== undefined && { notMapped }),
      ...(pressure && { pressure }),
    };
  }

  status(): Status {
    const { sequences, aside, asideBytes } = this.pool.status();
    const { running } = this.schedule.load;
    return {
      running,
      waiting: Math.max(0, this.open - running),
      parallel: this.parts.layout.sequences,
      queue: this.queue,
      cachedPrefixes: sequences + aside,
      cachedBytes: asideBytes,
    };
  }

  generate(
    prompt: string | readonly number[],
    options: EngineGenerateOptions,
    emit: (delta: Delta) => void,
    session?: number,
    request = NOBODYS,
  ): Promise<GenerateResult> {
    const answer = async (state?: SessionState) => {
      return this.answer(request, this.language.idsOf(prompt, state?.prefix, options.special), options, emit, state);
    };
    return session === undefined ? this.serve(answer) : this.inTurn(request, session, answer);
  }

  chat(
    messages: readonly ChatMessage[],
    options: EngineGenerateOptions,
    emit: (delta: Delta) => void,
    session?: number,
    request = NOBODYS,
  ): Promise<GenerateResult> {
    const answer = async (state?: SessionState) => {
      const { language } = this;
      const format = await language.formatOf(options.template);
      const ends = options.formatStops ?? !isShaped(options);
      const stop = ends ? language.stops(options.stop, format) : options.stop;
      return this.answer(request, language.chatIds(messages, state?.prefix, format), { ...options, stop }, emit, state);
    };
    return session === undefined ? this.serve(answer) : this.inTurn(request, session, answer);
  }

  /** Answers several prompts side by side; throws before any begins where one cannot be answered. */
  generateAll(
    prompts: readonly (string | readonly number[])[],
    options: EngineGenerateOptions,
    request = NOBODYS,
  ): Promise<GenerateAllResult> {
    return this.serve(async () => {
      if (!Array.isArray(prompts)) throw new PiPhiError("E_USAGE", `Give an array of prompts, not ${typeof prompts}.`);
      const steps = new Map<number, number>();
      const onStep = ({ number, ms }: Pass) => void steps.set(number, ms);
      const answers = prompts.map((prompt) => {
        const constraint = this.language.constraint(options);
        const means = { ...this.answerMeans(), constraint, emit: () => {}, onStep };
        return new Answer(means, this.language.idsOf(prompt, "", options.special), options);
      });
      await Promise.all(answers.map((answer) => this.schedule.run(request, answer)));
      const results = answers.map(({ result }) => result);
      return {
        results,
        decodeMs: [...steps.values()].reduce((sum, ms) => sum + ms, 0),
        decodedTokens: results.reduce((sum, { generatedTokens }) => sum + Math.max(0, generatedTokens - 1), 0),
      };
    });
  }

  score(input: string | readonly number[], top: number, request = NOBODYS): Promise<Score> {
    return this.serve(async () => {
      const ids = this.language.idsOf(input);
      if (ids.length === 0) throw new PiPhiError("E_PROMPT_EMPTY", "There is nothing to score. Give a text or ids.");
      const { contextLength } = this.parts.layout;
      if (ids.length > contextLength) throw promptTooLong("text", ids.length, contextLength);
      const scoring = new Scoring(ids, top);
      await this.schedule.run(request, scoring);
      const { positions, queueMs } = scoring;
      return { ids, positions, usage: { promptTokens: ids.length, cachedTokens: 0, generatedTokens: 0, queueMs } };
    });
  }

  /** Bytes a second at which the team can read the weights in memory. */
  bandwidth(request = NOBODYS): Promise<number> {
    return this.serve(() => {
      return this.schedule.between(request, () => {
        this.prepare();
        return this.parts.leader.probe();
      });
    });
  }

  /**
   * Does what a request asks for. Rejects with E_BUSY where too many wait, and with E_CLOSED.
   */
  async serve<T>(work: () => Promise<T>): Promise<T> {
    if (this.closing) throw closed();
    if (this.open >= this.parts.layout.sequences + this.queue) throw this.busy();
    this.open++;
    this.warmth.wake();
    try {
      const answer = await work();
      this.parts.residence.check(); // what was read after the file had changed is no answer
      return answer;
    } finally {
      this.open--;
      if (this.open === 0 && !this.closing) this.warmth.rest();
    }
  }

  /** Serves a request to a session, after those that it was asked before. Rejects with what `serve` says. */
  inTurn<T>(request: number, session: number, work: (state: SessionState) => T | Promise<T>): Promise<T> {
    return this.serve(async () => this.sessions.inTurn(request, session, work));
  }

  /** Ends a request, or all, as soon as it can be. */
  cancel(request = STOP_ALL): void {
    this.end(
      request,
      new PiPhiError("E_CANCELLED", "The request was cancelled before it began. Send it again if you still need it."),
    );
  }

  /** Ends what runs, refuses what waits, and frees everything; at once where nothing runs. */
  close(): Promise<void> {
    if (this.closing) return this.closing;
    const { device, leader, threads, residence, memory, layout } = this.parts;
    const free = () => {
      this.steward.close();
      leader.dismiss();
      for (const thread of threads) thread.terminate();
      residence.close();
      // Now, and not when nothing refers to the memory any more.
      device.releasePages?.(memory, layout.kvCache, layout.totalBytes - layout.kvCache);
    };
    const { schedule, warmth } = this;
    this.end(STOP_ALL, closed());
    warmth.wake();
    if (schedule.idle && !warmth.keepsAll) free();
    else
      this.closing = schedule
        .rest()
        .then(() => residence.check()) // what was read from a file that changed is not kept
        .then(() => warmth.keep())
        .then(free, free);
    return (this.closing ??= Promise.resolve());
  }

  /** Ends a request that runs; one that waits gets the error. */
  private end(request: number, error: PiPhiError): void {
    this.sessions.cancel(request, error);
    this.schedule.cancel(request, error);
  }

  private prepare(): void {
    this.parts.residence.check();
    this.parts.leader.weights.retry();
  }

  private async answer(
    request: number,
    ids: number[],
    options: EngineGenerateOptions,
    emit: (delta: Delta) => void,
    session: SessionState | undefined,
  ): Promise<GenerateResult> {
    const constraint = this.language.constraint(options);
    const answer = new Answer({ ...this.answerMeans(), emit, tenant: session?.tenant, constraint }, ids, options);
    await this.schedule.run(request, answer);
    return answer.result;
  }

  private answerMeans() {
    const { loadMs, layout, language } = this.parts;
    const { contextLength, logitsRows: mostLogits, mode } = layout;
    const { tokenizer, table } = language;
    const draftTokens = mode === "streamed" ? STREAMED_DRAFTS : 0;
    return { tokenizer, table, contextLength, draftTokens, mostLogits, loadMs };
  }

  private busy(): PiPhiError {
    const waiting = this.open - this.parts.layout.sequences;
    return new PiPhiError(
      "E_BUSY",
      `${waiting} requests wait already, and the queue has room for ${this.queue}. Try again later, or load the model with a longer queue.`,
      { waiting, queue: this.queue },
    );
  }

  /** What saved caches are compared with; takes seconds a gigabyte at the first time, where the model is no pack. */
  private async target(): Promise<SessionTarget> {
    const { layout, memory, identity, description } = this.parts;
    const modelHash = await identity.hash(memory.buffer, layout.vectors, this.schedule.checkpoint);
    return { model: description.name, modelHash, kv: layout.kv, contextLength: layout.contextLength };
  }

  private makeSessions(): Sessions {
    const { device, layout, language } = this.parts;
    const { schedule } = this;
    return new Sessions({
      device,
      pool: this.pool,
      schedule,
      contextLength: layout.contextLength,
      vocabSize: layout.config.vocabSize,
      target: () => this.target(),
      opening: (prefix) => language.opening(prefix),
    });
  }
}

function closed(): PiPhiError {
  return new PiPhiError("E_CLOSED", "The model was closed. Load it again.");
}
