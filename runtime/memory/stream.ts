/**
 * Weights that do not fit pass through a ring of slots: a reader thread fills it in the order in which the forward
 * pass uses the units, round after round, always a few units ahead. Here are both ends.
 *
 * Units are numbered as they pass, modulo a large multiple of the slots: number n lies in slot n mod slots. Words of
 * the control block, a cache line for each that is written often:
 *     0 filled     units before this number have been filled
 *    64 released   units before this number are not needed any more: number n may be filled when n < released + slots
 *    68 origin     the number at which the order began anew
 *   128 passStart  the number of the first unit of the pass that is running (the leader writes it between passes)
 *   132 fault      set when a read failed; the reader then waits for a new origin
 *   136 closed     set when the reader shall end
 *
 * After a pass that was cut short, the leader sets a new origin beyond everything that may have been asked for, so that
 * the next pass finds its first unit next. Not the page cache: a cyclic scan over an LRU cache evicts what comes next.
 */

import type { Unit } from "./layout.ts";

export const STREAM_BYTES = 192;
const FILLED = 0;
const RELEASED = 64 / 4;
const ORIGIN = 68 / 4;
const PASS_START = 128 / 4;
const FAULT = 132 / 4;
const CLOSED = 136 / 4;

/** Thrown on every thread of the team when the weights' reader failed; never leaves the engine. */
export class StreamFault extends Error {}

/** The words of a stream, and how many units it carries through how many slots. */
export interface StreamPlace {
  buffer: ArrayBufferLike;
  /** Address of the words. */
  words: number;
  /** Streamed units in the order of use. */
  units: readonly Unit[];
  address: number;
  slots: number;
  slotBytes: number;
}

function wordsOf({ buffer, words }: StreamPlace): Int32Array {
  return new Int32Array(buffer, words, STREAM_BYTES / 4);
}

/** Numbers of units: they wrap at a multiple of the slots, so that the next slot stays the next. */
class Numbers {
  private readonly modulus: number;

  constructor(private readonly place: StreamPlace) {
    this.modulus = place.slots * 2 ** 24;
  }

  plus(number: number, count: number): number {
    return (number + count) % this.modulus;
  }

  /** Whether `a` comes before `b`; they are never further apart than a pass and a ring. */
  before(a: number, b: number): boolean {
    return (a - b + this.modulus) % this.modulus > this.modulus / 2;
  }

  slot(number: number): number {
    const { address, slots, slotBytes } = this.place;
    return address + (number % slots) * slotBytes;
  }
}

/** The team's end: every thread has one. */
export class StreamConsumer {
  private readonly words: Int32Array;
  private readonly numbers: Numbers;

  constructor(private readonly place: StreamPlace) {
    this.words = wordsOf(place);
    this.numbers = new Numbers(place);
  }

  /** Waits until the streamed unit is there; its address. Throws StreamFault, on all threads of the team alike. */
  acquire({ streamIndex }: Unit): number {
    const { words, numbers } = this;
    const number = numbers.plus(Atomics.load(words, PASS_START), streamIndex);
    for (;;) {
      const filled = Atomics.load(words, FILLED);
      if (numbers.before(number, filled)) return numbers.slot(number);
      if (Atomics.load(words, FAULT) !== 0) throw new StreamFault();
      Atomics.wait(words, FILLED, filled);
    }
  }

  /** Leader: the team is through with a streamed unit. */
  release({ streamIndex }: Unit): void {
    this.setReleased(this.numbers.plus(Atomics.load(this.words, PASS_START), streamIndex + 1));
  }

  /** Leader, after a whole pass: the next begins where this one ended. */
  endPass(): void {
    const start = Atomics.load(this.words, PASS_START);
    Atomics.store(this.words, PASS_START, this.numbers.plus(start, this.place.units.length));
  }

  /** Leader, after a pass that was cut short or met a fault: the order begins anew. */
  restart(): void {
    const origin = this.numbers.plus(Atomics.load(this.words, RELEASED), this.place.slots);
    Atomics.store(this.words, PASS_START, origin);
    Atomics.store(this.words, FAULT, 0);
    Atomics.store(this.words, ORIGIN, origin);
    this.setReleased(origin);
  }

