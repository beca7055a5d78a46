/** The engine's sessions: conversations whose keys and values are kept, saved and restored. */

import { type Pool, Tenant } from "../cache/pool.ts";
import type { Pause, Sequence } from "../cache/sequence.ts";
import {
  checkSession,
  readSession,
  readSessionHeader,
  type SessionTarget,
  writeSession,
} from "../cache/session-file.ts";
import type { ByteSink, ByteSource, Device } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import { promptTooLong } from "./answer.ts";

/** What sessions stand on. */
export interface SessionMeans {
  device: Pick<Device, "create" | "open">;
  pool: Pool;
  contextLength: number;
  vocabSize: number;
  /** What files are compared with; computed when first asked for. */
  target(): Promise<SessionTarget>;
  /** The tokens that texts with this prefix begin with. */
  opening(prefix: string): number[];
  /** Begins a request. */
  start(): void;
  pause: Pause;
  /** Throws E_CANCELLED if the running request was cancelled. */
  checkpoint(): void;
}

export interface SessionState {
  prefix: string;
  tenant: Tenant;
}

/** A session, as the caller gets to know it. */
export interface SessionTicket {
  session: number;
  prefix: string;
  note: string;
}

export class Sessions {
  private readonly open = new Map<number, SessionState>();
  private last = 0;

  constructor(private readonly means: SessionMeans) {}

  /** Begins a session and reads its prefix; throws E_PROMPT_TOO_LONG and E_CANCELLED. */
  async begin(prefix: string): Promise<SessionTicket> {
    if (typeof prefix !== "string") throw new PiPhiError("E_USAGE", `The prefix must be a text, not ${typeof prefix}.`);
    const { contextLength } = this.means;
    this.means.start();
    const tenant = new Tenant();
    if (prefix !== "") {
      const ids = this.means.opening(prefix);
      if (ids.length > contextLength) throw promptTooLong("prefix", ids.length, contextLength);
      await this.filled(tenant, (sequence) => this.read(sequence, ids));
    }
    return this.admit(tenant, prefix, "");
  }

  get(session: number): SessionState {
    const state = this.open.get(session);
    if (state) return state;
    throw new PiPhiError("E_CLOSED", "The session was closed. Begin another, or restore it from where it was saved.");
  }

  tokens(session: number): number[] {
    return [...this.means.pool.tokensOf(this.get(session).tenant)];
  }

  close(session: number): void {
    const state = this.open.get(session);
    if (state) this.means.pool.leave(state.tenant);
    this.open.delete(session);
  }

  /**
   * Writes a session to a file; its size. Throws E_DISK_FULL, E_FILE_WRITE and E_CANCELLED, and E_USAGE where there are no
   * files.
   */
  async save(session: number, path: string, note: string): Promise<number> {
    const { create } = this.means.device;
    if (!create) throw noFiles("export() gives a session's bytes");
    if (typeof path !== "string" || path === "") throw new PiPhiError("E_USAGE", "Give the path of a file to save to.");
    return create(path, (sink) => this.write(session, note, sink));
  }

  /** What `save` writes. */
  async export(session: number, note: string): Promise<Uint8Array> {
    let bytes = new Uint8Array(0);
    const sink: ByteSink = {
      resize(size) {
        bytes = allocate(size);
      },
      write: (offset, part) => bytes.set(part, offset),
    };
    await this.write(session, note, sink);
    return bytes;
  }

  /** Restores a saved session from a file or its bytes; throws what session-file.ts says, E_NOT_FOUND and E_FILE_READ. */
  async restore(from: string | Uint8Array): Promise<SessionTicket> {
    const { vocabSize, checkpoint } = this.means;
    this.means.start();
    const source = typeof from === "string" ? this.openFile(from) : sourceOf(from);
    try {
      const file = readSessionHeader(source);
      checkSession(source.name, file.header, await this.means.target());
      const tenant = new Tenant();
      await this.filled(tenant, async (sequence) => readSession(source, file, sequence, vocabSize, checkpoint));
      return this.admit(tenant, file.header.prefix, file.header.note);
    } finally {
      source.close();
    }
  }

  private openFile(path: string): ByteSource {
    const { device } = this.means;
    if (!device.create) throw noFiles("pass the bytes of export()");
    try {
      return device.open(path);
    } catch (error) {
      if (!(error instanceof PiPhiError) || error.code !== "E_NOT_FOUND") throw error;
      throw new PiPhiError("E_NOT_FOUND", `There is no saved session ${path}. Check the path.`, { path });
    }
  }

  private async write(session: number, note: string, sink: ByteSink): Promise<void> {
    const { pool, checkpoint } = this.means;
    const { tenant, prefix } = this.get(session);
    this.means.start();
    if (typeof note !== "string") throw new PiPhiError("E_USAGE", `The note must be a text, not ${typeof note}.`);
    const { model, modelHash, kv } = await this.means.target();
    const tokens = pool.tokensOf(tenant);
    const sequence = pool.take(tenant);
    if (sequence.length < tokens.length) await this.readAgain(sequence, tokens);
    writeSession(sink, sequence, { model, modelHash, kv, prefix, note }, checkpoint);
  }

  private admit(tenant: Tenant, prefix: string, note: string): SessionTicket {
    this.open.set(++this.last, { prefix, tenant });
    return { session: this.last, prefix, note };
  }

  /** Lets `fill` fill a new tenant's sequence; what it throws frees it. */
  private async filled(tenant: Tenant, fill: (sequence: Sequence) => Promise<void>): Promise<void> {
    try {
      await fill(this.means.pool.take(tenant));
    } catch (error) {
      this.means.pool.leave(tenant);
      throw error;
    }
  }

  /** Reads what was not put aside into an empty sequence; where that ends early, the tenant still has all its tokens. */
  private async readAgain(sequence: Sequence, ids: readonly number[]): Promise<void> {
    try {
      await this.read(sequence, ids);
    } catch (error) {
      sequence.truncate(0);
      throw error;
    }
  }

  private async read(sequence: Sequence, ids: readonly number[]): Promise<void> {
    if (await sequence.extend(ids, "last", this.means.pause, () => {})) return;
    throw new PiPhiError("E_CANCELLED", "Reading the session's text was cancelled. Try again.");
  }
}

function noFiles(instead: string): PiPhiError {
  return new PiPhiError("E_USAGE", `There are no files here: ${instead}.`);
}

function allocate(bytes: number): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(bytes);
  } catch {
    const megabytes = Math.ceil(bytes / 2 ** 20);
    throw new PiPhiError(
      "E_MEMORY",
      `There is no room for the session's ${megabytes} MiB. Free memory and try again.`,
      {
        needBytes: bytes,
      },
    );
  }
}

function sourceOf(bytes: Uint8Array): ByteSource {
  if (!(bytes instanceof Uint8Array)) {
    throw new PiPhiError("E_USAGE", "Give the path of a saved session, or its bytes as a Uint8Array.");
  }
  const read = (offset: number, into: Uint8Array) => into.set(bytes.subarray(offset, offset + into.length));
  return { name: "the session", size: bytes.length, read, close: () => {} };
}
