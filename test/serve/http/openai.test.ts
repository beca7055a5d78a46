/** The official client, unmodified, against the server. */

import OpenAI from "openai";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { httpDoor } from "../../../tools/serve/http/door.ts";
import { randomModel } from "../../fixtures/random-model.ts";
import { temporaryFile } from "../../fixtures/temporary.ts";
import { type Served, serve } from "../serving.ts";

const CITY = {
  type: "object",
  properties: { city: { type: "string", maxLength: 8 }, warm: { type: "boolean" } },
  required: ["city", "warm"],
  additionalProperties: false,
};
const WEATHER = { type: "function" as const, function: { name: "weather", description: "now", parameters: CITY } };

let served: Served;
let client: OpenAI;
const ask = { model: "talker", messages: [{ role: "user" as const, content: "the light" }], max_tokens: 8 };

beforeAll(async () => {
  const model = temporaryFile(
    "talker.gguf",
    randomModel({ layers: 2, hiddenSize: 128, contextLength: 512, peaked: 5 }),
  );
  served = await serve(httpDoor, { model, house: true, load: { contextLength: 512, parallel: 4 } });
  client = new OpenAI({ baseURL: `${served.url}/v1`, apiKey: "none", maxRetries: 0 });
});

afterAll(() => served?.[Symbol.asyncDispose]());

describe("models", () => {
  it("are listed, the one that converses first", async () => {
    const { data } = await client.models.list();
    expect(data.map(({ id }) => id)).toEqual(["talker", "piphi-home"]);
    expect(await client.models.retrieve("talker")).toMatchObject({ id: "talker", object: "model" });
    await expect(client.models.retrieve("gpt-9")).rejects.toMatchObject({ status: 404, code: "model_not_found" });
  });
});

describe("chat", () => {
  it("gives the same text whole and streamed, with usage", async () => {
    const whole = await client.chat.completions.create(ask);
    const { message, finish_reason } = whole.choices[0];
    expect(message.role).toBe("assistant");
    expect(["stop", "length"]).toContain(finish_reason);
    expect(whole.usage!.total_tokens).toBe(whole.usage!.prompt_tokens + whole.usage!.completion_tokens);
    const chunks = [];
    const stream = await client.chat.completions.create({
      ...ask,
      stream: true,
      stream_options: { include_usage: true },
    });
    for await (const chunk of stream) chunks.push(chunk);
    expect(chunks[0].choices[0].delta).toMatchObject({ role: "assistant" });
    expect(chunks.flatMap(({ choices }) => choices.map(({ delta }) => delta.content ?? "")).join("")).toBe(
      message.content,
    );
    expect(chunks.at(-2)!.choices[0]).toMatchObject({ delta: {}, finish_reason });
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: whole.usage!.completion_tokens } });
    expect(chunks.at(-1)!.usage!.prompt_tokens_details!.cached_tokens).toBeGreaterThan(0);
  });

  it("gives n answers, the same for a seed, and chances", async () => {
    const asked = { ...ask, n: 3, temperature: 1.5, seed: -7, logprobs: true, top_logprobs: 2 };
    const [one, two] = [await client.chat.completions.create(asked), await client.chat.completions.create(asked)];
    expect(one.choices.map(({ index }) => index)).toEqual([0, 1, 2]);
    expect(one.choices.map(({ message }) => message)).toEqual(two.choices.map(({ message }) => message));
    expect(new Set(one.choices.map(({ message }) => message.content)).size).toBeGreaterThan(1);
    const tokens = one.choices[0].logprobs!.content!;
    expect(tokens.length).toBeGreaterThan(0);
    for (const { logprob, top_logprobs } of tokens) {
      expect(logprob).toBeLessThanOrEqual(0);
      expect(top_logprobs.length).toBe(2);
    }
  });

  it("holds answers to a schema", async () => {
    const format = { type: "json_schema" as const, json_schema: { name: "city", schema: CITY, strict: true } };
    const { choices } = await client.chat.completions.create({ ...ask, max_tokens: 200, response_format: format });
    expect(choices[0].finish_reason).toBe("stop");
    expect(JSON.parse(choices[0].message.content!)).toEqual({ city: expect.any(String), warm: expect.any(Boolean) });
    const broken = { type: "json_schema" as const, json_schema: { name: "no", schema: { type: "nothing" } } };
    const refused = client.chat.completions.create({ ...ask, response_format: broken });
    await expect(refused).rejects.toMatchObject({ status: 400, code: "invalid_schema" });
  });

  it("calls a tool that must be called, with valid arguments", async () => {
    const choice = { type: "function" as const, function: { name: "weather" } };
    const asked = { ...ask, max_tokens: 300, tools: [WEATHER], tool_choice: choice };
    const { choices } = await client.chat.completions.create(asked);
    const [{ message, finish_reason }] = choices;
    expect(finish_reason).toBe("tool_calls");
    const [call] = message.tool_calls!;
    if (call.type !== "function") throw new Error(call.type);
    expect(call.function.name).toBe("weather");
    expect(JSON.parse(call.function.arguments)).toEqual({ city: expect.any(String), warm: expect.any(Boolean) });
    const deltas = [];
    for await (const { choices } of await client.chat.completions.create({ ...asked, stream: true }))
      deltas.push(...choices);
    const streamed = deltas.flatMap(({ delta }) => delta.tool_calls ?? []);
    expect(streamed.map(({ index, function: made }) => [index, made])).toEqual([[0, call.function]]);
    expect(deltas.at(-1)!.finish_reason).toBe("tool_calls");
  });

  it("never refuses a request for its tools, and goes on from their results", async () => {
    const odd = { type: "function" as const, function: { name: "odd", parameters: { type: "object", not: {} } } };
    const { choices } = await client.chat.completions.create({ ...ask, max_tokens: 40, tools: [odd, WEATHER] });
    expect(choices[0].message.content !== null || choices[0].message.tool_calls !== undefined).toBe(true);
    const calls = [
      { id: "c1", type: "function" as const, function: { name: "weather", arguments: '{"city":"Oslo"}' } },
    ];
    const messages = [
      ...ask.messages,
      { role: "assistant" as const, content: null, tool_calls: calls },
      { role: "tool" as const, tool_call_id: "c1", content: "snow" },
    ];
    const answer = await client.chat.completions.create({ ...ask, messages, tools: [WEATHER], tool_choice: "none" });
    expect(answer.choices[0].message.tool_calls).toBeUndefined();
  });

  it("says that a prompt is too long, and what is wrong with a request", async () => {
    const long = [{ role: "user" as const, content: "light ".repeat(2000) }];
    const refused = (change: object) => client.chat.completions.create({ ...ask, ...change } as typeof ask);
    await expect(refused({ messages: long })).rejects.toMatchObject({ status: 400, code: "context_length_exceeded" });
    await expect(refused({ messages: [] })).rejects.toMatchObject({ status: 400, param: "messages" });
    await expect(refused({ temperature: "hot" })).rejects.toMatchObject({ status: 400, param: "temperature" });
    await expect(refused({ max_tokens: -1 })).rejects.toMatchObject({ status: 400, param: "max_tokens" });
    await expect(refused({ model: "gpt-9" })).rejects.toMatchObject({ status: 404, code: "model_not_found" });
    expect((await refused({ nonsense: 1, stop: null, user: "me" })).choices.length).toBe(1);
  });
});

