/**
 * The engine: a loaded model on a thread of its own, so that it never runs where the user is waited for.
 * It answers one request after another; `client.ts` is its other end.
 */

import type {
  ChatMessage,
  Delta,
  GenerateResult,
  LoadOptions,
  MemoryUse,
  ModelInfo,
  Progress,
  Score,
  Tokenization,
} from "./api.ts";
import { allocateMemory, chooseKernels, type KernelChoice } from "./compute/kernels.ts";
import { Member, type Membership } from "./compute/member.ts";
import { reportLoss } from "./compute/team.ts";
import type { Device, Thread } from "./device.ts";
import { PiPhiError } from "./errors.ts";
import { type EngineGenerateOptions, generate, promptTooLong } from "./generate.ts";
import { Sequence } from "./memory/kvcache.ts";
import { type Layout, plan } from "./memory/plan.ts";
import { writeRopeTable } from "./memory/rope.ts";
import { planOptions } from "./options.ts";
import { encodeParts, type PromptFormat, promptFormat } from "./text/prompt.ts";
import { logSoftmaxTop } from "./text/sampler.ts";
import { createTokenizer, type Tokenizer } from "./text/tokenizer.ts";
import { loadVectors, planLoad } from "./weights/load.ts";
import { type Manifest, readManifest } from "./weights/manifest.ts";
import { promptMetadata, vocabularyOf } from "./weights/vocabulary.ts";

/** Options that can cross to another thread. */
export type EngineLoadOptions = Omit<LoadOptions, "onProgress" | "signal">;

/** What remains of the manifest, whose vocabulary and merges are not needed any more. */
type Description = Pick<Manifest, "name" | "quantization" | "parameters" | "fileBytes">;

export class Engine {
  private readonly sequence: Sequence;
  /** Set where a cancel cannot reach the team through shared memory. */
  cancelled = false;

  private constructor(
    private readonly device: Device,
    private readonly description: Description,
    private readonly tokenizer: Tokenizer,
    private readonly format: PromptFormat,
    private readonly layout: Layout,
    readonly memory: WebAssembly.Memory,
    private readonly choice: KernelChoice,
    private readonly leader: Member,
    private readonly threads: readonly Thread[],
    private readonly loadMs: number,
  ) {
    this.sequence = new Sequence(leader, layout, memory.buffer);
  }

  /** Opens, plans, and loads; throws every error that a bad file, option or machine can cause. */
  static async load(
    device: Device,
    model: string,
    options: EngineLoadOptions,
    onProgress: (progress: Progress) => void,
  ): Promise<Engine> {
    const start = performance.now();
    const manifest = readManifest((name) => device.open(name), model);
    const threads: Thread[] = [];
    try {
      const tokenizer = createTokenizer(vocabularyOf(manifest.metadata));
      const layout = plan(manifest, planOptions(device, manifest, options));
      const choice = await chooseKernels(device, options.kernel);
      const memory = allocateMemory(layout.totalBytes, device.sharedMemory);
      writeRopeTable(layout, memory.buffer);
      const loadPlan = planLoad(manifest, layout);
      const member = (index: number): Membership => ({ memory, choice, layout, loadPlan, index });
      for (let index = 1; index < layout.threads; index++) threads.push(device.startTeamWorker());
      const joined = Promise.all(threads.map((thread, i) => join(thread, member(i + 1))));
      joined.catch(() => {}); // seen below, unless an error comes first
      const leader = new Member(device, member(0));
      loadVectors(manifest, layout, memory.buffer);
      await joined;
      const { totalBytes } = loadPlan;
      const report = (loadedBytes: number) => onProgress({ phase: "weights", loadedBytes, totalBytes });
      leader.load(report);
      report(totalBytes);
      const format = promptFormat(tokenizer, promptMetadata(manifest.metadata));
      const loadMs = performance.now() - start;
      const { name, quantization, parameters, fileBytes } = manifest;
      const description = { name, quantization, parameters, fileBytes };
      return new Engine(device, description, tokenizer, format, layout, memory, choice, leader, threads, loadMs);
    } catch (error) {
      for (const thread of threads) thread.terminate();
      throw error;
    } finally {
      manifest.close();
    }
  }

