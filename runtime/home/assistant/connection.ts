/**
 * One connection to Home Assistant's websocket API (developers.home-assistant.io/docs/api/websocket):
 *
 *     < {"type":"auth_required"}      > {"type":"auth","access_token":"…"}      < {"type":"auth_ok"} or {"type":"auth_invalid"}
 *     > {"id":1,"type":"get_states"}  < {"id":1,"type":"result","success":true,"result":[…]}
 *     > {"id":2,"type":"subscribe_events","event_type":"…"}  < result, then {"id":2,"type":"event","event":{…}} again and again
 *     > {"id":3,"type":"ping"}        < {"id":3,"type":"pong"}
 */

import { PiPhiError } from "../../errors.ts";

/** What WebSocket has in browsers, and `ws` under Node. */
export interface Socket {
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
  onerror: ((event: unknown) => void) | null;
  send(text: string): void;
  close(): void;
}

export type OpenSocket = (url: string) => Socket;

/** An event of Home Assistant's bus. */
export interface BusEvent {
  event_type: string;
  data: Record<string, unknown>;
}

interface Message {
  id?: number;
  type?: string;
  message?: string;
  success?: boolean;
  result?: unknown;
  error?: { code?: string; message?: string };
  event?: BusEvent;
  ha_version?: string;
}

interface Waiting {
  resolve(value: unknown): void;
  reject(error: PiPhiError): void;
  command: string;
}

/** Milliseconds after which no answer counts as none. */
const ANSWER_MS = 15_000;
const PING_MS = 30_000;

