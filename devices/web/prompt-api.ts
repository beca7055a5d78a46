/** The web platform's Prompt API by PiPhi: `import { LanguageModel, polyfill } from "piphi/prompt-api"`. */

import type { ChatMessage, GenerateOptions, Phi, Session } from "../../runtime/index.ts";
import { load, type ModelSource, store, type WebLoadOptions } from "./core.ts";
import {
  constraintOf,
  initialMessages,
  isPrefixed,
  type LanguageModelMessage,
  type LanguageModelPrompt,
  messagesOf,
  QuotaExceededError,
  unsupported,
  webError,
} from "./prompts.ts";

export { type LanguageModelMessage, type LanguageModelPrompt, QuotaExceededError } from "./prompts.ts";

export type Availability = "unavailable" | "downloadable" | "downloading" | "available";

export interface LanguageModelCreateCoreOptions {
  expectedInputs?: readonly { type: string; languages?: readonly string[] }[];
  expectedOutputs?: readonly { type: string; languages?: readonly string[] }[];
  /** Not supported yet: anything but none gives NotSupportedError. */
  tools?: readonly object[];
  samplingMode?: SamplingMode;
}

export interface LanguageModelCreateOptions extends LanguageModelCreateCoreOptions {
  initialPrompts?: readonly LanguageModelMessage[];
  signal?: AbortSignal;
  /** Gets what fires "downloadprogress": `loaded` goes from 0 to 1. */
  monitor?: (monitor: EventTarget) => void;
}

export interface LanguageModelPromptOptions {
  /** A JSON Schema or a RegExp that the answer meets. */
  responseConstraint?: object;
  /** Do not tell the model of the constraint. */
  omitResponseConstraintInput?: boolean;
  signal?: AbortSignal;
}

/** How much chance has a part in answers. */
const SAMPLING = {
  "most-predictable": { temperature: 0 },
  predictable: { temperature: 0.4 },
  balanced: { temperature: 0.7 },
  creative: { temperature: 1 },
  "most-creative": { temperature: 1.3 },
} satisfies Record<string, GenerateOptions>;
export type SamplingMode = keyof typeof SAMPLING;

interface Backend {
  address?: string;
  state: "idle" | "loading" | "ready";
  phi(monitor: EventTarget): Promise<Phi>;
}

let backend: Backend | undefined;

class DownloadProgress extends Event {
  readonly lengthComputable = true;
  readonly total = 1;
  constructor(readonly loaded: number) {
    super("downloadprogress");
  }
}

/** A session with the model, as https://webmachinelearning.github.io/prompt-api/ has it; it understands text alone. */
export class LanguageModel extends EventTarget {
  oncontextoverflow: ((event: Event) => void) | null = null;
  readonly #phi: Phi;
  readonly #session: Session;
  readonly #sampling: GenerateOptions;
  readonly #initial: readonly ChatMessage[];
  #messages: readonly ChatMessage[];
  #usage = 0;
  readonly #gone = new AbortController();
  /** Prompts of a session wait for each other. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(
    phi: Phi,
    session: Session,
    sampling: GenerateOptions,
    initial: readonly ChatMessage[],
    messages = initial,
  ) {
    super();
    this.#phi = phi;
    this.#session = session;
    this.#sampling = sampling;
    this.#initial = initial;
    this.#messages = messages;
  }

  /** Says which model `create` takes: a loaded one, or what `load` of "piphi/web/core" takes. Loaded once, for all sessions. */
  static use(model: Phi | ModelSource, options: WebLoadOptions = {}): void {
    backend = isLoaded(model) ? { state: "ready", phi: async () => model } : loading(model, options);
  }

  static async availability(options: LanguageModelCreateCoreOptions = {}): Promise<Availability> {
    if (!backend || refusal(options)) return "unavailable";
    if (backend.state !== "idle") return backend.state === "ready" ? "available" : "downloading";
    const { address } = backend;
    if (address === undefined) return "available";
    const stored = await store.list();
    return stored.some((model) => model.address === address && model.complete) ? "available" : "downloadable";
  }

  /**
   * Rejects with the signal's reason, TypeError, SyntaxError, NotSupportedError, QuotaExceededError where the initial
   * prompts do not fit, and OperationError where the model cannot be loaded.
   */
  static async create(options: LanguageModelCreateOptions = {}): Promise<LanguageModel> {
    const { signal, initialPrompts, samplingMode = "balanced", monitor } = options;
    signal?.throwIfAborted();
    const initial = initialMessages(initialPrompts);
    const refused = refusal(options);
    if (refused) throw unsupported(refused);
    if (!backend) throw unsupported("No model is set. Call LanguageModel.use() or polyfill() first.");
    const target = new EventTarget();
    monitor?.(target);
    try {
      target.dispatchEvent(new DownloadProgress(0));
      const phi = await unlessAborted(backend.phi(target), signal);
      target.dispatchEvent(new DownloadProgress(1));
      const created = new LanguageModel(phi, await phi.session({ signal }), SAMPLING[samplingMode], initial);
      await created
        .#run(signal, () => created.#take([], signal))
        .catch((error) => {
          created.destroy();
          throw error;
        });
      return created;
    } catch (error) {
      signal?.throwIfAborted();
      throw webError(error);
    }
  }

