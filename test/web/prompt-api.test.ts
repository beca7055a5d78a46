/** `piphi/prompt-api`: a session as the Prompt API's specification has it. */

import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { load, type Phi } from "../../devices/node/index.ts";
import { LanguageModel, polyfill, QuotaExceededError } from "../../devices/web/prompt-api.ts";
import { findChromium, launchChromium } from "../../tools/bench/peers/chromium.mjs";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryFile } from "../fixtures/temporary.ts";
import { startServer } from "./server.ts";

/** Within the page. */
declare const promptApi: typeof import("../../devices/web/prompt-api.ts");

const CONTEXT = 128;
const MODEL = randomModel({ contextLength: 256, peaked: 5 });
const executable = findChromium();
if (!executable) console.warn("piphi/prompt-api is not tested in a page: there is no Chromium.");
const RULES = { responseConstraint: /[ab]{3}/, omitResponseConstraintInput: true };
const SYSTEM = { role: "system", content: "be kind" } as const;

let phi: Phi;
beforeAll(async () => {
  phi = await load(temporaryFile("prompt.gguf", MODEL), {
    contextLength: CONTEXT,
  });
  LanguageModel.use(phi);
});
afterAll(() => phi.close());

const sessions: LanguageModel[] = [];
const create = async (options = {}) => {
  const session = await LanguageModel.create({ samplingMode: "most-predictable", ...options });
  sessions.push(session);
  return session;
};
afterEach(() => {
  for (const session of sessions.splice(0)) session.destroy();
});
const nameOf = (act: PromiseLike<unknown>) => Promise.resolve(act).then(String, ({ name }) => name);

test("tells of the download from 0 to 1, and what it offers", async () => {
  const loaded: number[] = [];
  const session = await create({
    monitor: (target: EventTarget) =>
      target.addEventListener("downloadprogress", (event) => loaded.push((event as ProgressEvent).loaded)),
  });
  expect(loaded).toEqual([0, 1]);
  expect(session).toMatchObject({ contextUsage: 0, contextWindow: CONTEXT });
  expect(await LanguageModel.availability()).toBe("available");
  expect(await LanguageModel.availability({ expectedInputs: [{ type: "audio" }] })).toBe("unavailable");
});

test("answers as chat does, whole and as a stream, and remembers", async () => {
  const session = await create({ initialPrompts: [SYSTEM] });
  const before = session.contextUsage;
  const added = await session.measureContextUsage("the light");
  expect(session.contextUsage).toBe(before);
  const text = await session.prompt("the light", RULES);
  expect(text).toMatch(/^[ab]{3}$/);
  expect(session.contextUsage).toBeGreaterThan(before + added - 1);
  const messages = [SYSTEM, { role: "user", content: "the light" }, { role: "assistant", content: text }] as const;
  const expected = await phi.chat([...messages, { role: "user", content: "and" }], { regex: "[ab]{9}" });
  const pieces: string[] = [];
  for await (const piece of session.promptStreaming("and", { ...RULES, responseConstraint: /[ab]{9}/ }))
    pieces.push(piece);
  expect(pieces.join("")).toBe(expected.text);
});

test("a prefix begins the answer, and only a last message of the assistant can be one", async () => {
  const session = await create();
  const prefix = { role: "assistant", content: "a b", prefix: true } as const;
  const question = { role: "user", content: "the" } as const;
  const expected = await phi.chat([question, { role: "assistant", content: "a b" }], { regex: "[ab]{3}" });
  expect(await session.prompt([question, prefix], RULES)).toBe(expected.text);
  expect(await nameOf(session.prompt([prefix, question], RULES))).toBe("SyntaxError");
  expect(await nameOf(session.prompt([{ ...question, prefix: true }], RULES))).toBe("SyntaxError");
  expect(await nameOf(create({ initialPrompts: [prefix] }))).toBe("SyntaxError");
});

test("a full context drops the oldest and never the initial prompts; what never fits is told with numbers", async () => {
  const session = await create({ initialPrompts: [SYSTEM] });
  let overflows = 0;
  session.oncontextoverflow = () => overflows++;
  const { contextUsage } = session;
  for (let i = 0; i < 12; i++) await session.prompt(`the light ${i}`, RULES);
  expect(overflows).toBeGreaterThan(0);
  expect(session.contextUsage).toBeLessThanOrEqual(CONTEXT);
  const held = session.contextUsage;
  const error = await session.append("light ".repeat(300)).catch((error) => error);
  expect(error).toBeInstanceOf(QuotaExceededError);
  expect(error).toMatchObject({ name: "QuotaExceededError" });
  expect(error.requested).toBeGreaterThan(error.quota);
  expect(error.quota).toBeLessThan(CONTEXT - contextUsage + 10);
  expect(session.contextUsage).toBe(held);
  expect(await nameOf(create({ initialPrompts: [{ role: "user", content: "light ".repeat(300) }] }))).toBe(
    "QuotaExceededError",
  );
});

