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
 *   132 fault      set when a read failed, to one more than the origin of the order that ends so; the reader fills nothing
 *                  more, and waits for a new origin
 *   136 closed     set when the reader shall end
 *   140 letGo      how many of the units that had a place of their own pass through the ring, too, the last ones first; the
 *                  leader writes it between passes, and begins the order anew
 *
 * After a pass that was cut short, the leader sets a new origin beyond everything that may have been asked for, so that
 * the next pass finds its first unit next. Not the page cache: a cyclic scan over an LRU cache evicts what comes next.
 */

import type { Unit } from "../weights/units.ts";

export const STREAM_BYTES = 192;
const FILLED = 0;
const RELEASED = 64 / 4;
const ORIGIN = 68 / 4;
const PASS_START = 128 / 4;
const FAULT = 132 / 4;
const CLOSED = 136 / 4;
const LET_GO = 140 / 4;
/** Who waits for a unit looks up this often: a fault wakes only those that wait already, and leaves their word as it is. */
const PATIENCE_MS = 100;

/** Thrown on every thread of the team when the weights' reader failed; never leaves the engine. */
export class StreamFault extends Error {}

/** The words of a stream, and through how many slots it carries units. */
export interface StreamPlace {
  buffer: ArrayBufferLike;
  /** Address of the words. */
  words: number;
  /** All units in the order of use, those that stay included. */
  units: readonly Unit[];
  address: number;
  slots: number;
  slotBytes: number;
}

function wordsOf({ buffer, words }: StreamPlace): Int32Array {
  return new Int32Array(buffer, words, STREAM_BYTES / 4);
}

/** Which units pass through the ring, after the last `letGo` of those with a place of their own have lost it. */
class Order {
  readonly passing: readonly Unit[];
  /** The place of each unit among those that pass, or -1 for one that stays. */
  readonly places: readonly number[];
  /** The unit that goes next, and the one that went last, of those with a place. */
  readonly nextToGo: Unit | undefined;
  readonly lastGone: Unit | undefined;

  constructor(
    units: readonly Unit[],
    readonly letGo: number,
  ) {
    const placed = units.filter(({ address }) => address > 0);
    const staying = new Set(placed.slice(0, placed.length - letGo));
    this.passing = units.filter((unit) => !staying.has(unit));
    let place = 0;
    this.places = units.map((unit) => (staying.has(unit) ? -1 : place++));
    this.nextToGo = placed[placed.length - letGo - 1];
    this.lastGone = placed[placed.length - letGo];
  }
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

/** What brings the forward pass the units that do not stay. */
export type Stream = Pick<StreamConsumer, keyof StreamConsumer>;

/** The team's end: every thread has one. */
export class StreamConsumer {
  private readonly words: Int32Array;
  private readonly numbers: Numbers;
  private known: Order;
  /** Leader: the unit that shall have its place again; whether its bytes are there. */
  private returning: Unit | undefined;
  private returned = false;

  constructor(private readonly place: StreamPlace) {
    this.words = wordsOf(place);
    this.numbers = new Numbers(place);
    this.known = new Order(place.units, 0);
  }

  /** Whether a unit passes through the ring. */
  carries(index: number): boolean {
    return this.order().places[index] >= 0;
  }