  /** Tokens that the session holds. */
  get contextUsage(): number {
    return this.#usage;
  }

  /** Tokens that it can hold. */
  get contextWindow(): number {
    return this.#phi.info.contextLength;
  }

  /** Rejects with AbortError or the signal's reason, NotSupportedError, SyntaxError, QuotaExceededError; the session stays as it was. */
  prompt(input: LanguageModelPrompt, options: LanguageModelPromptOptions = {}): Promise<string> {
    return this.#run(options.signal, (signal) => this.#answer(input, options, signal, () => {}));
  }

  /** As `prompt`, piece by piece; to cancel the stream aborts the prompt. */
  promptStreaming(input: LanguageModelPrompt, options: LanguageModelPromptOptions = {}): ReadableStream<string> {
    const left = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, left.signal]) : left.signal;
    return new ReadableStream<string>({
      start: (controller) => {
        const show = (text: string) => left.signal.aborted || controller.enqueue(text);
        this.#run(signal, (both) => this.#answer(input, options, both, show)).then(
          () => controller.close(),
          (error) => left.signal.aborted || controller.error(error),
        );
      },
      cancel: () => left.abort(),
    });
  }

  /** Adds messages without an answer; they are read at once. */
  append(input: LanguageModelPrompt, options: { signal?: AbortSignal } = {}): Promise<void> {
    return this.#run(options.signal, (signal) => this.#take(messagesOf(input), signal));
  }

  /** Tokens that `input` would add. */
  measureContextUsage(input: LanguageModelPrompt, options: LanguageModelPromptOptions = {}): Promise<number> {
    return this.#run(options.signal, async (signal) => {
      const { hint } = constraintOf(options.omitResponseConstraintInput ? undefined : options.responseConstraint);
      const added = await this.#tokens([...this.#messages, ...told(messagesOf(input), hint)], signal);
      return added - this.#usage;
    });
  }

  /** A session that goes on from here by itself. */
  clone(options: { signal?: AbortSignal } = {}): Promise<LanguageModel> {
    return this.#run(options.signal, async (signal) => {
      const session = await this.#phi.session({ signal });
      const copy = new LanguageModel(this.#phi, session, this.#sampling, this.#initial, this.#messages);
      copy.#usage = this.#usage;
      return copy;
    });
  }

  /** Ends what runs with AbortError, and frees the session; the model stays for others. */
  destroy(): void {
    if (this.#gone.signal.aborted) return;
    this.#gone.abort(new DOMException("The session was destroyed.", "AbortError"));
    void this.#last.then(() => this.#session.close());
  }

  async #run<T>(given: AbortSignal | undefined, act: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#gone.signal.aborted)
      throw new DOMException("The session was destroyed. Create another.", "InvalidStateError");
    const signal = given ? AbortSignal.any([given, this.#gone.signal]) : this.#gone.signal;
    const before = this.#last;
    const running = (async () => {
      await before;
      signal.throwIfAborted();
      try {
        return await act(signal);
      } catch (error) {
        signal.throwIfAborted();
        throw webError(error);
      }
    })();
    this.#last = running.catch(() => {});
    return running;
  }

  async #answer(
    input: LanguageModelPrompt,
    options: LanguageModelPromptOptions,
    signal: AbortSignal,
    show: (text: string) => void,
  ): Promise<string> {
    const { shape, hint } = constraintOf(options.responseConstraint);
    const added = messagesOf(input);
    const asked = told(added, options.omitResponseConstraintInput ? "" : hint);
    const { kept } = await this.#fitting(asked, signal);
    const generation = this.#session.chat([...kept, ...asked], { ...this.#sampling, ...shape, signal });
    for await (const { text } of generation) if (text !== "") show(text);
    const { text, stopReason, promptTokens, generatedTokens } = await generation;
    if (stopReason === "cancelled") signal.throwIfAborted();
    const before = isPrefixed(input) ? added.at(-1)!.content : "";
    const earlier = isPrefixed(input) ? added.slice(0, -1) : added;
    this.#keep(kept, [...earlier, { role: "assistant", content: before + text }], promptTokens + generatedTokens);
    return text;
  }

  async #take(added: readonly ChatMessage[], signal?: AbortSignal): Promise<void> {
    const { kept, tokens } = await this.#fitting(added, signal);
    this.#keep(kept, added, tokens);
  }

  /** The messages that leave room for new ones: the oldest go, but for the initial ones. */
  async #fitting(added: readonly ChatMessage[], signal?: AbortSignal) {
    const { length } = this.#initial;
    let kept = this.#messages;
    for (;;) {
      const tokens = await this.#tokens([...kept, ...added], signal);
      signal?.throwIfAborted();
      if (tokens <= this.contextWindow) return { kept, tokens };
      if (kept.length === length) throw await this.#tooLong(added, tokens, signal);
      // A question goes with all its answers.
      const next = kept.findIndex(({ role }, i) => i > length && role === "user");
      kept = [...this.#initial, ...(next < 0 ? [] : kept.slice(next))];
    }
  }

  async #tooLong(added: readonly ChatMessage[], tokens: number, signal?: AbortSignal): Promise<QuotaExceededError> {
    const first = added.length === 0 ? 0 : await this.#tokens(this.#initial, signal);
    return new QuotaExceededError(tokens - first, this.contextWindow - first);
  }

  #keep(kept: readonly ChatMessage[], added: readonly ChatMessage[], tokens: number): void {
    const dropped = kept.length < this.#messages.length;
    this.#messages = [...kept, ...added];
    this.#usage = Math.min(tokens, this.contextWindow);
    if (!dropped) return;
    const event = new Event("contextoverflow");
    this.dispatchEvent(event);
    this.oncontextoverflow?.call(this, event);
  }

  /** Tokens of a conversation. It is read for that, so that an answer to it begins at once. */
  async #tokens(messages: readonly ChatMessage[], signal?: AbortSignal): Promise<number> {
    if (messages.length === 0) return 0;
    try {
      return (await this.#session.chat(messages, { maxTokens: 0, signal })).promptTokens;
    } catch (error) {
      const web = webError(error);
      if (web instanceof QuotaExceededError) return web.requested;
      throw error;
    }
  }
}