test("an aborted prompt leaves the session as it was", async () => {
  const session = await create();
  await session.append("the light");
  const { contextUsage } = session;
  const abort = new AbortController();
  const constraint = { responseConstraint: /[ab]{90}/, omitResponseConstraintInput: true };
  const reader = session.promptStreaming("and", { ...constraint, signal: abort.signal }).getReader();
  await reader.read();
  abort.abort();
  const rest = async () => {
    while (!(await reader.read()).done);
  };
  expect(await nameOf(rest())).toBe("AbortError");
  expect(session.contextUsage).toBe(contextUsage);
  expect(await nameOf(session.prompt("x", { signal: AbortSignal.abort() }))).toBe("AbortError");
  expect(await nameOf(LanguageModel.create({ signal: AbortSignal.abort() }))).toBe("AbortError");
  expect(await session.prompt("and", RULES)).toMatch(/^[ab]{3}$/);
});

test("a clone goes on by itself; a destroyed session is gone", async () => {
  const session = await create();
  await session.append("the light");
  const copy = await session.clone();
  sessions.push(copy);
  expect(copy.contextUsage).toBe(session.contextUsage);
  await copy.append("and more");
  expect(copy.contextUsage).toBeGreaterThan(session.contextUsage);
  const running = nameOf(session.prompt("and"));
  session.destroy();
  expect(await running).toBe("AbortError");
  expect(await nameOf(session.prompt("and"))).toBe("InvalidStateError");
  expect(await copy.prompt("and", RULES)).toMatch(/^[ab]{3}$/);
});

test.each([
  ["tools", { tools: [{}] }],
  ["images", { expectedInputs: [{ type: "image" }] }],
  ["a later system message", { initialPrompts: [{ role: "user", content: "a" }, SYSTEM] }],
  ["an unknown sampling mode", { samplingMode: "wild" }],
])("refuses %s", async (_, options) => {
  expect(await nameOf(create(options))).toBe("NotSupportedError");
});

test("refuses inputs and constraints that it cannot meet", async () => {
  const session = await create();
  const image = { role: "user", content: [{ type: "image", value: 1 }] } as const;
  expect(await nameOf(session.prompt([image]))).toBe("NotSupportedError");
  expect(await nameOf(session.prompt([SYSTEM]))).toBe("NotSupportedError");
  expect(await nameOf(session.prompt("a", { responseConstraint: { not: {} } }))).toBe("NotSupportedError");
  expect(await nameOf(session.prompt("a", { responseConstraint: /a/i }))).toBe("NotSupportedError");
  expect(await nameOf(session.prompt([]))).toBe("TypeError");
});

test("the polyfill gives way to the browser's own", () => {
  const place = globalThis as { LanguageModel?: unknown };
  const own = class {};
  place.LanguageModel = own;
  expect(polyfill(phi)).toBe(own);
  delete place.LanguageModel;
  expect(polyfill(phi)).toBe(LanguageModel);
  expect(place.LanguageModel).toBe(LanguageModel);
  delete place.LanguageModel;
});

test.skipIf(!executable)("in Chromium, a model from an address answers as on Node", async () => {
  const server = await startServer(false, new Map([["/prompt.gguf", MODEL]]));
  const browser = await launchChromium(executable!);
  try {
    const page = await browser.newPage();
    await page.goto(server.origin);
    await page.addScriptTag({
      type: "module",
      content: 'globalThis.promptApi = await import("/dist/devices/web/prompt-api.js");',
    });
    await page.waitForFunction("globalThis.promptApi");
    const seen = await page.evaluate(async () => {
      const api = promptApi;
      Reflect.deleteProperty(globalThis, "LanguageModel");
      const { LanguageModel } = globalThis as unknown as { LanguageModel?: typeof api.LanguageModel };
      const own = api.polyfill("/prompt.gguf", { contextLength: 128, store: true });
      const before = await own.availability();
      const loaded: number[] = [];
      const session = await own.create({
        samplingMode: "most-predictable",
        monitor: (target) =>
          target.addEventListener("downloadprogress", (event) => loaded.push((event as ProgressEvent).loaded)),
      });
      const text = await session.prompt("the light", {
        responseConstraint: /[ab]{9}/,
        omitResponseConstraintInput: true,
      });
      const after = await own.availability();
      session.destroy();
      api.LanguageModel.use("/none.gguf");
      const error = await own.create().catch(({ name, message }) => `${name}: ${message}`);
      return { had: LanguageModel !== undefined, before, after, loaded, text, error };
    });
    const expected = await phi.chat([{ role: "user", content: "the light" }], { regex: "[ab]{9}" });
    expect(seen).toMatchObject({ had: false, before: "downloadable", after: "available", text: expected.text });
    expect(seen.loaded.at(0)).toBe(0);
    expect(seen.loaded.at(-1)).toBe(1);
    expect(seen.loaded).toEqual([...new Set(seen.loaded)].sort((a, b) => a - b));
    expect(seen.error).toMatch(/^OperationError: E_/);
  } finally {
    await browser.close();
    server.close();
  }
});
