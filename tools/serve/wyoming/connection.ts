/** One client: reads its events, answers them in order, and lets go of everything when it leaves. */

import { once } from "node:events";
import type { Duplex } from "node:stream";
import { PiPhiError } from "../../../runtime/errors.ts";
import { type EventData, EventReader, encodeEvent, type WyomingEvent } from "./framing.ts";
import type { History } from "./history.ts";
import { type Assistant, answerTurn, errorEvent } from "./turn.ts";

/** What all connections share. */
export interface Service {
  assistant: Assistant;
  history: History;
  /** The answer to `describe`. */
  info(): EventData;
  limits: ConnectionLimits;
  /** Called after each sentence. */
  onTurn(turn: EndedTurn): void;
}

export interface EndedTurn {
  /** "transcript" or "recognize" */
  event: string;
  /** "intent", "handled", "not-recognized", "error", or "gone" where the client left before */
  outcome: string;
  ms: number;
  said: string;
  /** Texts that were handed over. */
  answered: string;
}

export interface ConnectionLimits {
  /** Milliseconds from the first byte of an event to its last: longer is a client that holds on to a connection. */
  event: number;
  /** Milliseconds for a client to take what it was sent. */
  write: number;
  /** Milliseconds in which nothing happens. */
  idle: number;
  /** Sentences that wait behind the one that is being answered. */
  waiting: number;
}

export const CONNECTION_LIMITS: ConnectionLimits = { event: 10_000, write: 30_000, idle: 3_600_000, waiting: 8 };

/** How often a client that has nothing more to say is asked whether it still listens. */
const PROBE_MS = 50;
const FINAL = new Set(["intent", "intents-stop", "handled", "not-recognized", "error"]);

export class Connection {
  /** When something last came from it (ms), to choose whom to leave when there are too many. */
  used = performance.now();
  readonly #reader = new EventReader();
  readonly #gone = new AbortController();
  readonly #turns: WyomingEvent[] = [];
  #answering: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #ended = false;

  constructor(
    readonly stream: Duplex,
    readonly service: Service,
  ) {
    stream.on("data", (bytes: Buffer) => this.#read(bytes));
    stream.on("end", () => this.#end());
    stream.on("error", () => stream.destroy());
    stream.on("close", () => {
      clearTimeout(this.#timer);
      this.#gone.abort();
    });
    this.#watch();
  }

  /** True while a sentence is being answered. */
  get busy(): boolean {
    return this.#answering !== undefined;
  }

  /** Resolves when what was asked so far is answered, or the client is gone. */
  async drained(): Promise<void> {
    await this.#answering;
  }

  close(): void {
    this.stream.destroy();
  }

  #read(bytes: Buffer): void {
    this.used = performance.now();
    let progress = !this.#reader.partial;
    try {
      for (const event of this.#reader.push(bytes)) {
        progress = true;
        this.#take(event);
      }
    } catch (error) {
      this.#refuse(error);
      return;
    }
    if (progress) this.#watch();
    if (this.stream.writableNeedDrain || this.#turns.length >= this.service.limits.waiting) this.#pause();
  }

  /** After bytes that are no event: where the next one begins is not known any more. */
  #refuse(error: unknown): void {
    this.stream.pause();
    this.#send(errorEvent(error));
    this.stream.end(() => this.stream.destroy());
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.close(), this.service.limits.write).unref();
  }

  /** Gives an event that has begun a time to end, and the connection one to be of use. */
  #watch(): void {
    const { event, idle } = this.service.limits;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#expire(), this.#reader.partial ? event : idle).unref();
  }

  #expire(): void {
    if (this.busy && !this.#reader.partial) this.#watch();
    else this.close();
  }

  /** A client that asks faster than it reads, or than is answered, waits. */
  #pause(): void {
    this.stream.pause();
    const resume = async () => {
      if (this.stream.writableNeedDrain) await this.#drain();
      if (this.#turns.length >= this.service.limits.waiting) await this.#answering;
      this.stream.resume();
    };
    resume().catch(() => this.close());
  }

  #take(event: WyomingEvent): void {
    if (event.type === "describe") this.#send({ type: "info", data: this.service.info() });
    else if (event.type === "ping") this.#send({ type: "pong", data: event.data });
    else if (event.type === "transcript" || event.type === "recognize") {
      this.#turns.push(event);
      this.#answering ??= this.#answerAll();
    }
  }

  async #answerAll(): Promise<void> {
    for (let turn = this.#turns.shift(); turn !== undefined && !this.#gone.signal.aborted; turn = this.#turns.shift()) {
      await this.#answer(turn).catch(() => this.close());
    }
    this.#answering = undefined;
    if (this.#ended) this.stream.end();
  }

  async #answer(turn: WyomingEvent): Promise<void> {
    const { assistant, history, onTurn } = this.service;
    const start = performance.now();
    const ended: EndedTurn = { event: turn.type, outcome: "gone", ms: 0, said: String(turn.data.text), answered: "" };
    for await (const event of answerTurn(turn, assistant, history, this.#gone.signal)) {
      this.#send(event);
      if (this.stream.writableNeedDrain) await this.#drain();
      if (!FINAL.has(event.type)) continue;
      ended.outcome = event.type === "intents-stop" ? "intent" : event.type;
      ended.answered += event.data.text ?? "";
    }
    onTurn({ ...ended, ms: performance.now() - start });
  }

  #send(event: WyomingEvent): void {
    if (this.#gone.signal.aborted) throw new PiPhiError("E_CANCELLED", "The client is gone. Connect again.");
    if (this.stream.writable) this.stream.write(encodeEvent(event));
  }

  async #drain(): Promise<void> {
    const late = setTimeout(() => this.close(), this.service.limits.write);
    try {
      await once(this.stream, "drain", { signal: this.#gone.signal });
    } finally {
      clearTimeout(late);
    }
  }

  /**
   * The client says no more. Either it has closed the connection, or it waits for its answer: only writing tells. A piece of an
   * answer that is empty changes nothing for a client that listens.
   */
  #end(): void {
    this.#ended = true;
    if (this.#reader.partial || !this.busy) {
      this.stream.end();
      return;
    }
    const ask = () => this.#send({ type: "handled-chunk", data: { text: "" } });
    const probe = setInterval(ask, PROBE_MS);
    this.stream.on("close", () => clearInterval(probe));
    ask();
  }
}
