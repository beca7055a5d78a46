/** The bookkeeping of tokens that come and go, against a list of which token lies in which place. */

import fc from "fast-check";
import { expect, test } from "vitest";
import { LEAST_ROLLING_CONTEXT, Window } from "../../runtime/cache/window.ts";
import { TILE } from "../../runtime/plan/cache-size.ts";

/** The numbers of the tokens in each place, as a cache would hold them. */
class Cache {
  readonly held: number[] = [];

  constructor(readonly window: Window) {}

  /** Reads tokens as a sequence does. */
  read(tokens: readonly number[]): void {
    for (const token of tokens) {
      if (this.window.room === 0) this.held.splice(TILE, this.window.roll());
      this.held.push(this.window.tokens.length);
      this.window.push([token]);
    }
    this.check();
  }

  /** After tokens were forgotten. */
  cut(): void {
    this.held.length = Math.min(this.held.length, this.window.used);
    this.check();
  }

  private check(): void {
    const { window, held } = this;
    expect(held.length).toBe(window.used);
    expect(window.used + window.room).toBe(this.contextLength);
    for (const [place, number] of held.entries()) {
      expect(number).toBe(place < TILE ? place : place + window.dropped);
    }
  }

  private get contextLength(): number {
    return this.window.used + this.window.room;
  }
}

const contexts = fc.integer({ min: LEAST_ROLLING_CONTEXT, max: 700 });
const texts = fc.array(fc.integer({ min: 0, max: 2 }), { maxLength: 900 });

test("what is held is the first tile and the last tokens, and there is always room for the next", () => {
  fc.assert(
    fc.property(contexts, texts, (contextLength, tokens) => {
      const cache = new Cache(new Window(contextLength));
      cache.read(tokens);
      const { window } = cache;
      expect(window.tokens).toEqual(tokens);
      expect(window.room).toBeGreaterThanOrEqual(0);
      expect(window.dropped % TILE).toBe(0);
      expect(window.dropped > 0).toBe(tokens.length > contextLength);
      // More than the first tile and half of the rest stays.
      if (window.dropped > 0) expect(window.used).toBeGreaterThan(TILE + (contextLength - TILE) / 3);
    }),
  );
});

test("rewinding keeps a common beginning, or nothing; exactly: only what reading anew would also hold", () => {
  const cuts = fc.record({ at: fc.nat(1000), more: texts, exact: fc.boolean() });
  fc.assert(
    fc.property(contexts, texts, fc.array(cuts, { maxLength: 4 }), (contextLength, tokens, steps) => {
      const cache = new Cache(new Window(contextLength));
      const { window } = cache;
      cache.read(tokens);
      for (const { at, more, exact } of steps) {
        const ids = [...window.tokens.slice(0, at), ...more, 1];
        const kept = window.rewind(ids, exact);
        cache.cut();
        expect(window.tokens).toEqual(ids.slice(0, kept));
        expect(kept).toBeLessThan(ids.length);
        if (kept === 0) expect(window.dropped).toBe(0);
        cache.read(ids.slice(kept));
        if (!steps.every((step) => step.exact)) continue;
        const anew = new Cache(new Window(contextLength));
        anew.read(ids);
        expect([...cache.held, window.dropped]).toEqual([...anew.held, anew.window.dropped]);
      }
    }),
  );
});

test("a cut within the window keeps it; one before it keeps nothing", () => {
  const cache = new Cache(new Window(128));
  const tokens = Array.from({ length: 200 }, (_, i) => i);
  cache.read(tokens);
  const { window } = cache;
  expect(window.dropped).toBe(96);
  expect(window.rewind([...tokens, 5], false)).toBe(200);
  expect(window.rewind([...tokens.slice(0, 128), 5], false)).toBe(128);
  cache.cut();
  expect(window.used).toBe(32);
  cache.read([5, 6]);
  expect(window.rewind([...tokens.slice(0, 127), 9], false)).toBe(0);
  expect([window.used, window.dropped, window.room]).toEqual([0, 0, 128]);
});
