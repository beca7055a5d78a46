/**
 * The engine: a loaded model on a thread of its own, so that it never runs where the user is waited for.
 * It answers one request after another; `client.ts` is its other end.
 */

import type {
  ChatMessage,
  Delta,
  GenerateAllResult,
  GenerateResult,
  LoadOptions,
  MemoryUse,
  ModelInfo,
  Progress,
  Score,
  Tokenization,
} from "../api.ts";
import { Pool } from "../cache/pool.ts";
import { type Compute, Sequence } from "../cache/sequence.ts";
import { chooseKernels } from "../compute/builds.ts";
import { allocateMemory } from "../compute/instance.ts";
import type { KernelChoice } from "../compute/kernels.ts";
import { reportLoss, stopRequested } from "../compute/team.ts";
import type { Device, Thread } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import { denseOf, planOptions } from "../options.ts";
import { subjectOf } from "../plan/estimate.ts";
import type { Layout } from "../plan/layout.ts";
import { plan } from "../plan/plan.ts";
import { Residence } from "../residence/residence.ts";
import { Steward } from "../residence/steward.ts";
import { encodeParts, type PromptFormat, promptFormat } from "../text/prompt.ts";
import { logSoftmaxTop } from "../text/sampler.ts";
import { createTokenizer, type Tokenizer } from "../text/tokenizer.ts";
import { Identity } from "../weights/identity.ts";
import { type Model, openModel } from "../weights/model.ts";
import { matrixBytes } from "../weights/shape.ts";
import { promptMetadata, vocabularyOf } from "../weights/vocabulary.ts";
import { type EngineGenerateOptions, generate, promptTooLong } from "./answer.ts";
import { Member, type Membership } from "./member.ts";
import { type SessionState, Sessions } from "./sessions.ts";
import { generateTogether } from "./together.ts";

/** Options that can cross to another thread. */
export type EngineLoadOptions = Omit<LoadOptions, "onProgress" | "signal">;

/** What remains of the model's file, whose vocabulary and merges are not needed any more. */
type Description = Pick<Model, "name" | "quantization" | "parameters" | "fileBytes">;

/** Drafts verified at once where a pass over the weights is expensive: with the last token, two groups of four. */
const STREAMED_DRAFTS = 7;

/** The parts of a loaded model. */
interface Parts {
  device: Device;
  description: Description;
  tokenizer: Tokenizer;
  format: PromptFormat;
  layout: Layout;
  memory: WebAssembly.Memory;
  choice: KernelChoice;
  leader: Member;
  threads: readonly Thread[];
  residence: Residence;
  identity: Identity;
  /** Of the memory that may be used, what the layout leaves. */
  spareBytes: number;
  loadMs: number;
}

export class Engine {
  private readonly compute: Compute;
  private readonly pool: Pool;
  readonly sessions: Sessions;
  private readonly steward: Steward;
  /** Set where a cancel cannot reach the team through shared memory. */
  cancelled = false;

  private constructor(private readonly parts: Parts) {
    const { device, leader, layout, memory, residence } = parts;
    this.compute = { leader, layout, buffer: memory.buffer, fault: () => residence.fault() };
    const sequences = Array.from({ length: layout.sequences }, (_, i) => new Sequence(this.compute, i));
    this.pool = new Pool(sequences, parts.spareBytes);
    this.steward = new Steward(device, leader, residence, memory, this.pool);
    this.sessions = this.makeSessions();
  }

  /** Opens, plans, and loads; throws every error that a bad file, option or machine can cause. */
  static async load(
    device: Device,
    file: string,
    options: EngineLoadOptions,
    onProgress: (progress: Progress) => void,
  ): Promise<Engine> {
    const start = performance.now();
    const model = openModel((name) => device.open(name), file, denseOf(options));
    const threads: Thread[] = [];
    let residence: Residence | undefined;
    try {
      const tokenizer = createTokenizer(vocabularyOf(model.metadata, model.config.vocabSize));
      const format = promptFormat(tokenizer, promptMetadata(model.metadata));
      const asked = planOptions(device, model.config, model.weights.pack !== undefined, options);
      const layout = plan(subjectOf(model), asked);
      const choice = await chooseKernels(device, options.kernel);
      const memory = allocateMemory(layout.totalBytes, device.sharedMemory);
      residence = new Residence(device, model, layout, memory, options.share ?? false);
      const { loadPlan } = residence;
      const member = (index: number): Membership => ({ memory, choice, layout, loadPlan, index });
      for (let index = 1; index < layout.threads; index++) threads.push(device.startWorker("team"));
      const joined = Promise.all(threads.map((thread, i) => join(thread, member(i + 1))));
      joined.catch(() => {}); // seen below, unless an error comes first
      const leader = new Member(device, member(0), residence.file);
      await joined;
      await residence.fill(leader, onProgress);
      const { name, quantization, parameters, fileBytes } = model;
      const description = { name, quantization, parameters, fileBytes };
      const loadMs = performance.now() - start;
      const identity = new Identity(model, denseOf(options));
      const spareBytes = (asked.ramBytes ?? Number.POSITIVE_INFINITY) - layout.totalBytes;
      const made = { device, description, tokenizer, format, layout, memory, choice, leader, threads, residence };
      return new Engine({ ...made, identity, spareBytes, loadMs });
    } catch (error) {
      for (const thread of threads) thread.terminate();
      residence?.close();
      throw error;
    } finally {
      model.close();
    }
  }