/**
 * Puts `LanguageModel` where the browser has none of its own.
 * @returns the one that pages find from now on
 */
export function polyfill(model: Phi | ModelSource, options: WebLoadOptions = {}): typeof LanguageModel {
  const place = globalThis as { LanguageModel?: typeof LanguageModel };
  if (place.LanguageModel) return place.LanguageModel;
  LanguageModel.use(model, options);
  Object.defineProperty(place, "LanguageModel", { value: LanguageModel, configurable: true, writable: true });
  return LanguageModel;
}

const isLoaded = (model: Phi | ModelSource): model is Phi => typeof (model as Partial<Phi>).chat === "function";

function loading(model: ModelSource, options: WebLoadOptions): Backend {
  let loaded: Promise<Phi> | undefined;
  const isAddress = typeof model === "string" || model instanceof URL;
  const own: Backend = {
    state: "idle",
    ...(isAddress && { address: new URL(model, globalThis.location?.href).href }),
    phi: (monitor) => {
      own.state = own.state === "ready" ? "ready" : "loading";
      loaded ??= load(model, {
        ...options,
        onProgress(progress) {
          options.onProgress?.(progress);
          const { phase, loadedBytes, totalBytes } = progress;
          const part = totalBytes > 0 ? loadedBytes / totalBytes : 0;
          if (phase === "download" && part > 0 && part < 1) monitor.dispatchEvent(new DownloadProgress(part));
        },
      }).then(
        (phi) => {
          own.state = "ready";
          return phi;
        },
        (error) => {
          own.state = "idle";
          loaded = undefined;
          throw error;
        },
      );
      return loaded;
    },
  };
  return own;
}

/** What others may wait for, too: who leaves does not end it. */
function unlessAborted<T>(waited: Promise<T>, signal?: AbortSignal): Promise<T> {
  if (!signal) return waited;
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    waited.then(resolve, reject);
  });
}

/** Why such a session cannot be, if it cannot. */
function refusal({
  expectedInputs = [],
  expectedOutputs = [],
  tools = [],
  samplingMode,
}: LanguageModelCreateCoreOptions) {
  const other = [...expectedInputs, ...expectedOutputs].find(({ type }) => type !== "text");
  if (other) return `The model knows no ${other.type}. Expect text.`;
  if (tools.length > 0) return "Tools are not supported. Ask for JSON by responseConstraint, and call them yourself.";
  if (samplingMode !== undefined && !(samplingMode in SAMPLING)) return `There is no samplingMode "${samplingMode}".`;
  return undefined;
}

/** A conversation whose last question tells of a constraint, too. */
function told(messages: readonly ChatMessage[], hint: string): ChatMessage[] {
  const last = messages.findLastIndex(({ role }) => role === "user");
  return messages.map((message, i) => (i === last ? { ...message, content: message.content + hint } : message));
}