  /** Ends the reader. */
  close(): void {
    Atomics.store(this.words, CLOSED, 1);
    Atomics.notify(this.words, RELEASED);
  }

  private setReleased(number: number): void {
    Atomics.store(this.words, RELEASED, number);
    Atomics.notify(this.words, RELEASED);
  }
}

/** How a file is read: bytes of one read, and how many are under way at once. */
export interface ReadPattern {
  readBytes: number;
  depth: number;
}

/** Reads a span of the weights into memory at an address; rejects with a PiPhiError. */
export type ReadSpan = (offset: number, address: number, bytes: number) => Promise<void>;

/** A unit that is being read. */
interface Filling {
  number: number;
  reads: number;
}

/** The reader's end: fills the ring until it is closed. `onFault` gets each error that stopped it until the next restart. */
export class StreamFiller {
  private readonly words: Int32Array;
  private readonly numbers: Numbers;
  private readonly inFlight = new Set<Promise<void>>();
  /** Units whose reads have been started but are not all done, in order. */
  private readonly filling: Filling[] = [];
  private origin = 0;
  private next = 0;
  /** Of the next unit, among the streamed. */
  private nextIndex = 0;
  private error: unknown;
  private reported = false;

  constructor(
    private readonly place: StreamPlace,
    private readonly read: ReadSpan,
    private readonly pattern: ReadPattern,
  ) {
    this.words = wordsOf(place);
    this.numbers = new Numbers(place);
  }

  async run(onFault: (error: unknown) => void): Promise<void> {
    const { words, numbers, place } = this;
    while (Atomics.load(words, CLOSED) === 0) {
      const released = Atomics.load(words, RELEASED);
      if (Atomics.load(words, ORIGIN) !== this.origin) await this.beginAnew();
      const failed = this.error !== undefined;
      if (!failed && numbers.before(this.next, numbers.plus(released, place.slots))) await this.fillNext();
      else if (this.inFlight.size > 0) await Promise.race(this.inFlight);
      else if (failed && !this.reported) this.report(onFault);
      else Atomics.wait(words, RELEASED, released);
    }
    await Promise.all(this.inFlight);
  }

  private report(onFault: (error: unknown) => void): void {
    this.reported = true;
    onFault(this.error);
    Atomics.store(this.words, FAULT, 1);
    Atomics.notify(this.words, FILLED);
  }

  private async beginAnew(): Promise<void> {
    await Promise.all(this.inFlight);
    this.filling.length = 0;
    this.error = undefined;
    this.reported = false;
    this.origin = Atomics.load(this.words, ORIGIN);
    this.next = this.origin;
    this.nextIndex = 0;
    Atomics.store(this.words, FILLED, this.origin);
  }

  /** Starts the reads of the next unit, as many at once as the pattern says. */
  private async fillNext(): Promise<void> {
    const { place, pattern, numbers } = this;
    const { offset, bytes } = place.units[this.nextIndex];
    const number = this.next;
    const address = numbers.slot(number);
    this.next = numbers.plus(number, 1);
    this.nextIndex = (this.nextIndex + 1) % place.units.length;
    const unit = { number, reads: Math.ceil(bytes / pattern.readBytes) };
    this.filling.push(unit);
    for (let at = 0; at < bytes && this.error === undefined; at += pattern.readBytes) {
      while (this.inFlight.size >= pattern.depth) await Promise.race(this.inFlight);
      const reading: Promise<void> = this.read(offset + at, address + at, Math.min(pattern.readBytes, bytes - at))
        .then(() => this.oneRead(unit))
        .catch((error) => {
          this.error ??= error;
        })
        .finally(() => this.inFlight.delete(reading));
      this.inFlight.add(reading);
    }
  }

  private oneRead(unit: Filling): void {
    unit.reads--;
    while (this.filling[0]?.reads === 0) {
      const { number } = this.filling.shift()!;
      Atomics.store(this.words, FILLED, this.numbers.plus(number, 1));
      Atomics.notify(this.words, FILLED);
    }
  }
}
