/** Sequences that go from session to session, with room to put caches aside and without. */

import { beforeAll, describe, expect, test } from "vitest";
import { Pool, Tenant } from "../../runtime/cache/pool.ts";
import { type Compute, Sequence } from "../../runtime/cache/sequence.ts";
import { Sessions } from "../../runtime/engine/sessions.ts";
import { computeOf, logitsOf } from "../fixtures/compute.ts";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryFile } from "../fixtures/temporary.ts";

const IDS = Array.from({ length: 150 }, (_, i) => (i * 37) % 251);

let compute: Compute;
beforeAll(async () => {
  const file = temporaryFile("pool.gguf", randomModel({ contextLength: 96 }));
  compute = await computeOf(file, { contextLength: 96, parallel: 2 });
});

const sequences = (count: number) => Array.from({ length: count }, (_, i) => new Sequence(compute, i));
const cacheOf = (sequence: Sequence) => [...sequence.pieces()].map((piece) => piece.slice());

describe("with room", () => {
  test("a cache comes back bit for bit, also one that has rolled", async () => {
    const pool = new Pool(sequences(1), Number.POSITIVE_INFINITY);
    const [a, b] = [new Tenant(), new Tenant()];
    const read = async (tenant: Tenant, ids: readonly number[]) => {
      const sequence = pool.take(tenant);
      await logitsOf(sequence, ids);
      return cacheOf(sequence);
    };
    const caches = [await read(a, IDS), await read(b, IDS.slice(0, 50))];
    expect(pool.take(a).dropped).toBeGreaterThan(0);
    expect(pool.take().length).toBe(0);
    expect(cacheOf(pool.take(b))).toEqual(caches[1]);
    expect(cacheOf(pool.take(a))).toEqual(caches[0]);
    expect([pool.tokensOf(a), pool.tokensOf(b)]).toEqual([IDS, IDS.slice(0, 50)]);
    pool.leave(a);
    expect(pool.take(a).length).toBe(0);
  });

  test("caches that were put aside can be given back: their tokens stay, to be read again", async () => {
    const pool = new Pool(sequences(1), Number.POSITIVE_INFINITY);
    const [a, b] = [new Tenant(), new Tenant()];
    await logitsOf(pool.take(a), IDS.slice(0, 40));
    await logitsOf(pool.take(b), IDS.slice(0, 50));
    expect(pool.giveBack()).toBeGreaterThan(0);
    expect(pool.giveBack()).toBe(0);
    expect(pool.tokensOf(a)).toEqual(IDS.slice(0, 40));
    expect([pool.take(a).length, pool.take(b).length]).toEqual([0, 50]);
  });

  test("the one that was longest without work goes", async () => {
    const [first, second] = sequences(2);
    const pool = new Pool([first, second], Number.POSITIVE_INFINITY);
    const [a, b, c] = [new Tenant(), new Tenant(), new Tenant()];
    expect([pool.take(a), pool.take(b), pool.take(a), pool.take(c)]).toEqual([first, second, first, second]);
    expect(pool.take(a)).toBe(first);
    expect(pool.takeSeveral(9)).toHaveLength(2);
    expect(pool.takeSeveral(1)).toHaveLength(1);
  });

  test("what belongs to nobody stays nobody's", async () => {
    const pool = new Pool(sequences(2), Number.POSITIVE_INFINITY);
    await logitsOf(pool.take(), IDS.slice(0, 9));
    await logitsOf(pool.take(new Tenant()), IDS.slice(0, 5));
    expect(pool.take().length).toBe(9);
    const [a, b] = [new Tenant(), new Tenant()];
    expect([pool.take(a).length, pool.take(b).length]).toEqual([0, 0]);
  });
});

test("without room only the tokens stay, and the room is what is free of it", async () => {
  const [sequence] = sequences(1);
  await logitsOf(sequence, IDS.slice(0, 40));
  const bytes = sequence.cacheBytes();
  sequence.truncate(0);
  const pool = new Pool([sequence], bytes);
  const [a, b, c] = [new Tenant(), new Tenant(), new Tenant()];
  for (const tenant of [a, b, c]) await logitsOf(pool.take(tenant), IDS.slice(0, 40));
  pool.take();
  // The first was put aside; the others found no room.
  expect([a, b, c].map((tenant) => tenant.luggage.cache !== undefined)).toEqual([true, false, false]);
  expect(pool.take(b).length).toBe(0);
  expect(pool.tokensOf(b)).toEqual(IDS.slice(0, 40));
  expect(pool.take(c).length).toBe(0);
  expect(pool.tokensOf(b)).toEqual(IDS.slice(0, 40)); // not read again meanwhile
  pool.leave(a);
  await logitsOf(pool.take(b), IDS.slice(0, 40));
  pool.take(c);
  expect(b.luggage.cache).toHaveLength(bytes);
});

test("a session that is not read again to its end, since that was cancelled, still has all its tokens", async () => {
  const ids = IDS.slice(0, 90);
  const pool = new Pool(sequences(1), 0);
  let going = true;
  const sessions = new Sessions({
    device: { open: () => expect.unreachable() },
    pool,
    contextLength: 96,
    vocabSize: 256,
    target: async () => ({ model: "m", modelHash: "h", kv: "int8", contextLength: 96 }),
    opening: () => ids,
    start() {},
    pause: async () => going,
    checkpoint() {},
  });
  const { session } = await sessions.begin("a text");
  pool.take();
  going = false;
  await expect(sessions.export(session, "")).rejects.toMatchObject({ code: "E_CANCELLED" });
  expect(sessions.tokens(session)).toEqual(ids);
  going = true;
  const restored = await sessions.restore(await sessions.export(session, ""));
  expect(sessions.tokens(restored.session)).toEqual(ids);
});
