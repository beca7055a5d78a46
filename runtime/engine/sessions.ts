/** The engine's sessions: conversations whose keys and values are kept, saved and restored. */

import { type Pool, Tenant } from "../cache/pool.ts";
import type { Sequence } from "../cache/sequence.ts";
import {
  checkSession,
  readSession,
  readSessionHeader,
  type SessionTarget,
  writeSession,
} from "../cache/session-file.ts";
import { STOP_ALL } from "../compute/team.ts";
import type { ByteSink, ByteSource, Device } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import { promptTooLong } from "./limits.ts";
import { Reading } from "./reading.ts";
import type { Schedule } from "./schedule.ts";

/** What sessions stand on. */
export interface SessionMeans {
  device: Pick<Device, "create" | "open">;
  pool: Pool;
  schedule: Pick<Schedule, "run" | "between" | "checkpoint">;
  contextLength: number;
  vocabSize: number;
  /** What files are compared with; computed when first asked for. */
  target(): Promise<SessionTarget>;
  /** The tokens that texts with this prefix begin with. */
  opening(prefix: string): number[];
}

export interface SessionState {
  prefix: string;
  tenant: Tenant;
  /** Resolves when what the session was asked for before has been done. */
  tail: Promise<void>;
}

/** A session, as the caller gets to know it. */
export interface SessionTicket {
  session: number;
  prefix: string;
  note: string;
}

/** A request by its number; 0 for those on the engine's own thread. */
type Request = number;

export class Sessions {
  private readonly open = new Map<number, SessionState>();
  /** Requests that wait for what their session was asked before. */
  private readonly waiting = new Set<{ request: Request; reject(error: PiPhiError): void }>();
  private last = 0;

  constructor(private readonly means: SessionMeans) {}

  /** Begins a session and reads its prefix; throws E_PROMPT_TOO_LONG and E_CANCELLED. */
  async begin(prefix: string, request: Request = 0): Promise<SessionTicket> {
    if (typeof prefix !== "string") throw new PiPhiError("E_USAGE", `The prefix must be a text, not ${typeof prefix}.`);
    const { contextLength, opening } = this.means;
    const tenant = new Tenant();
    if (prefix !== "") {
      const ids = opening(prefix);
      if (ids.length > contextLength) throw promptTooLong("prefix", ids.length, contextLength);
      await this.fill(request, tenant, ids);
    }
    return this.admit(tenant, prefix, "");
  }

  get(session: number): SessionState {
    const state = this.open.get(session);
    if (state) return state;
    throw new PiPhiError("E_CLOSED", "The session was closed. Begin another, or restore it from where it was saved.");
  }

  /** Does something with a session after all that it was asked for before. */
  inTurn<T>(request: Request, session: number, work: (state: SessionState) => T | Promise<T>): Promise<T> {
    const state = this.get(session);
    const before = state.tail;
    const result = new Promise<T>((resolve, reject) => {
      const one = { request, reject };
      this.waiting.add(one);
      const start = () => {
        if (this.waiting.delete(one)) resolve((async () => work(this.get(session)))());
      };
      before.then(start);
    });
    const settled = () => before;
    state.tail = result.then(settled, settled);
    return result;
  }

  /** Rejects a request that waits for what its session was asked before, or all that do. */
  cancel(request: Request, error: PiPhiError): void {
    for (const one of this.waiting) {
      if (request !== STOP_ALL && one.request !== request) continue;
      this.waiting.delete(one);
      one.reject(error);
    }
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
  async save(session: number, path: string, note: string, request: Request = 0): Promise<number> {
    const { create } = this.means.device;
    if (!create) throw noFiles("Use export(), which gives the session's bytes");
    if (typeof path !== "string" || path === "") throw new PiPhiError("E_USAGE", "Give the path of a file to save to.");
    return this.write(session, note, request, (write) => create(path, write));
  }

  /** What `save` writes. */
  async export(session: number, note: string, request: Request = 0): Promise<Uint8Array> {
    let bytes = new Uint8Array(0);
    const sink: ByteSink = {
      resize(size) {
        bytes = allocate(size);
      },
      write: (offset, part) => bytes.set(part, offset),
    };
    await this.write(session, note, request, (write) => write(sink));
    return bytes;
  }

  /** Restores a saved session from a file or its bytes; throws what session-file.ts says, E_NOT_FOUND and E_FILE_READ. */
  async restore(from: string | Uint8Array, request: Request = 0): Promise<SessionTicket> {
    const { vocabSize, schedule, target } = this.means;
    const source = typeof from === "string" ? this.openFile(from) : sourceOf(from);
    try {
      const file = await schedule.between(request, async () => {
        const read = readSessionHeader(source);
        checkSession(source.name, read.header, await target());
        return read;
      });
      const tenant = new Tenant();
      await this.fill(request, tenant, [], async (sequence) => {
        readSession(source, file, sequence, vocabSize, schedule.checkpoint);
      });
      return this.admit(tenant, file.header.prefix, file.header.note);
    } finally {
      source.close();
    }
  }

  private openFile(path: string): ByteSource {
    const { device } = this.means;
    if (!device.create) throw noFiles("Pass the bytes that export() gave");
    try {
      return device.open(path);
    } catch (error) {
      if (!(error instanceof PiPhiError) || error.code !== "E_NOT_FOUND") throw error;
      throw new PiPhiError("E_NOT_FOUND", `There is no saved session ${path}. Check the path.`, { path });
    }
  }

  /** Lets `store` write a session, which is read again first where its cache could not be kept. */
  private async write<T>(
    session: number,
    note: string,
    request: Request,
    store: (write: (sink: ByteSink) => Promise<void>) => Promise<T>,
  ): Promise<T> {
    const { pool, schedule, target } = this.means;
    const { tenant, prefix } = this.get(session);
    if (typeof note !== "string") throw new PiPhiError("E_USAGE", `The note must be a text, not ${typeof note}.`);
    const ids = [...pool.tokensOf(tenant)];
    let stored!: T;
    const reading = new Reading({ tenant, ids, exact: false, whole: true }, async (sequence) => {
      const { model, modelHash, kv } = await target();
      stored = await store(async (sink) => {
        writeSession(sink, sequence, { model, modelHash, kv, prefix, note }, schedule.checkpoint);
      });
    });
    try {
      await schedule.run(request, reading);
    } catch (error) {
      if (!reading.ended) pool.spoil(tenant);
      throw error;
    }
    return stored;
  }

  private admit(tenant: Tenant, prefix: string, note: string): SessionTicket {
    this.open.set(++this.last, { prefix, tenant, tail: Promise.resolve() });
    return { session: this.last, prefix, note };
  }

  /** Reads a text into a new tenant's sequence, and does what `then` says with it; what is thrown frees it. */
  private async fill(
    request: Request,
    tenant: Tenant,
    ids: readonly number[],
    then?: (sequence: Sequence) => Promise<void>,
  ): Promise<void> {
    const { pool, schedule } = this.means;
    try {
      await schedule.run(request, new Reading({ tenant, ids, exact: false, whole: true }, then));
    } catch (error) {
      pool.leave(tenant);
      throw error;
    }
  }
}

function noFiles(instead: string): PiPhiError {
  return new PiPhiError("E_USAGE", `There are no files here. ${instead}.`);
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
