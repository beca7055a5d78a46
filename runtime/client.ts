/** The caller's side: a `Phi` that speaks to an engine on another thread. Devices offer it as `load`. */

import type {
  ChatMessage,
  Delta,
  GenerateAllResult,
  GenerateOptions,
  GenerateResult,
  Generation,
  LoadOptions,
  MemoryUse,
  ModelInfo,
  Phi,
  Progress,
  Score,
  Session,
  SessionOptions,
  Status,
  Tokenization,
} from "./api.ts";
import { ClientSession, type SessionLink } from "./client-session.ts";
import { Signals, STOP_ALL } from "./compute/team.ts";
import type { Thread } from "./device.ts";
import { PiPhiError } from "./errors.ts";
import { givenOptions } from "./options.ts";
import type { FromEngine, Method, Methods, ToEngine } from "./protocol.ts";

/** The caller passed what no message can carry: a function, a symbol. */
function notPosted(error: unknown): PiPhiError {
  return new PiPhiError("E_USAGE", `${(error as Error).message} Pass plain data.`);
}

/** Loads `model` on the engine thread that the device has started. */
export function connect(thread: Thread, model: string, options: LoadOptions = {}): Promise<Phi> {
  const { onProgress, signal, ...rest } = givenOptions(options);
  return new Promise<Phi>((resolve, reject) => {
    const fail = (error: unknown) => {
      signal?.removeEventListener("abort", cancel);
      thread.terminate();
      reject(error);
    };
    const cancel = () =>
      fail(new PiPhiError("E_CANCELLED", "Loading was cancelled. Load the model again if you still need it."));
    if (signal?.aborted) return cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    const client = new Client(thread);
    const tell = (progress: Progress) => {
      try {
        onProgress?.(progress);
      } catch (error) {
        fail(error); // the caller's own, which nobody else would hand to the caller
      }
    };
    thread.onMessage((received) => {
      const message = received as FromEngine;
      if (message.type === "progress") tell(message.progress);
      else if (message.type === "error" && message.id === undefined) fail(PiPhiError.fromJSON(message.error));
      else if (message.type === "ready") {
        signal?.removeEventListener("abort", cancel);
        client.ready(message);
        resolve(client);
      } else client.hear(message);
    });
    thread.onFailure((error) => {
      fail(PiPhiError.from(error));
      client.lose(error);
    });
    try {
      thread.post({ type: "load", model, options: rest });
    } catch (error) {
      fail(notPosted(error));
    }
  });
}

type Ready = FromEngine & { type: "ready" };

/** A request that the engine has not answered yet. */
interface Pending {
  emit?(delta: Delta): void;
  resolve(value: unknown): void;
  reject(error: PiPhiError): void;
}

class Client implements Phi {
  info!: ModelInfo;
  /** How a pass that runs is reached, where memory is shared. */
  private signals: Signals | undefined;
  /** By number. */
  private readonly pending = new Map<number, Pending>();
  private last = 0;
  private closing: Promise<void> | undefined;
  private closed: () => void = () => {};
  private lost: PiPhiError | undefined;
  private readonly link: SessionLink = {
    request: (method, ask, signal, emit) => this.request(method, ask, signal, emit),
    stream: (start, signal) =>
      new Stream((emit, stop) => {
        const either = anyOf(signal, stop);
        return start(emit, either.signal).finally(either.release);
      }),
  };

  constructor(private readonly thread: Thread) {}

  ready({ info, signals }: Ready): void {
    this.info = info;
    if (signals) this.signals = new Signals(signals);
    this.thread.keepAlive?.(false);
  }

  hear(message: FromEngine): void {
    if (message.type === "delta") this.pending.get(message.id)?.emit?.(message.delta);
    else if (message.type === "result") this.settle(message.id)?.resolve(message.value);
    else if (message.type === "error" && message.id !== undefined) {
      this.settle(message.id)?.reject(PiPhiError.fromJSON(message.error));
    } else if (message.type === "closed") this.closed();
  }

  /** The engine's thread died. */
  lose(error: Error): void {
    this.lost = new PiPhiError("E_ENGINE", `The engine stopped: ${error.message}. Load the model again.`);
    for (const id of [...this.pending.keys()]) this.settle(id)?.reject(this.lost);
    this.closed();
  }

  generate(prompt: string | readonly number[], given?: GenerateOptions): Generation {
    const { signal, ...options } = givenOptions(given);
    return this.link.stream((emit, stop) => this.request("generate", { prompt, options }, stop, emit), signal);
  }

  async generateAll(
    prompts: readonly (string | readonly number[])[],
    given?: GenerateOptions,
  ): Promise<GenerateAllResult> {
    const { signal, ...options } = givenOptions(given);
    return this.request("generateAll", { prompts, options }, signal);
  }

  chat(messages: readonly ChatMessage[], given?: GenerateOptions): Generation {
    const { signal, ...options } = givenOptions(given);
    return this.link.stream((emit, stop) => this.request("chat", { messages, options }, stop, emit), signal);
  }