  /** Address of the team's control block, for cancelling from other threads. */
  get control(): number {
    return this.layout.control;
  }

  get info(): ModelInfo {
    const { description, layout } = this;
    return {
      ...description,
      architecture: "phi2",
      config: layout.config,
      contextLength: layout.contextLength,
      kv: layout.kv,
      kernel: this.choice.name,
      threads: layout.threads,
      bytesPerToken: layout.bytesPerToken,
      memory: this.memoryUse(),
    };
  }

  memoryUse(): MemoryUse {
    const peakRssBytes = this.device.peakBytes() ?? null;
    return { peakRssBytes, mode: "resident", pinnedBytes: this.layout.bytes.weights, streamedBytesPerToken: 0 };
  }

  async generate(
    prompt: string | readonly number[],
    options: EngineGenerateOptions,
    emit: (delta: Delta) => void,
  ): Promise<GenerateResult> {
    return this.continue(this.idsOf(prompt), options, emit);
  }

  async chat(
    messages: readonly ChatMessage[],
    options: EngineGenerateOptions,
    emit: (delta: Delta) => void,
  ): Promise<GenerateResult> {
    const ids = encodeParts(this.tokenizer, this.format.chat(messages));
    return this.continue(ids, { ...options, stop: [...this.format.stops, options.stop ?? []].flat() }, emit);
  }

  async score(input: string | readonly number[], top: number): Promise<Score> {
    const ids = this.idsOf(input);
    if (ids.length === 0) throw new PiPhiError("E_PROMPT_EMPTY", "There is nothing to score. Give a text or ids.");
    const { contextLength } = this.layout;
    if (ids.length > contextLength) throw promptTooLong("text", ids.length, contextLength);
    const positions: Score["positions"] = [];
    this.cancelled = false;
    this.sequence.rewind([]);
    const completed = await this.sequence.extend(ids, "all", this.pause, (rows) => {
      for (const logits of rows) positions.push({ id: ids[positions.length], top: logSoftmaxTop(logits, top) });
    });
    if (!completed) throw new PiPhiError("E_CANCELLED", "Scoring was cancelled.");
    return { ids, positions };
  }

  tokenize(text: string): Tokenization {
    if (typeof text !== "string") throw new PiPhiError("E_USAGE", `Give a text to tokenize, not ${typeof text}.`);
    const ids = this.tokenizer.encode(text);
    return { ids, pieces: this.tokenizer.pieces(ids) };
  }

  detokenize(ids: readonly number[]): string {
    this.checkIds(ids);
    return this.tokenizer.decode(ids);
  }

  close(): void {
    this.leader.dismiss();
    for (const thread of this.threads) thread.terminate();
  }

  private continue(
    ids: number[],
    options: EngineGenerateOptions,
    emit: (delta: Delta) => void,
  ): Promise<GenerateResult> {
    this.cancelled = false;
    const { sequence, tokenizer, loadMs, pause } = this;
    const profile = (on: boolean) => this.leader.profile(on);
    return generate(
      { sequence, tokenizer, loadMs, emit, pause, profile, contextLength: this.layout.contextLength },
      ids,
      options,
    );
  }

  private readonly pause = async () => {
    if (!this.device.sharedMemory) await letMessagesIn();
    return !this.cancelled;
  };

  private idsOf(input: string | readonly number[]): number[] {
    if (typeof input === "string") return encodeParts(this.tokenizer, [{ text: input, control: false }]);
    this.checkIds(input);
    return [...input];
  }

  private checkIds(ids: readonly number[]): void {
    if (!Array.isArray(ids))
      throw new PiPhiError("E_USAGE", `Give a text or an array of token ids, not ${typeof ids}.`);
    const vocabSize = this.layout.config.vocabSize;
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