  get memory(): WebAssembly.Memory {
    return this.parts.memory;
  }

  /** Address of the team's control block, for cancelling from other threads. */
  get control(): number {
    return this.parts.layout.control;
  }

  get info(): ModelInfo {
    const { description, layout, choice } = this.parts;
    return {
      ...description,
      architecture: "phi2",
      config: layout.config,
      contextLength: layout.contextLength,
      kv: layout.kv,
      kernel: choice.name,
      threads: layout.threads,
      bytesPerToken: matrixBytes(layout.shape),
      memory: this.memoryUse(),
    };
  }

  memoryUse(): MemoryUse {
    const { device, layout, residence, leader } = this.parts;
    const { mode, notMapped } = residence;
    const pressure = this.steward.report();
    return {
      peakRssBytes: device.peakBytes() ?? null,
      mode,
      pinnedBytes: layout.bytes.weights - this.steward.releasedBytes,
      streamedBytesPerToken: leader.weights.streamedBytes,
      ...(notMapped !== undefined && { notMapped }),
      ...(pressure && { pressure }),
    };
  }

  async generate(
    prompt: string | readonly number[],
    options: EngineGenerateOptions,
    emit: (delta: Delta) => void,
    session?: number,
  ): Promise<GenerateResult> {
    const state = session === undefined ? undefined : this.sessions.get(session);
    return this.continue(this.idsOf(prompt, state?.prefix), options, emit, state);
  }

  async chat(
    messages: readonly ChatMessage[],
    options: EngineGenerateOptions,
    emit: (delta: Delta) => void,
    session?: number,
  ): Promise<GenerateResult> {
    const { tokenizer, format } = this.parts;
    const state = session === undefined ? undefined : this.sessions.get(session);
    const all = state?.prefix ? [{ role: "system", content: state.prefix } as const, ...messages] : messages;
    const stop = [...format.stops, options.stop ?? []].flat();
    return this.continue(encodeParts(tokenizer, format.chat(all)), { ...options, stop }, emit, state);
  }

  /** Answers several prompts side by side. */
  async generateAll(
    prompts: readonly (string | readonly number[])[],
    options: EngineGenerateOptions,
  ): Promise<GenerateAllResult> {
    if (!Array.isArray(prompts)) throw new PiPhiError("E_USAGE", `Give an array of prompts, not ${typeof prompts}.`);
    const ids = prompts.map((prompt) => this.idsOf(prompt));
    this.begin();
    const { compute, pause } = this;
    const sequences = this.pool.takeSeveral(ids.length);
    const { tokenizer, loadMs, layout } = this.parts;
    const { contextLength, logitsRows: mostRows } = layout;
    const shared = { compute, sequences, tokenizer, loadMs, pause, contextLength, mostRows, draftTokens: 0 };
    return generateTogether(shared, ids, options);
  }

  async score(input: string | readonly number[], top: number): Promise<Score> {
    const ids = this.idsOf(input);
    if (ids.length === 0) throw new PiPhiError("E_PROMPT_EMPTY", "There is nothing to score. Give a text or ids.");
    const { contextLength } = this.parts.layout;
    if (ids.length > contextLength) throw promptTooLong("text", ids.length, contextLength);
    const positions: Score["positions"] = [];
    this.begin();
    const sequence = this.pool.take();
    sequence.rewind([]);
    const completed = await sequence.extend(ids, "all", this.pause, (rows) => {
      for (const logits of rows) positions.push({ id: ids[positions.length], top: logSoftmaxTop(logits, top) });
    });
    if (!completed) throw new PiPhiError("E_CANCELLED", "Scoring was cancelled.");
    return { ids, positions };
  }