  /** Weight bytes of a pass that come through the ring. */
  get passingBytes(): number {
    return this.order().passing.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Waits until a unit that is carried is there; its address. Throws StreamFault, on all threads of the team alike. */
  acquire(index: number): number {
    const { words, numbers } = this;
    const number = this.numberOf(index);
    for (;;) {
      // In this order: nothing is filled after a fault, so that all threads conclude the same from both.
      const faulty = this.faulty();
      const filled = Atomics.load(words, FILLED);
      if (numbers.before(number, filled)) return numbers.slot(number);
      if (faulty) throw new StreamFault();
      Atomics.wait(words, FILLED, filled, PATIENCE_MS);
    }
  }

  /** Leader: the team is through with a unit that is carried. */
  release(index: number): void {
    const { numbers, place } = this;
    const number = this.numberOf(index);
    const unit = place.units[index];
    if (unit === this.returning) {
      const slot = numbers.slot(number);
      new Uint8Array(place.buffer).copyWithin(unit.address, slot, slot + unit.bytes);
      this.returned = true;
    }
    this.setReleased(numbers.plus(number, 1));
  }

  /** Leader, after a whole pass: the next begins where this one ended, or anew with one unit less. */
  endPass(): void {
    const { passing, letGo } = this.order();
    const start = Atomics.load(this.words, PASS_START);
    Atomics.store(this.words, PASS_START, this.numbers.plus(start, passing.length));
    if (!this.returned) return;
    this.setLetGo(letGo - 1);
    this.restart();
  }

  /**
   * Leader, between passes: units lose their place until `bytes` are free. `giveBack` hands a unit's memory to the system;
   * false where it cannot. Returns the bytes that are free.
   */
  letGo(bytes: number, giveBack: (unit: Unit) => boolean): number {
    let free = 0;
    let order = this.order();
    while (free < bytes && order.nextToGo && giveBack(order.nextToGo)) {
      free += order.nextToGo.bytes;
      this.setLetGo(order.letGo + 1);
      order = this.order();
    }
    if (free > 0) this.restart();
    return free;
  }

  /** Leader: bytes of the unit that went last, which is the next to return; 0 if all have their places. */
  get returnableBytes(): number {
    return this.order().lastGone?.bytes ?? 0;
  }

  /** Leader, between passes: the unit that went last returns to its place in the next pass. */
  takeBack(): void {
    this.returning = this.order().lastGone;
  }

  /** Leader, after a pass that was cut short or met a fault: the order begins anew. */
  restart(): void {
    const origin = this.numbers.plus(Atomics.load(this.words, RELEASED), this.place.slots);
    Atomics.store(this.words, PASS_START, origin);
    Atomics.store(this.words, ORIGIN, origin);
    this.setReleased(origin);
  }

  /** Leader, before an answer: a read ahead that failed since the last one is tried again. */
  retry(): void {
    if (this.faulty()) this.restart();
  }

  /** Ends the reader. */
  close(): void {
    Atomics.store(this.words, CLOSED, 1);
    Atomics.notify(this.words, RELEASED);
  }

  /** The leader changes it between passes only, so that in a pass all threads see the same. */
  private order(): Order {
    const letGo = Atomics.load(this.words, LET_GO);
    if (this.known.letGo !== letGo) this.known = new Order(this.place.units, letGo);
    return this.known;
  }

  /** Not after a fault of an order that has been given up: the reader may tell of it at any time. */
  private faulty(): boolean {
    return Atomics.load(this.words, FAULT) === Atomics.load(this.words, ORIGIN) + 1;
  }

  private setLetGo(count: number): void {
    this.returning = undefined;
    this.returned = false;
    Atomics.store(this.words, LET_GO, count);
  }

  private numberOf(index: number): number {
    return this.numbers.plus(Atomics.load(this.words, PASS_START), this.order().places[index]);
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
  private order: Order;
  private origin = 0;
  private next = 0;
  /** Of the next unit, among those that pass. */
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
    this.order = new Order(place.units, 0);
  }

  async run(onFault: (error: unknown) => void): Promise<void> {
    const { words, numbers, place } = this;
    while (Atomics.load(words, CLOSED) === 0) {
      const released = Atomics.load(words, RELEASED);
      if (Atomics.load(words, ORIGIN) !== this.origin) await this.beginAnew();
      const failed = this.error !== undefined;
      const idle = failed || this.order.passing.length === 0;
      if (!idle && numbers.before(this.next, numbers.plus(released, place.slots))) await this.fillNext();
      else if (this.inFlight.size > 0) await Promise.race(this.inFlight);
      else if (failed && !this.reported) this.report(onFault);
      else Atomics.wait(words, RELEASED, released);
    }
    await Promise.all(this.inFlight);
  }

  private report(onFault: (error: unknown) => void): void {
    this.reported = true;
    onFault(this.error);
    Atomics.store(this.words, FAULT, this.origin + 1);
    Atomics.notify(this.words, FILLED);
  }

  private async beginAnew(): Promise<void> {
    await Promise.all(this.inFlight);
    this.filling.length = 0;
    this.error = undefined;
    this.reported = false;
    this.origin = Atomics.load(this.words, ORIGIN);
    this.order = new Order(this.place.units, Atomics.load(this.words, LET_GO));
    this.next = this.origin;
    this.nextIndex = 0;
    Atomics.store(this.words, FILLED, this.origin);
  }

  /** Starts the reads of the next unit, as many at once as the pattern says. */
  private async fillNext(): Promise<void> {
    const { order, pattern, numbers } = this;
    const { offset, bytes } = order.passing[this.nextIndex];
    const number = this.next;
    const address = numbers.slot(number);
    this.next = numbers.plus(number, 1);
    this.nextIndex = (this.nextIndex + 1) % order.passing.length;
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
