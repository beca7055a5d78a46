/**
 * The forward pass of shards: threads that share no memory. Each has some rows of every matrix and makes those columns of
 * what comes of it; all hold the residual stream, and do alike what is not a matrix product. The leader has the caches and the
 * embedding. After a step, each sends the others its columns, in one message for each of them, whose buffer moves along.
 *
 *   leader    embed ─x→ norm  Wqkv Wup ⇄ attention ─a→ gelu  Wo Wdown ⇄ …  head ←
 *   others         →x    norm  Wqkv Wup ⇄ gelu        →a      Wo Wdown ⇄ …  head →
 *
 * The rows of a product do not depend on each other, so that the bits are those of one thread.
 */

import { PiPhiError, type SerializedError } from "../errors.ts";
import type { Rows, Step } from "../phi2.ts";
import { StreamFault } from "../residence/stream.ts";
import type { WeightShape } from "../weights/shape.ts";

/** How threads reach each other: a MessagePort. */
export type Port = Pick<MessagePort, "postMessage" | "onmessage">;

export type Message =
  /** A pass begins. */
  | { type: "pass"; pass: number; tokens: number; logitsFrom: number }
  | { type: "data"; pass: number; data: ArrayBuffer }
  /** Weights could not be read: the pass is over for all. */
  | { type: "fault"; pass: number; error: SerializedError };

/** Columns of rows, bytes: those that one shard makes. */
interface Columns {
  rows: Rows;
  ranges: readonly { from: number; bytes: number }[];
}

/** The others' end of a pass that a fault ended elsewhere; `error` says why. */
export class PeerFault extends Error {
  constructor(readonly error: PiPhiError) {
    super(error.message);
  }
}

/** What ends waiting: a fault in a pass, which any of the others may tell of, or a shard that is lost. */
interface End {
  fault?: { pass: number; error: PiPhiError };
  lost?: PiPhiError;
}

/** One other shard. */
export class Peer {
  private readonly queue: Message[] = [];
  private wake: () => void = () => {};
  /** A buffer that came from there and can go back. */
  private spare: ArrayBuffer | undefined;

  private constructor(
    readonly index: number,
    private readonly port: Port,
    private readonly end: End,
    private readonly wakeAll: () => void,
  ) {
    port.onmessage = ({ data }) => this.hear(data as Message);
  }

  /** The others, by their numbers. */
  static all(ports: ReadonlyMap<number, Port>): Peer[] {
    const end: End = {};
    const peers: Peer[] = [];
    const wakeAll = () => {
      for (const peer of peers) peer.wake();
    };
    for (const [index, port] of ports) peers.push(new Peer(index, port, end, wakeAll));
    return peers;
  }

  post(message: Message, transfer: ArrayBuffer[] = []): void {
    this.port.postMessage(message, transfer);
  }

  /** The next pass that this one, the leader, begins. */
  async nextPass(): Promise<Message & { type: "pass" }> {
    for (;;) {
      const message = await this.next(() => {});
      if (message.type === "pass") return message;
    }
  }

  /** The other's data for a step of a pass; throws PeerFault. What is left of passes before is dropped. */
  async data(pass: number): Promise<ArrayBuffer> {
    for (;;) {
      const message = await this.next(() => {
        const { fault } = this.end;
        if (fault?.pass === pass) throw new PeerFault(fault.error);
      });
      if (message.type === "data" && message.pass === pass) return message.data;
    }
  }

  /** One of them is gone: nobody shall wait for it. */
  lose(error: PiPhiError): void {
    this.end.lost = error;
    this.wakeAll();
  }

  buffer(bytes: number): ArrayBuffer {
    const { spare } = this;
    this.spare = undefined;
    const fits = spare !== undefined && spare.byteLength >= bytes && spare.byteLength <= 2 * bytes;
    return fits ? spare : new ArrayBuffer(bytes);
  }

  giveBack(buffer: ArrayBuffer): void {
    this.spare = buffer;
  }

  private hear(message: Message): void {
    if (message.type === "fault") {
      this.end.fault = { pass: message.pass, error: PiPhiError.fromJSON(message.error) };
      this.wakeAll();
      return;
    }
    this.queue.push(message);
    this.wake();
  }