  /** Bytes a second at which the team can read the weights in memory. */
  bandwidth(): number {
    this.begin();
    return this.parts.leader.probe();
  }

  tokenize(text: string): Tokenization {
    if (typeof text !== "string") throw new PiPhiError("E_USAGE", `Give a text to tokenize, not ${typeof text}.`);
    const ids = this.parts.tokenizer.encode(text);
    return { ids, pieces: this.parts.tokenizer.pieces(ids) };
  }

  detokenize(ids: readonly number[]): string {
    this.checkIds(ids);
    return this.parts.tokenizer.decode(ids);
  }

  close(): void {
    const { leader, threads, residence } = this.parts;
    this.steward.close();
    leader.dismiss();
    for (const thread of threads) thread.terminate();
    residence.close();
  }

  private begin(): void {
    this.cancelled = false;
    this.parts.residence.check();
    this.parts.leader.weights.retry();
  }

  private continue(
    ids: number[],
    options: EngineGenerateOptions,
    emit: (delta: Delta) => void,
    session: SessionState | undefined,
  ): Promise<GenerateResult> {
    this.begin();
    const { pause } = this;
    const sequence = this.pool.take(session?.tenant);
    const exact = session === undefined;
    const { tokenizer, loadMs, leader, layout } = this.parts;
    const { contextLength, logitsRows: mostRows, mode } = layout;
    const draftTokens = mode === "streamed" ? STREAMED_DRAFTS : 0;
    const profile = (on: boolean) => leader.profile(on);
    const means = { sequence, exact, tokenizer, loadMs, emit, pause, profile };
    return generate({ ...means, contextLength, draftTokens, mostRows }, ids, options);
  }

  private readonly pause = async () => {
    if (!this.parts.device.sharedMemory) await letMessagesIn();
    return !this.cancelled;
  };

  private makeSessions(): Sessions {
    const { device, layout, memory, identity, description, tokenizer, format } = this.parts;
    const checkpoint = () => {
      if (!this.cancelled && !stopRequested(memory.buffer, layout.control)) return;
      throw new PiPhiError("E_CANCELLED", "The request was cancelled.");
    };
    return new Sessions({
      device,
      pool: this.pool,
      contextLength: layout.contextLength,
      vocabSize: layout.config.vocabSize,
      async target() {
        const modelHash = await identity.hash(memory.buffer, layout.vectors, checkpoint);
        return { model: description.name, modelHash, kv: layout.kv, contextLength: layout.contextLength };
      },
      opening: (prefix) => encodeParts(tokenizer, format.opening(prefix)),
      start: () => this.begin(),
      pause: this.pause,
      checkpoint,
    });
  }

  private idsOf(input: string | readonly number[], prefix = ""): number[] {
    const { tokenizer } = this.parts;
    const texts = [prefix, ...(typeof input === "string" ? [input] : [])].filter((text) => text !== "");
    const parts = texts.map((text) => ({ text, control: false }));
    if (typeof input === "string") return encodeParts(tokenizer, parts);
    this.checkIds(input);
    return prefix === "" ? [...input] : [...encodeParts(tokenizer, parts), ...input];
  }

  private checkIds(ids: readonly number[]): void {
    if (!Array.isArray(ids))
      throw new PiPhiError("E_USAGE", `Give a text or an array of token ids, not ${typeof ids}.`);
    const vocabSize = this.parts.layout.config.vocabSize;
    const bad = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabSize);
    if (bad === undefined) return;
    throw new PiPhiError("E_USAGE", `${bad} is no token id: the vocabulary has ids 0 to ${vocabSize - 1}.`, {
      id: bad,
    });
  }
}

/** Resolves when a team worker follows its leader: one that leads is blocked, and would wait for it for ever. */
function join(thread: Thread, membership: Membership): Promise<void> {
  return new Promise((resolve, reject) => {
    thread.onMessage(() => resolve());
    thread.onFailure(({ message }) => {
      reportLoss(membership.memory.buffer, membership.layout.control);
      reject(
        new PiPhiError("E_ENGINE", `A thread could not be started (${message}). Use fewer threads, or free memory.`),
      );
    });
    thread.post(membership);
  });
}

/** Resolves in a task of its own, after those that wait. Browsers hold back a chain of timeouts by 4 ms each. */
function letMessagesIn(): Promise<void> {
  const { port1, port2 } = new MessageChannel();
  return new Promise((resolve) => {
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
