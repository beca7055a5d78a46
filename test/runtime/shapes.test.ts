/** Answers held to a shape by whole engines: the same tokens however they are computed, and a document that meets it. */

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { load, type Phi } from "../../devices/node/index.ts";
import type { GenerateOptions } from "../../runtime/api.ts";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryFile } from "../fixtures/temporary.ts";
import { prove } from "../shape/proof.ts";

const SCHEMA = {
  type: "object",
  properties: {
    intent: { enum: ["HassTurnOn", "HassTurnOff", "HassLightSet"] },
    name: { type: "string", maxLength: 12 },
    brightness: { type: "integer", minimum: 0, maximum: 100 },
  },
  required: ["intent", "name"],
  additionalProperties: false,
};
const WARM: GenerateOptions = { schema: SCHEMA, temperature: 1.5, topK: 0, topP: 1, minP: 0, seed: 3, maxTokens: 100 };

let file: string;
let phi: Phi;
beforeAll(async () => {
  file = temporaryFile("shapes.gguf", randomModel({ contextLength: 256, seed: 9 }));
  phi = await load(file, { threads: 1, parallel: 4 });
});
afterAll(() => phi.close());

test("complete answers of a model without sense are what their shapes ask for", async () => {
  const answer = async (ask: object, seed: number) => phi.generate("x", { ...WARM, schema: undefined, ...ask, seed });
  const report = await prove(answer, 77, 0, 300);
  expect(report.complete).toBeGreaterThan(200);
});

describe("the same tokens", () => {
  const seeds = [1, 2, 3, 4, 5, 6];
  const answers = (one: Phi, options: GenerateOptions = {}) =>
    Promise.all(seeds.map(async (seed) => (await one.generate("turn", { ...WARM, ...options, seed })).tokens));
  let alone: number[][];
  beforeAll(async () => {
    alone = [];
    for (const seed of seeds) alone.push((await phi.generate("turn", { ...WARM, seed })).tokens);
  });

  test("side by side", async () => expect(await answers(phi)).toEqual(alone));
  test("with guesses", async () => expect(await answers(phi, { drafts: 7 })).toEqual(alone));
  test("with the chances of each", async () => {
    expect(await answers(phi, { logprobs: 2 })).toEqual(alone);
    const { tokens, logprobs } = await phi.generate("turn", { ...WARM, logprobs: 1 });
    expect(logprobs!.map(({ id }) => id)).toEqual(tokens);
  });
  test.each([2, 3])("with %i threads", async (threads) => {
    await using other = await load(file, { threads });
    expect(await answers(other)).toEqual(alone);
  });
  test("in a session, and after it", async () => {
    await using session = await phi.session();
    const inSession = await session.generate("turn", { ...WARM, seed: seeds[0] });
    expect(inSession.tokens).toEqual(alone[0]);
    const next = await session.generate(`turn${inSession.text} on`, { ...WARM, seed: 1 });
    expect(next.tokens).toEqual((await phi.generate(`turn${inSession.text} on`, { ...WARM, seed: 1 })).tokens);
  });
  test("in generateAll", async () => {
    const { results } = await phi.generateAll(["turn"], { ...WARM, seed: seeds[1] });
    expect(results[0].tokens).toEqual(alone[1]);
  });
});

test("one that is cut says length, one that is complete eos; stop texts still stop", async () => {
  const cut = await phi.generate("turn", { ...WARM, maxTokens: 5 });
  expect(cut.stopReason).toBe("length");
  const whole = await phi.generate("turn", { choices: ["one two three"] });
  expect(whole).toMatchObject({ text: "one two three", stopReason: "eos" });
  const stopped = await phi.generate("turn", { choices: ["one two three"], stop: ["two"] });
  expect(stopped).toMatchObject({ text: "one ", stopReason: "stop" });
});

test("what a shape forces costs no pass of its own", async () => {
  const choices = ["the quick brown fox jumps over the lazy dog"];
  const { tokens, drafts } = await phi.generate("turn", { choices, drafts: 1 });
  expect(tokens.length).toBeGreaterThan(20);
  expect(drafts!.passes).toBeLessThanOrEqual(1);
});

test.each<[string, GenerateOptions, string]>([
  ["a wrong schema", { schema: { type: "strin" } }, "E_SHAPE"],
  ["a wrong expression", { regex: "(" }, "E_SHAPE"],
  ["two shapes", { regex: "a", choices: ["a"] }, "E_USAGE"],
  ["no end", { regex: "a", ignoreEos: true }, "E_USAGE"],
])("%s is refused before anything is computed", async (_, options, code) => {
  await expect(phi.generate("turn", options)).rejects.toMatchObject({ code });
  await expect(phi.chat([{ role: "user", content: "turn" }], options)).rejects.toMatchObject({ code });
  expect(await phi.status()).toMatchObject({ running: 0, waiting: 0 });
});

test("the embedded model answers with a document that meets a schema", async () => {
  await using embedded = await load();
  const schema = { ...SCHEMA, properties: { ...SCHEMA.properties, name: { enum: ["Kitchen Light", "Lamp"] } } };
  const { text, stopReason } = await embedded.chat([{ role: "user", content: "turn on the lamp" }], { schema });
  expect(stopReason).toBe("eos");
  expect(JSON.parse(text)).toMatchObject({ intent: "HassTurnOn", name: "Lamp" });
});