  private async next(check: () => void): Promise<Message> {
    for (;;) {
      if (this.end.lost) throw this.end.lost;
      check();
      const message = this.queue.shift();
      if (message) return message;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
  }
}

export class Exchange {
  private readonly bytes: Uint8Array;

  constructor(
    buffer: ArrayBufferLike,
    private readonly index: number,
    /** The shapes of all shares. */
    private readonly shapes: readonly WeightShape[],
    private readonly peers: readonly Peer[],
    /** Does operations on this thread. */
    private readonly run: (...operations: Step["operations"]) => void,
    /** Why weights could not be read on this one. */
    private readonly reason: () => PiPhiError,
    /** Told how long this thread has waited for others. */
    private readonly waited: (ms: number) => void = () => {},
  ) {
    this.bytes = new Uint8Array(buffer);
  }

  /** Goes through a pass with the others; throws StreamFault, after all have been told, and PeerFault. */
  async pass(pass: number, steps: Iterable<Step>): Promise<void> {
    try {
      for (const step of steps) await this.step(pass, step);
    } catch (error) {
      if (!(error instanceof PeerFault)) {
        const told = (error instanceof StreamFault ? this.reason() : PiPhiError.from(error)).toJSON();
        for (const peer of this.peers) peer.post({ type: "fault", pass, error: told });
      }
      throw error;
    }
  }

  private async step(pass: number, { lead = [], operations, led, made = [] }: Step): Promise<void> {
    const leads = this.index === 0;
    if (leads && lead.length > 0) this.run(...lead);
    if (leads && led) for (const peer of this.peers) this.send(pass, peer, [wholly(led.rows)]);
    if (operations.length > 0) this.run(...operations);
    if (!leads && led) {
      await this.receive(pass, this.peers[0], [wholly(led.rows)]);
      if (led.finish) this.run(led.finish);
    }
    const columns = (from: number, to: number) => {
      return made.filter((one) => one.for === "all" || to === 0).map((one) => columnsOf(one, this.shapes[from]));
    };
    for (const peer of this.peers) this.send(pass, peer, columns(this.index, peer.index));
    for (const peer of this.peers) await this.receive(pass, peer, columns(peer.index, this.index));
  }

  private send(pass: number, peer: Peer, columns: readonly Columns[]): void {
    if (columns.length === 0) return;
    const data = peer.buffer(bytesOf(columns));
    const target = new Uint8Array(data);
    let done = 0;
    each(columns, (at, bytes) => {
      target.set(this.bytes.subarray(at, at + bytes), done);
      done += bytes;
    });
    peer.post({ type: "data", pass, data }, [data]);
  }

  private async receive(pass: number, peer: Peer, columns: readonly Columns[]): Promise<void> {
    if (columns.length === 0) return;
    const start = performance.now();
    const data = await peer.data(pass);
    this.waited(performance.now() - start);
    const source = new Uint8Array(data);
    let done = 0;
    each(columns, (at, bytes) => {
      this.bytes.set(source.subarray(done, done + bytes), at);
      done += bytes;
    });
    peer.giveBack(data);
  }
}

function wholly(rows: Rows): Columns {
  return { rows, ranges: [{ from: 0, bytes: rows.stride }] };
}

function columnsOf({ rows, linear }: NonNullable<Step["made"]>[number], shape: WeightShape): Columns {
  const ranges = linear(shape).parts.map(({ firstRow, rows: count }) => ({ from: 4 * firstRow, bytes: 4 * count }));
  return { rows, ranges };
}

function bytesOf(columns: readonly Columns[]): number {
  return columns.reduce((sum, { rows, ranges }) => {
    return sum + rows.count * ranges.reduce((width, { bytes }) => width + bytes, 0);
  }, 0);
}

/** Every stretch of bytes in its order. */
function each(columns: readonly Columns[], work: (at: number, bytes: number) => void): void {
  for (const { rows, ranges } of columns) {
    for (let row = 0; row < rows.count; row++) {
      for (const { from, bytes } of ranges) work(rows.at + row * rows.stride + from, bytes);
    }
  }
}
