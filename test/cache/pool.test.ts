/** Sequences that go from session to session, with room to put caches aside and without. */

import { beforeAll, describe, expect, test } from "vitest";
import { nodeDevice } from "../../devices/node/device.ts";
import { Pool, Tenant } from "../../runtime/cache/pool.ts";
import { Sequence } from "../../runtime/cache/sequence.ts";
import { Engine } from "../../runtime/engine/engine.ts";
import { computeOf, logitsOf, type Means } from "../fixtures/compute.ts";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryFile } from "../fixtures/temporary.ts";

const IDS = Array.from({ length: 150 }, (_, i) => (i * 37) % 251);
const OTHER = Array.from({ length: 90 }, (_, i) => (i * 31 + 250) % 251);

let compute: Means;
beforeAll(async () => {
  const file = temporaryFile("pool.gguf", randomModel({ contextLength: 96 }));
  compute = await computeOf(file, { contextLength: 96, parallel: 2 });
});

const sequences = (count: number) => Array.from({ length: count }, (_, i) => new Sequence(compute, i));
const cacheOf = (sequence: Sequence) => [...sequence.pieces()].map((piece) => piece.slice());

/** A pool whose requests end as soon as they have their sequence. */
function visits(pool: Pool) {
  return (tenant?: Tenant, ids: readonly number[] = tenant ? [...pool.tokensOf(tenant), -1] : [-1]) => {
    const sequence = pool.take({ tenant, ids, exact: tenant === undefined })!;
    pool.release(sequence);
    return sequence;
  };
}

describe("with room", () => {
  test("a session's cache comes back bit for bit, also one that has rolled", async () => {
    const pool = new Pool(sequences(1), Number.POSITIVE_INFINITY);
    const take = visits(pool);
    const [a, b] = [new Tenant(), new Tenant()];
    const read = async (tenant: Tenant, ids: readonly number[]) => {
      const sequence = take(tenant);
      await logitsOf(compute, sequence, ids);
      return cacheOf(sequence);
    };
    const caches = [await read(a, IDS), await read(b, OTHER.slice(0, 50))];
    expect(take(a).dropped).toBeGreaterThan(0);
    expect(take().length).toBe(0);
    expect(cacheOf(take(b))).toEqual(caches[1]);
    expect(cacheOf(take(a))).toEqual(caches[0]);
    expect([pool.tokensOf(a), pool.tokensOf(b)]).toEqual([IDS, OTHER.slice(0, 50)]);
    pool.leave(a);
    expect(take(a).length).toBe(0);
  });

  test("caches that were put aside can be given back: their tokens stay, to be read again", async () => {
    const pool = new Pool(sequences(1), Number.POSITIVE_INFINITY);
    const take = visits(pool);
    const [a, b] = [new Tenant(), new Tenant()];
    await logitsOf(compute, take(a), IDS.slice(0, 40));
    await logitsOf(compute, take(b), OTHER.slice(0, 50));
    expect(pool.giveBack()).toBeGreaterThan(0);
    expect(pool.giveBack()).toBe(0);
    expect(pool.tokensOf(a)).toEqual(IDS.slice(0, 40));
    expect([take(a, IDS).length, take(b).length]).toEqual([0, 50]);
  });

  test("the session that was longest without work goes, and none whose request runs", () => {
    const [first, second] = sequences(2);
    const pool = new Pool([first, second], Number.POSITIVE_INFINITY);
    const take = visits(pool);
    const [a, b, c] = [new Tenant(), new Tenant(), new Tenant()];
    expect([take(a), take(b), take(a), take(c)]).toEqual([first, second, first, second]);
    expect(pool.take({ tenant: c, ids: IDS, exact: false })).toBe(second);
    expect(pool.free).toBe(1);
    expect(pool.take({ tenant: c, ids: IDS, exact: false })).toBeUndefined(); // one request of a session at a time
    expect(take(b)).toBe(first);
    expect(pool.take({ ids: IDS, exact: true })).toBe(first);
    expect(pool.take({ ids: IDS, exact: true })).toBeUndefined();
  });

  test("what belongs to nobody goes before what belongs to a session, and stays aside", async () => {
    const pool = new Pool(sequences(2), Number.POSITIVE_INFINITY);
    const take = visits(pool);
    await logitsOf(compute, take(), IDS.slice(0, 60));
    await logitsOf(compute, take(new Tenant()), OTHER.slice(0, 60));
    expect([take(new Tenant()).length, pool.longest(IDS)]).toEqual([0, 60]);
  });
});

