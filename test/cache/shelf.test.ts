/** Caches that are kept on disk: found again, whatever becomes of the files meanwhile. */

import { existsSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { load } from "../../devices/node/index.ts";
import type { LoadOptions } from "../../runtime/api.ts";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryFile, temporaryPath } from "../fixtures/temporary.ts";

const CONTEXT = 256;
const text = (first: number, length: number) => Array.from({ length }, (_, i) => (first + i * 11) % 250);
const WARM = text(3, 150);
const OPTIONS = { maxTokens: 6, ignoreEos: true };

let file: string;
let home: string;
let expected: number[];
beforeAll(async () => {
  file = temporaryFile("shelf.gguf", randomModel({ contextLength: CONTEXT, peaked: 5 }));
  await using phi = await load(file, { contextLength: CONTEXT });
  expected = (await phi.generate([...WARM, 7], OPTIONS)).tokens;
});
beforeEach(() => {
  home = temporaryPath(`shelf-${Math.random()}`);
  vi.stubEnv("PIPHI_HOME", home);
});
afterAll(() => {
  vi.unstubAllEnvs();
});

const folder = () => path.join(home, "prefixes");
const names = () => (existsSync(folder()) ? readdirSync(folder()) : []);
const cachedAfter = async (options: LoadOptions, ids = WARM) => {
  await using phi = await load(file, { contextLength: CONTEXT, ...options });
  const { tokens, cachedTokens, usage } = await phi.generate([...ids, 7], OPTIONS);
  expect(usage.cachedTokens).toBe(cachedTokens);
  if (ids === WARM) expect(tokens).toEqual(expected);
  return cachedTokens;
};

test("what is to be warm is read before the first request, and after a restart it comes from disk", async () => {
  const progress: number[] = [];
  const onProgress: LoadOptions["onProgress"] = ({ phase, loadedBytes }) => {
    if (phase === "warm") progress.push(loadedBytes);
  };
  expect(await cachedAfter({ warm: [WARM], onProgress })).toBe(WARM.length);
  expect(progress.at(-1)).toBe(WARM.length);
  expect(names()).toHaveLength(1);
  progress.length = 0;
  expect(await cachedAfter({ warm: [WARM], onProgress })).toBe(WARM.length);
  expect(progress).toEqual([]); // nothing was read
  expect(await cachedAfter({ diskCache: "10M" })).toBe(WARM.length); // also where nobody names it
  expect(await cachedAfter({})).toBe(0);
});

test("a part of what is there is as good", async () => {
  await cachedAfter({ warm: [WARM] });
  await using phi = await load(file, { contextLength: CONTEXT, diskCache: "10M" });
  const { cachedTokens, tokens } = await phi.generate([...WARM.slice(0, 100), 1, 2], OPTIONS);
  expect(cachedTokens).toBe(100);
  await using other = await load(file, { contextLength: CONTEXT });
  expect((await other.generate([...WARM.slice(0, 100), 1, 2], OPTIONS)).tokens).toEqual(tokens);
});

test("with room on disk, all that was read is kept when the model is closed; the oldest goes", async () => {
  expect(await cachedAfter({ diskCache: "10M", parallel: 1 })).toBe(0);
  expect(await cachedAfter({ diskCache: "10M" })).toBe(WARM.length);
  const [{ size }] = names().map((name) => ({ size: readFileSync(path.join(folder(), name)).length }));
  const room = Math.floor(size * 2.5);
  for (const first of [50, 60, 70]) {
    for (const name of names()) utimesSync(path.join(folder(), name), new Date(), new Date(Date.now() - 60_000));
    await cachedAfter({ diskCache: room, parallel: 1 }, text(first, 150));
  }
  expect(names().length).toBeLessThanOrEqual(2);
  expect(await cachedAfter({ diskCache: room, parallel: 1 }, text(70, 150))).toBe(150);
});

test("files that are damaged, cut, of another model, or gone are read again", async () => {
  await cachedAfter({ warm: [WARM] });
  const [name] = names();
  const good = readFileSync(path.join(folder(), name));
  const bad = new Uint8Array(good);
  bad[good.length - 100] ^= 1;
  for (const bytes of [bad, good.subarray(0, 200), good.subarray(0, 10), new Uint8Array()]) {
    for (const other of names()) rmSync(path.join(folder(), other));
    writeFileSync(path.join(folder(), name), bytes);
    expect(await cachedAfter({ diskCache: "10M" })).toBe(0);
  }
  writeFileSync(path.join(folder(), name), good);
  const other = temporaryFile("shelf-other.gguf", randomModel({ contextLength: CONTEXT, seed: 2 }));
  await using phi = await load(other, { contextLength: CONTEXT, diskCache: "10M" });
  expect((await phi.generate([...WARM, 7], OPTIONS)).cachedTokens).toBe(0);
});

test("conversations are warm in the model's own format", async () => {
  const system = { role: "system", content: "You are a helpful light. ".repeat(4) } as const;
  await using phi = await load(file, { contextLength: CONTEXT, warm: [[system], "a text"] });
  const { cachedTokens } = await phi.chat([system, { role: "user", content: "on" }], { maxTokens: 1 });
  expect(cachedTokens).toBeGreaterThan(60);
});

test.each([
  ["no array", "text" as never, "E_USAGE"],
  ["an empty text", ["a", ""], "E_PROMPT_EMPTY"],
  ["longer than the context", [[1, 2], text(0, CONTEXT + 1)], "E_PROMPT_TOO_LONG"],
])("%s is refused before anything is loaded", async (_, warm, code) => {
  const progress: string[] = [];
  const loading = load(file, { contextLength: CONTEXT, warm, onProgress: ({ phase }) => void progress.push(phase) });
  await expect(loading).rejects.toMatchObject({ code });
  expect(progress).toEqual([]);
});