  async session(given?: SessionOptions): Promise<Session> {
    const { prefix = "", signal } = givenOptions(given);
    return new ClientSession(this.link, await this.request("openSession", { prefix }, signal));
  }

  async restore(from: string | Uint8Array, given?: { signal?: AbortSignal }): Promise<Session> {
    const { signal } = givenOptions(given);
    return new ClientSession(this.link, await this.request("restoreSession", { from }, signal));
  }

  async score(input: string | readonly number[], given?: { top?: number; signal?: AbortSignal }): Promise<Score> {
    const { top = 10, signal } = givenOptions(given);
    return this.request("score", { input, top }, signal);
  }

  tokenize(text: string): Promise<Tokenization> {
    return this.request("tokenize", { text });
  }

  detokenize(ids: readonly number[]): Promise<string> {
    return this.request("detokenize", { ids });
  }

  bandwidth(): Promise<number> {
    return this.request("bandwidth", {});
  }

  memory(): Promise<MemoryUse> {
    return this.request("memory", {});
  }

  status(): Promise<Status> {
    return this.request("status", {});
  }

  close(): Promise<void> {
    this.closing ??= this.finish();
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async finish(): Promise<void> {
    if (!this.lost) {
      const closed = new Promise<void>((resolve) => (this.closed = resolve));
      this.thread.keepAlive?.(true);
      this.post({ type: "close" });
      this.signals?.requestStop(STOP_ALL);
      await closed;
    }
    this.thread.terminate();
  }

  private async request<M extends Method>(
    method: M,
    ask: Methods[M]["ask"],
    signal?: AbortSignal,
    emit?: (delta: Delta) => void,
  ): Promise<Methods[M]["answer"]> {
    if (this.closing) throw new PiPhiError("E_CLOSED", "The model was closed. Load it again.");
    if (this.lost) throw this.lost;
    if (signal?.aborted)
      throw new PiPhiError("E_CANCELLED", "The request was cancelled. Send it again if you still need it.");
    const id = ++this.last;
    const answer = new Promise<Methods[M]["answer"]>((resolve, reject) => {
      this.pending.set(id, { emit, resolve: resolve as (value: unknown) => void, reject });
    });
    const cancel = () => this.cancel(id);
    signal?.addEventListener("abort", cancel, { once: true });
    this.thread.keepAlive?.(true);
    try {
      this.post({ type: "request", id, method, ask } as ToEngine);
    } catch (error) {
      this.settle(id)?.reject(notPosted(error));
    }
    try {
      return await answer;
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
  }

  private cancel(id: number): void {
    if (!this.pending.has(id)) return;
    this.post({ type: "cancel", id });
    // A pass for others, too, goes on to its end: to stop it would cost them its time.
    if (this.signals?.alone === id) this.signals.requestStop(id);
  }

  private settle(id: number): Pending | undefined {
    const one = this.pending.get(id);
    this.pending.delete(id);
    if (this.pending.size === 0 && !this.closing) this.thread.keepAlive?.(false);
    return one;
  }

  private post(message: ToEngine): void {
    this.thread.post(message);
    this.signals?.announce();
  }
}

/** Deltas as they come, for each loop over them, and the result at the end. Leaving a loop early cancels the generation. */
class Stream implements Generation {
  private readonly deltas: Delta[] = [];
  private readonly result: Promise<GenerateResult>;
  private readonly stop = new AbortController();
  private settled = false;
  /** Those that wait for the next delta. */
  private waiting: (() => void)[] = [];

  constructor(start: (emit: (delta: Delta) => void, stop: AbortSignal) => Promise<GenerateResult>) {
    const emit = (delta: Delta) => {
      this.deltas.push(delta);
      this.wake();
    };
    this.result = start(emit, this.stop.signal).finally(() => {
      this.settled = true;
      this.wake();
    });
    this.result.catch(() => {}); // seen by whoever iterates or awaits
  }

  private wake(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  // biome-ignore lint/suspicious/noThenProperty: a Generation can be awaited for its result
  then<A = GenerateResult, B = never>(
    fulfilled?: ((value: GenerateResult) => A | PromiseLike<A>) | null,
    rejected?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): Promise<A | B> {
    return this.result.then(fulfilled, rejected);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Delta, void, undefined> {
    try {
      for (let next = 0; ; ) {
        if (next < this.deltas.length) yield this.deltas[next++];
        else if (this.settled) break;
        else await new Promise<void>((resolve) => this.waiting.push(resolve));
      }
      await this.result;
    } finally {
      if (!this.settled) this.stop.abort();
    }
  }
}

/** Fires with either; `release` lets go of a caller's signal, which may outlive many generations. */
function anyOf(signal: AbortSignal | undefined, other: AbortSignal): { signal: AbortSignal; release: () => void } {
  if (!signal) return { signal: other, release: () => {} };
  const both = new AbortController();
  const abort = () => both.abort();
  for (const each of [signal, other]) {
    if (each.aborted) abort();
    else each.addEventListener("abort", abort, { once: true });
  }
  return { signal: both.signal, release: () => signal.removeEventListener("abort", abort) };
}