describe("beginnings", () => {
  const [long, short] = [IDS.slice(0, 80), IDS.slice(0, 70)];
  /** What a cache holds when it was read. */
  const read = async (ids: readonly number[]) => {
    const [, sequence] = sequences(2);
    sequence.truncate(0);
    await logitsOf(compute, sequence, ids);
    return cacheOf(sequence);
  };

  test("are copied from a sequence whose request runs, bit for bit", async () => {
    const expected = await read(short);
    const pool = new Pool(sequences(2), 0);
    const running = pool.take({ ids: long, exact: true })!;
    await logitsOf(compute, running, long);
    const second = pool.take({ ids: [...short, 300, 301], exact: true })!;
    expect(second).not.toBe(running);
    expect([second.tokens, running.tokens]).toEqual([short, long]);
    // The last tile has more in it than it was copied for; what is read next overwrites that.
    await logitsOf(compute, second, [300, 301]);
    second.truncate(64);
    expect(cacheOf(second)).toEqual(await cut(expected, 64));
  });

  const cut = async (_: unknown, length: number) => read(IDS.slice(0, length));

  test("come back from what was put aside, the whole of it or a part", async () => {
    for (const asked of [
      [...long, 300],
      [...short.slice(0, 64), 300, 301],
    ]) {
      const pool = new Pool(sequences(1), Number.POSITIVE_INFINITY);
      const take = visits(pool);
      await logitsOf(compute, take(), long);
      expect(take(undefined, OTHER).length).toBe(0);
      expect(pool.status()).toMatchObject({ aside: 1 });
      const back = take(undefined, asked);
      expect(back.tokens).toEqual(asked.filter((id) => id < 300));
      expect(cacheOf(back)).toEqual(await read(back.tokens));
    }
  });

  test("of nobody's caches the oldest go first, before those of sessions, and none is kept twice", async () => {
    const [sequence] = sequences(1);
    await logitsOf(compute, sequence, long);
    const bytes = sequence.cacheBytes();
    sequence.truncate(0);
    const pool = new Pool([sequence], 2 * bytes);
    const take = visits(pool);
    const texts = [0, 1, 2].map((first) => [first, ...long.slice(1)]);
    for (const text of texts) await logitsOf(compute, take(undefined, text), text);
    take(undefined, OTHER);
    expect(texts.map((text) => pool.longest([...text, 300]))).toEqual([0, 80, 80]);
    await logitsOf(compute, take(undefined, [...texts[2], 300]), [300]); // the same and more
    take(undefined, OTHER);
    expect(pool.status().aside).toBe(2);
    const session = new Tenant();
    await logitsOf(compute, take(session, [-1]), OTHER.slice(0, 80));
    take(undefined, [-1]);
    expect(pool.status()).toMatchObject({ aside: 2, asideBytes: 2 * bytes });
    expect(pool.tokensOf(session)).toEqual(OTHER.slice(0, 80));
    pool.giveBack();
    expect(pool.status()).toMatchObject({ aside: 0, asideBytes: 0 });
  });

  test("a prompt that is scored takes none", async () => {
    const pool = new Pool(sequences(1), 0);
    await logitsOf(compute, visits(pool)(), long);
    expect(pool.take({ ids: long, exact: true, anew: true })!.length).toBe(0);
  });
});

test("without room only the tokens stay, and the room is what is free of it", async () => {
  const [sequence] = sequences(1);
  await logitsOf(compute, sequence, IDS.slice(0, 40));
  const bytes = sequence.cacheBytes();
  sequence.truncate(0);
  const pool = new Pool([sequence], bytes);
  const take = visits(pool);
  const tenants = [0, 1, 2].map((first) => ({ tenant: new Tenant(), ids: [first, ...IDS.slice(1, 40)] }));
  for (const { tenant, ids } of tenants) await logitsOf(compute, take(tenant, [-1]), ids);
  take();
  // The first was put aside; the others found no room.
  expect(tenants.map(({ tenant }) => tenant.luggage.cache !== undefined)).toEqual([true, false, false]);
  const [a, b, c] = tenants;
  expect(take(b.tenant).length).toBe(0);
  expect(pool.tokensOf(b.tenant)).toEqual(b.ids);
  expect(take(c.tenant).length).toBe(0);
  expect(pool.tokensOf(b.tenant)).toEqual(b.ids); // not read again meanwhile
  pool.leave(a.tenant);
  await logitsOf(compute, take(b.tenant), b.ids);
  take(c.tenant);
  expect(b.tenant.luggage.cache).toHaveLength(bytes);
});

test("a session that is not read again to its end, since that was cancelled, still has all its tokens", async () => {
  const file = temporaryFile("again.gguf", randomModel({ contextLength: 96 }));
  const engine = await Engine.load(nodeDevice(), file, { contextLength: 96, parallel: 1, ram: "1G" }, () => {});
  try {
    const ids = Array.from({ length: 90 }, (_, i) => (i * 37) % 251);
    const { session } = await engine.sessions.begin("");
    await engine.generate(ids, { maxTokens: 1 }, () => {}, session);
    await engine.generate(OTHER.slice(0, 50), { maxTokens: 1 }, () => {});
    (engine.sessions.get(session).tenant.luggage as { cache?: Uint8Array }).cache = undefined;
    const failing = engine.sessions.export(session, "", 7);
    engine.cancel(7);
    await expect(failing).rejects.toMatchObject({ code: "E_CANCELLED" });
    expect(engine.sessions.tokens(session)).toEqual(ids);
    const restored = await engine.sessions.restore(await engine.sessions.export(session, ""));
    expect(engine.sessions.tokens(restored.session)).toEqual(ids);
  } finally {
    await engine.close();
  }
});
