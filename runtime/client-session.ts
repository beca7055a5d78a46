/** A session on the caller's side. */

import type { ChatMessage, Delta, GenerateOptions, GenerateResult, Generation, SaveOptions, Session } from "./api.ts";
import type { SessionTicket } from "./engine/sessions.ts";
import { PiPhiError } from "./errors.ts";
import { givenOptions } from "./options.ts";
import type { Method, Methods } from "./protocol.ts";

/** How a session reaches its engine. */
export interface SessionLink {
  request<M extends Method>(
    method: M,
    ask: Methods[M]["ask"],
    signal?: AbortSignal,
    emit?: (delta: Delta) => void,
  ): Promise<Methods[M]["answer"]>;
  /** A generation that `start` starts; it ends early when `stop` fires, as it does with `signal`. */
  stream(
    start: (emit: (delta: Delta) => void, stop: AbortSignal) => Promise<GenerateResult>,
    signal: AbortSignal | undefined,
  ): Generation;
}

export class ClientSession implements Session {
  readonly prefix: string;
  readonly note: string;
  private readonly session: number;

  constructor(
    private readonly link: SessionLink,
    { session, prefix, note }: SessionTicket,
  ) {
    this.session = session;
    this.prefix = prefix;
    this.note = note;
  }

  generate(prompt: string | readonly number[], given?: GenerateOptions): Generation {
    const { signal, ...options } = givenOptions(given);
    const { session, link } = this;
    return link.stream((emit, stop) => link.request("generate", { prompt, options, session }, stop, emit), signal);
  }

  chat(messages: readonly ChatMessage[], given?: GenerateOptions): Generation {
    const { signal, ...options } = givenOptions(given);
    const { session, link } = this;
    return link.stream((emit, stop) => link.request("chat", { messages, options, session }, stop, emit), signal);
  }

  tokens(): Promise<number[]> {
    return this.link.request("sessionTokens", { session: this.session });
  }

  async save(path: string, given?: SaveOptions): Promise<number> {
    const { note = this.note, signal } = givenOptions(given);
    return this.link.request("saveSession", { session: this.session, path, note }, signal);
  }

  async export(given?: SaveOptions): Promise<Uint8Array> {
    const { note = this.note, signal } = givenOptions(given);
    return this.link.request("exportSession", { session: this.session, note }, signal);
  }

  async close(): Promise<void> {
    try {
      await this.link.request("closeSession", { session: this.session });
    } catch (error) {
      // An engine that is closed has no sessions any more.
      if (!(error instanceof PiPhiError) || error.code !== "E_CLOSED") throw error;
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}