/** "http://homeassistant.local:8123" -> "ws://homeassistant.local:8123/api/websocket"; throws E_USAGE. */
export function socketUrl(address: string): string {
  let url: URL;
  try {
    url = new URL(/^[a-z]+:\/\//i.test(address) ? address : `http://${address}`);
  } catch {
    url = new URL("none:");
  }
  const protocol = { "http:": "ws:", "https:": "wss:", "ws:": "ws:", "wss:": "wss:" }[url.protocol];
  if (protocol === undefined || url.hostname === "") {
    const message = `"${address}" is no address of Home Assistant. Write one such as http://homeassistant.local:8123.`;
    throw new PiPhiError("E_USAGE", message, { address });
  }
  const path = url.pathname.replace(/\/+$/, "");
  return `${protocol}//${url.host}${/\/websocket$/.test(path) ? path : `${path}/api/websocket`}`;
}

export function unreachable(url: string, reason: string): PiPhiError {
  const message = `Home Assistant does not answer at ${url}: ${reason}. Check that it runs, and the address.`;
  return new PiPhiError("E_HOME_ASSISTANT", message, { url, reason });
}

function refusedToken(url: string, reason: string): PiPhiError {
  const advice = "Make a long-lived access token in Home Assistant: your profile, Security";
  const message = `Home Assistant at ${url} refuses the token: ${reason}. ${advice}.`;
  return new PiPhiError("E_TOKEN", message, { url, reason });
}

function refusedCommand(url: string, command: string, { code = "", message = "" }: NonNullable<Message["error"]>) {
  const details = { url, command, reason: code };
  if (code === "unauthorized") {
    const text = `The token's user may not read the house (${command}). Use a token of an administrator.`;
    return new PiPhiError("E_TOKEN", text, details);
  }
  const remedy = code === "unknown_command" ? "Update Home Assistant to 2024.4 or newer" : "See its log";
  return new PiPhiError(
    "E_HOME_ASSISTANT",
    `Home Assistant failed at ${command}: ${message || code}. ${remedy}.`,
    details,
  );
}

function reasonOf(event: unknown): string {
  const { message, error } = event as { message?: string; error?: { message?: string } };
  return message || error?.message || "the connection failed";
}

export class Connection {
  /** Resolves once, with why the connection ended. */
  readonly closed: Promise<PiPhiError>;
  version = "";
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners = new Map<number, (event: BusEvent) => void>();
  readonly #pulse: ReturnType<typeof setInterval>;
  #end!: (error: PiPhiError) => void;
  #lastId = 0;
  #ended = false;

  private constructor(
    readonly url: string,
    readonly socket: Socket,
    pingMs: number,
  ) {
    this.closed = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.#pulse = setInterval(() => this.#ping(pingMs), pingMs);
    (this.#pulse as { unref?(): void }).unref?.();
  }

  /**
   * Connects and shows the token.
   * @param address http(s) or ws(s) address of Home Assistant
   * @throws PiPhiError E_HOME_ASSISTANT where it does not answer, E_TOKEN where it refuses the token, E_CANCELLED
   */
  static async open(
    openSocket: OpenSocket,
    address: string,
    token: string,
    { signal, pingMs = PING_MS }: { signal?: AbortSignal; pingMs?: number } = {},
  ): Promise<Connection> {
    const url = socketUrl(address);
    if (signal?.aborted) throw new PiPhiError("E_CANCELLED", "Cancelled before Home Assistant was asked. Ask again.");
    let socket: Socket;
    try {
      socket = openSocket(url);
    } catch (error) {
      throw unreachable(url, reasonOf(error));
    }
    const connection = new Connection(url, socket, pingMs);
    const cancel = () => connection.#fail(new PiPhiError("E_CANCELLED", "Cancelled while asking. Ask again."));
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      await connection.#authenticate(token);
    } catch (error) {
      connection.close();
      throw error;
    } finally {
      signal?.removeEventListener("abort", cancel);
    }
    return connection;
  }

  #authenticate(token: string): Promise<void> {
    const { socket, url } = this;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#fail(unreachable(url, "no answer in time")), ANSWER_MS);
      const done = (settle: () => void) => {
        clearTimeout(timer);
        settle();
      };
      void this.closed.then((error) => done(() => reject(error)));
      let reason = "";
      socket.onerror = (event) => {
        reason = reasonOf(event);
      };
      socket.onclose = () => this.#fail(unreachable(url, reason || "the connection was closed"));
      socket.onmessage = ({ data }) => {
        const message = this.#parse(data);
        if (message === undefined) return;
        if (message.ha_version) this.version = message.ha_version;
        if (message.type === "auth_required") {
          socket.send(JSON.stringify({ type: "auth", access_token: token }));
        } else if (message.type === "auth_invalid") {
          this.#fail(refusedToken(url, message.message ?? "it is not valid"));
        } else if (message.type === "auth_ok") {
          socket.onmessage = (event) => this.#take(event.data);
          done(resolve);
        }
      };
    });
  }

  /** A message; undefined, with the connection given up, where it is none of Home Assistant's. */
  #parse(data: unknown): Message | undefined {
    try {
      const message = JSON.parse(String(data)) as Message;
      if (typeof message === "object" && message !== null) return message;
    } catch {
      // told below
    }
    this.#fail(unreachable(this.url, "it speaks something else"));
    return undefined;
  }

  #take(data: unknown): void {
    const parsed = this.#parse(data);
    // Several messages can come in one list.
    for (const message of Array.isArray(parsed) ? (parsed as Message[]) : parsed ? [parsed] : []) {
      const id = message.id ?? 0;
      if (message.type === "event" && message.event) this.#listeners.get(id)?.(message.event);
      const waiting = this.#waiting.get(id);
      if (waiting === undefined || (message.type !== "result" && message.type !== "pong")) continue;
      this.#waiting.delete(id);
      if (message.success === false) waiting.reject(refusedCommand(this.url, waiting.command, message.error ?? {}));
      else waiting.resolve(message.result);
    }
  }

  /** Sends a command and waits for its result; rejects with E_HOME_ASSISTANT or E_TOKEN. */
  async request(command: string, data: Record<string, unknown> = {}, answerMs = ANSWER_MS): Promise<unknown> {
    return (await this.#send(command, data, answerMs)).result;
  }

  /** Calls `listener` with each event of a type from now on. */
  async subscribe(eventType: string, listener: (event: BusEvent) => void): Promise<void> {
    const id = this.#lastId + 1;
    this.#listeners.set(id, listener);
    await this.#send("subscribe_events", { event_type: eventType });
  }

  #send(command: string, data: Record<string, unknown>, answerMs = ANSWER_MS): Promise<{ result: unknown }> {
    if (this.#ended) return Promise.reject(unreachable(this.url, "the connection was closed"));
    const id = ++this.#lastId;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#fail(unreachable(this.url, `no answer to ${command} in time`)), answerMs);
      const settled = () => clearTimeout(timer);
      this.#waiting.set(id, {
        command,
        resolve: (result) => {
          settled();
          resolve({ result });
        },
        reject: (error) => {
          settled();
          reject(error);
        },
      });
      this.socket.send(JSON.stringify({ id, type: command, ...data }));
    });
  }

  /** A network that went away silently is noticed by a ping that nobody answers. */
  #ping(pingMs: number): void {
    this.#send("ping", {}, pingMs).catch(() => undefined);
  }

  #fail(error: PiPhiError): void {
    if (this.#ended) return;
    this.#ended = true;
    clearInterval(this.#pulse);
    this.#end(error);
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    this.socket.close();
  }

  close(): void {
    this.#fail(new PiPhiError("E_CLOSED", "The connection to Home Assistant was closed. Connect again."));
  }
}