describe("the embedded model", () => {
  const command = "turn on the reading lamp and open the garage door";
  const home = (extra: object = {}, content = command) =>
    client.chat.completions.create({ model: "piphi-home", messages: [{ role: "user", content }], ...extra });
  const intent = (name: string) => ({
    type: "function",
    function: { name, parameters: { type: "object", properties: { name: { type: "string" } } } },
  });

  it("answers commands as JSON, and calls Home Assistant's intents where they are tools", async () => {
    const { choices } = (await home()) as OpenAI.ChatCompletion;
    expect(JSON.parse(choices[0].message.content!)).toEqual([
      { intent: "HassTurnOn", name: "Reading Lamp" },
      { intent: "HassTurnOn", name: "Garage Door" },
    ]);
    const called = (await home({ tools: [intent("HassTurnOn")] })) as OpenAI.ChatCompletion;
    expect(called.choices[0].message.tool_calls).toMatchObject([
      { function: { name: "HassTurnOn", arguments: '{"name":"Reading Lamp"}' } },
      { function: { name: "HassTurnOn", arguments: '{"name":"Garage Door"}' } },
    ]);
    const talk = (await home({ tools: [intent("HassTurnOn")] }, "what do you think of Oslo")) as OpenAI.ChatCompletion;
    expect(talk.choices[0]).toMatchObject({
      finish_reason: "stop",
      message: { content: expect.stringContaining("commands") },
    });
  });
});

describe("completions", () => {
  it("continue texts and ids as they are, with echo and chances", async () => {
    const prompt = "the light";
    const both = await client.completions.create({ model: "talker", prompt: [prompt, prompt], max_tokens: 4 });
    expect(both.choices.map(({ text }) => text)[0]).toBe(both.choices[1].text);
    const asked = { model: "talker", prompt, max_tokens: 0, echo: true, logprobs: 1 };
    const { choices, usage } = await client.completions.create(asked);
    expect(choices[0].text).toBe(prompt);
    expect(usage!.completion_tokens).toBe(0);
    const { tokens, token_logprobs: chances, text_offset: offsets } = choices[0].logprobs!;
    expect(tokens!.join("")).toBe(prompt);
    expect(chances!.slice(1).every((one) => one < 0)).toBe(true);
    expect(chances![0]).toBeNull();
    expect(offsets![1]).toBe(tokens![0].length);
    let streamed = "";
    for await (const { choices: some } of await client.completions.create({
      model: "talker",
      prompt,
      max_tokens: 4,
      stream: true,
    }))
      streamed += some.map(({ text }) => text).join("");
    expect(streamed).toBe(both.choices[0].text);
  });
});

describe("responses", () => {
  it("give a text, streamed too", async () => {
    const asked = { model: "talker", input: "the light", instructions: "be brief", max_output_tokens: 8 };
    const whole = await client.responses.create(asked);
    expect(whole.output[0]).toMatchObject({ type: "message", role: "assistant" });
    let text = "";
    let last = "";
    for await (const event of await client.responses.create({ ...asked, stream: true })) {
      if (event.type === "response.output_text.delta") text += event.delta;
      last = event.type;
    }
    expect(text).toBe(whole.output_text);
    expect(last).toBe(`response.${whole.status}`);
  });
});
