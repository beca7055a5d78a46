/** The official client, unmodified, against the server. */

import { Ollama } from "ollama";
import { afterAll, beforeAll, expect, it } from "vitest";
import { httpDoor } from "../../../tools/serve/http/door.ts";
import { randomModel } from "../../fixtures/random-model.ts";
import { temporaryFile } from "../../fixtures/temporary.ts";
import { type Served, serve } from "../serving.ts";

let served: Served;
let client: Ollama;
const messages = [{ role: "user", content: "the light" }];
const options = { num_predict: 6 };

beforeAll(async () => {
  const model = temporaryFile(
    "talker.gguf",
    randomModel({ layers: 2, hiddenSize: 128, contextLength: 512, peaked: 5 }),
  );
  served = await serve(httpDoor, { model, house: true, load: { contextLength: 512, parallel: 2 } });
  client = new Ollama({ host: served.url });
});

afterAll(() => served?.[Symbol.asyncDispose]());

it("lists, shows and counts models", async () => {
  expect((await client.list()).models.map(({ name }) => name)).toEqual(["talker:latest", "piphi-home:latest"]);
  expect((await client.ps()).models.length).toBe(2);
  expect((await client.show({ model: "talker" })).details.family).toBe("phi2");
  expect(await (await fetch(`${served.url}/api/version`)).json()).toEqual({ version: expect.stringMatching(/^\d/) });
});

it("chats, whole and streamed, with durations in nanoseconds", async () => {
  const whole = await client.chat({ model: "talker", messages, options });
  expect(whole).toMatchObject({ done: true, message: { role: "assistant" } });
  expect(whole.eval_count).toBeGreaterThan(0);
  expect(whole.total_duration).toBeGreaterThan(1000);
  const parts = [];
  for await (const part of await client.chat({ model: "talker:latest", messages, options, stream: true }))
    parts.push(part);
  expect(parts.map(({ message }) => message.content).join("")).toBe(whole.message.content);
  expect(parts.map(({ done }) => done)).toEqual([...parts.slice(1).map(() => false), true]);
});

it("generates, raw and not, and holds answers to a format", async () => {
  const { response } = await client.generate({ model: "talker", prompt: "the light", raw: true, options });
  expect(typeof response).toBe("string");
  const format = {
    type: "object",
    properties: { on: { type: "boolean" } },
    required: ["on"],
    additionalProperties: false,
  };
  const held = await client.generate({ model: "talker", prompt: "the light", format, options: { num_predict: 80 } });
  expect(JSON.parse(held.response ?? "")).toEqual({ on: expect.any(Boolean) });
});

it("calls Home Assistant's intents, and says what was done when their results are there", async () => {
  const tool = {
    type: "function",
    function: {
      name: "HassTurnOn",
      description: "",
      parameters: { type: "object", properties: { name: { type: "string" } } },
    },
  };
  const said = [{ role: "user", content: "turn on the reading lamp" }];
  const asked = { model: "piphi-home", messages: said, tools: [tool] };
  const { message } = await client.chat(asked);
  expect(message.tool_calls).toEqual([{ function: { name: "HassTurnOn", arguments: { name: "Reading Lamp" } } }]);
  const results = [...said, message, { role: "tool", tool_name: "HassTurnOn", content: '{"speech":{}}' }];
  const after = await client.chat({ ...asked, messages: results });
  expect(after.message.tool_calls).toBeUndefined();
  expect(after.message.content).toMatch(/\w/);
});

it("unloads and loads by asking for nothing", async () => {
  await client.chat({ model: "talker", messages: [], keep_alive: 0 });
  expect((await client.ps()).models.map(({ name }) => name)).toEqual(["piphi-home:latest"]);
  await client.chat({ model: "talker", messages: [] });
  expect((await client.ps()).models.length).toBe(2);
});

it("says what is wrong, in Ollama's way", async () => {
  await expect(client.chat({ model: "llama9", messages })).rejects.toMatchObject({ status_code: 404 });
  await expect(client.embed({ model: "talker", input: "x" })).rejects.toThrow(/no embeddings/);
  await expect(client.delete({ model: "talker" })).rejects.toMatchObject({ status_code: 403 });
  const wrong = await fetch(`${served.url}/api/chat`, { method: "POST", body: "{" });
  expect([wrong.status, await wrong.json()]).toEqual([400, { error: expect.stringMatching(/no JSON/) }]);
  expect((await client.pull({ model: "talker" })).status).toBe("success");
});

it("loads the model of the house again, after it was unloaded", async () => {
  await client.chat({ model: "piphi-home", messages: [], keep_alive: 0 });
  const said = [{ role: "user", content: "turn on the reading lamp" }];
  const { message } = await client.chat({ model: "piphi-home", messages: said });
  expect(JSON.parse(message.content)).toEqual({ intent: "HassTurnOn", name: "Reading Lamp" });
});
