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
  Tokenization,
} from "./api.ts";
import { ClientSession, type SessionLink } from "./client-session.ts";
import { requestStop } from "./compute/team.ts";
import type { Thread } from "./device.ts";
import { PiPhiError } from "./errors.ts";
import type { FromEngine, Method, Methods, ToEngine } from "./protocol.ts";

/** The caller passed what no message can carry: a function, a symbol. */
function notPosted(error: unknown): PiPhiError {
  return new PiPhiError("E_USAGE", `${(error as Error).message} Pass plain data.`);
}

/** Loads `model` on the engine thread that the device has started. */
export function connect(thread: Thread, model: string, options: LoadOptions = {}): Promise<Phi> {
  const { onProgress, signal, ...rest } = options;
  return new Promise<Phi>((resolve, reject) => {
    const fail = (error: unknown) => {
      signal?.removeEventListener("abort", cancel);
      thread.terminate();
      reject(error);
    };
    const cancel = () => fail(new PiPhiError("E_CANCELLED", "Loading was cancelled."));
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
    client.listen((message) => {
      if (message.type === "progress") tell(message.progress);
      else if (message.type === "error") fail(PiPhiError.fromJSON(message.error));
      else if (message.type === "ready") {
        signal?.removeEventListener("abort", cancel);
        client.ready(message);
        resolve(client);
      }
    });
    thread.onFailure((error) => {
      fail(PiPhiError.from(error));
      client.lose(error);
    });
    try {
      client.post({ type: "load", model, options: rest });
    } catch (error) {
      fail(notPosted(error));
    }
  });
}

type Ready = FromEngine & { type: "ready" };

class Client implements Phi {
  info!: ModelInfo;
  private engine!: Ready;
  /** Resolves when the requests before have been answered; they run one after another. */
  private tail: Promise<void> = Promise.resolve();
  private closing: Promise<void> | undefined;
  private lost: PiPhiError | undefined;
  private onMessage: (message: FromEngine) => void = () => {};
  private readonly link: SessionLink = {
    request: (method, ask, signal, emit) => this.request(method, ask, signal, emit),
    stream: (start, signal) =>
      new Stream((emit, stop) => {
        const either = anyOf(signal, stop);
        return start(emit, either.signal).finally(either.release);
      }),
  };

  constructor(private readonly thread: Thread) {
    thread.onMessage((message) => this.onMessage(message as FromEngine));
  }

  listen(listener: (message: FromEngine) => void): void {
    this.onMessage = listener;
  }

  post(message: ToEngine): void {
    this.thread.post(message);
  }

  ready(message: Ready): void {
    this.engine = message;
    this.info = message.info;
    this.thread.keepAlive?.(false);
  }

  /** The engine's thread died. */
  lose(error: Error): void {
    this.lost = new PiPhiError("E_ENGINE", `The engine stopped: ${error.message}. Load the model again.`);
    this.onMessage({ type: "error", error: this.lost.toJSON() });
  }

  generate(prompt: string | readonly number[], { signal, ...options }: GenerateOptions = {}): Generation {
    return this.link.stream((emit, stop) => this.request("generate", { prompt, options }, stop, emit), signal);
  }

  generateAll(
    prompts: readonly (string | readonly number[])[],
    options: GenerateOptions = {},
  ): Promise<GenerateAllResult> {
    const { signal, ...rest } = options;
    return this.request("generateAll", { prompts, options: rest }, signal);
  }

  chat(messages: readonly ChatMessage[], { signal, ...options }: GenerateOptions = {}): Generation {
    return this.link.stream((emit, stop) => this.request("chat", { messages, options }, stop, emit), signal);
  }

  async session({ prefix = "", signal }: SessionOptions = {}): Promise<Session> {
    return new ClientSession(this.link, await this.request("openSession", { prefix }, signal));
  }

  async restore(from: string | Uint8Array, { signal }: { signal?: AbortSignal } = {}): Promise<Session> {
    return new ClientSession(this.link, await this.request("restoreSession", { from }, signal));
  }

  score(input: string | readonly number[], options: { top?: number; signal?: AbortSignal } = {}): Promise<Score> {
    return this.request("score", { input, top: options.top ?? 10 }, options.signal);
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

  close(): Promise<void> {
    this.closing ??= this.finish();
    return this.closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  private async finish(): Promise<void> {
    this.setStop(true);
    await this.tail;
    if (!this.lost) {
      this.setStop(false);
      const closed = new Promise<void>((resolve) => this.listen(() => resolve()));
      this.thread.keepAlive?.(true);
      this.post({ type: "close" });
      await closed;
    }
    this.thread.terminate();
  }

  /** Queues a request; its promise settles with the engine's answer, or when `signal` fires before its turn. */
  private request<M extends Method>(
    method: M,
    ask: Methods[M]["ask"],
    signal?: AbortSignal,
    emit?: (delta: Delta) => void,
  ): Promise<Methods[M]["answer"]> {
    const answer = unlessAborted(this.tail, signal).then(() => this.exchange(method, ask, signal, emit));
    const settled = () => {};
    this.tail = this.tail.then(() => answer).then(settled, settled);
    return answer;
  }

  private exchange<M extends Method>(
    method: M,
    ask: Methods[M]["ask"],
    signal?: AbortSignal,
    emit?: (delta: Delta) => void,
  ): Promise<Methods[M]["answer"]> {
    if (this.closing) return Promise.reject(new PiPhiError("E_CLOSED", "The model was closed. Load it again."));
    if (this.lost) return Promise.reject(this.lost);
    if (signal?.aborted) return Promise.reject(new PiPhiError("E_CANCELLED", "The request was cancelled."));
    return new Promise((resolve, reject) => {
      const cancel = () => this.setStop(true);
      const settle = (finish: () => void) => {
        signal?.removeEventListener("abort", cancel);
        this.thread.keepAlive?.(false);
        finish();
      };
      this.listen((message) => {
        if (message.type === "delta") emit?.(message.delta);
        else if (message.type === "result") settle(() => resolve(message.value as Methods[M]["answer"]));
        else if (message.type === "error") settle(() => reject(PiPhiError.fromJSON(message.error)));
      });
      // The engine is idle now, so a stop that came too late for the request before is taken back here.
      this.setStop(false);
      signal?.addEventListener("abort", cancel, { once: true });
      this.thread.keepAlive?.(true);
      try {
        this.post({ type: "request", method, ask } as ToEngine);
      } catch (error) {
        settle(() => reject(notPosted(error)));
      }
    });
  }

  private setStop(stop: boolean): void {
    const { memory, control } = this.engine;
    if (memory) requestStop(memory.buffer, control, stop);
    if (stop) this.post({ type: "cancel" });
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

/** Resolves with `before`, or already when `signal` fires. */
function unlessAborted(before: Promise<void>, signal?: AbortSignal): Promise<void> {
  if (!signal) return before;
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const go = () => {
      signal.removeEventListener("abort", go);
      resolve();
    };
    signal.addEventListener("abort", go);
    before.then(go);
  });
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
