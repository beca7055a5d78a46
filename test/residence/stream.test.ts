/** The team's end of the stream at the moments in which the reader meets a fault. */

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { STREAM_BYTES, StreamConsumer, StreamFault } from "../../runtime/residence/stream.ts";

/** As the file's first comment draws them. */
const FILLED = 0;
const ORIGIN = 68 / 4;
const FAULT = 132 / 4;
const SLOT_BYTES = 64;
const SLOTS_AT = 1024;

let words: Int32Array;
let consumer: StreamConsumer;
beforeEach(() => {
  const buffer = new SharedArrayBuffer(4096);
  const units = [0, 1, 2, 3].map((i) => ({ offset: i * SLOT_BYTES, bytes: SLOT_BYTES, address: 0, streamIndex: i }));
  words = new Int32Array(buffer, 0, STREAM_BYTES / 4);
  consumer = new StreamConsumer({ buffer, words: 0, units, address: SLOTS_AT, slots: 3, slotBytes: SLOT_BYTES });
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** What the reader says when a read of the current order fails. */
const meetFault = () => void Atomics.store(words, FAULT, Atomics.load(words, ORIGIN) + 1);

describe("a fault", () => {
  test("leaves the units that were filled before it, also to a thread that looked just before they were", () => {
    const { load } = Atomics;
    let looked = false;
    vi.spyOn(Atomics, "load").mockImplementation(((array: Int32Array, index: number) => {
      const value = load(array, index);
      if (index === FILLED && !looked) {
        looked = true;
        Atomics.store(words, FILLED, 1);
        meetFault();
      }
      return value;
    }) as typeof Atomics.load);
    expect(consumer.acquire(0)).toBe(SLOTS_AT);
    expect(() => consumer.acquire(1)).toThrow(StreamFault);
  });

  test("is seen by a thread that is about to wait", () => {
    const { wait } = Atomics;
    vi.spyOn(Atomics, "wait").mockImplementation(((array: Int32Array, index: number, value: number, ms?: number) => {
      meetFault();
      Atomics.notify(words, FILLED);
      return wait(array, index, value, ms ?? 1000);
    }) as typeof Atomics.wait);
    expect(() => consumer.acquire(0)).toThrow(StreamFault);
    expect(Atomics.wait).toHaveBeenCalledTimes(1);
    expect(vi.mocked(Atomics.wait).mock.calls[0][3]).toBeLessThan(1000);
  });

  test("is over once the order begins anew, even if the reader tells of it only then", () => {
    const late = Atomics.load(words, ORIGIN) + 1;
    consumer.restart();
    const origin = Atomics.load(words, ORIGIN);
    Atomics.store(words, FAULT, late);
    consumer.retry();
    expect(Atomics.load(words, ORIGIN)).toBe(origin);
    const { wait } = Atomics;
    vi.spyOn(Atomics, "wait").mockImplementation(((array: Int32Array, index: number, value: number) => {
      Atomics.store(words, FILLED, origin + 1);
      return wait(array, index, value, 1000);
    }) as typeof Atomics.wait);
    expect(consumer.acquire(0)).toBe(SLOTS_AT + (origin % 3) * SLOT_BYTES);
    meetFault();
    consumer.retry();
    expect(Atomics.load(words, ORIGIN)).not.toBe(origin);
  });
});
