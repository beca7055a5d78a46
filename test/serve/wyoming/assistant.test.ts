/** Sentences over Wyoming, to the embedded model in a house, and to a model that converses. */

import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type Home, openHome, readHouseFile } from "../../../devices/node/home/index.ts";
import type { ChatMessage, Phi } from "../../../devices/node/index.ts";
import { PiPhiError } from "../../../runtime/errors.ts";
import { type AssistantParts, assistantOf } from "../../../tools/serve/wyoming/assistant.ts";
import { CONNECTION_LIMITS } from "../../../tools/serve/wyoming/connection.ts";
import { History } from "../../../tools/serve/wyoming/history.ts";
import { infoOf } from "../../../tools/serve/wyoming/info.ts";
import { type Listening, listenWyoming } from "../../../tools/serve/wyoming/listen.ts";
import { FakeHomeAssistant, TOKEN } from "../../fixtures/home-assistant.ts";
import { WyomingClient } from "../../fixtures/wyoming.ts";

const HOUSE = fileURLToPath(new URL("../../../examples/house.yaml", import.meta.url));
const toClose: (() => unknown)[] = [];
let example: Home;

beforeAll(async () => {
  example = await openHome({ house: readHouseFile(HOUSE) });
  toClose.push(() => example.close());
});
afterAll(async () => {
  for (const close of toClose.reverse()) await close();
});

async function client(parts: AssistantParts): Promise<WyomingClient> {
  const listening: Listening = await listenWyoming(
    { kind: "tcp", host: "127.0.0.1", port: 0 },
    {
      assistant: assistantOf(parts),
      history: new History(),
      info: () => infoOf({ version: "1.2.3" }),
      limits: CONNECTION_LIMITS,
      onTurn: () => undefined,
    },
    10,
  );
  toClose.push(() => listening.close(0));
  const { address } = listening;
  const one = await WyomingClient.connect(address.kind === "tcp" ? address.port : 0);
  toClose.push(() => one.close());
  return one;
}

/** A model that says what it is told to, and remembers what it was asked. */
function talker(...answers: (string[] | Error)[]) {
  const asked: (readonly ChatMessage[])[] = [];
  const chat = (messages: readonly ChatMessage[]) => {
    asked.push(messages);
    const answer = answers[Math.min(asked.length, answers.length) - 1];
    const deltas = async function* () {
      if (answer instanceof Error) throw answer;
      for (const text of answer) yield { text, tokens: [] };
    };
    return deltas() as unknown as ReturnType<Phi["chat"]>;
  };
  return { asked, talk: async () => ({ chat }) as unknown as Phi };
}

it("a command is answered by an intent, with the template of what is said", async () => {
  const one = await client({ home: async () => example });
  const [event, ...others] = await one.turn("turn on the worktop light", { conversation_id: "c" });
  expect(others).toEqual([]);
  expect(event).toEqual({
    type: "intent",
    data: {
      name: "HassTurnOn",
      entities: [{ name: "name", value: "Worktop Light" }],
      text: expect.stringContaining("Turned on"),
      context: { conversation_id: "c" },
    },
  });
});

it("two commands come framed, in order", async () => {
  const one = await client({ home: async () => example });
  const events = await one.turn("turn on the worktop light and set a timer for ten minutes");
  expect(events.map(({ type }) => type)).toEqual(["intents-start", "intent", "intent", "intents-stop"]);
  expect(events[1].data).toMatchObject({ name: "HassTurnOn" });
  expect(events[2].data).toMatchObject({ name: "HassStartTimer", entities: [{ name: "minutes", value: 10 }] });
});

it("the area comes from the satellite or device; one that the house does not know is none", async () => {
  const server = await FakeHomeAssistant.start();
  const home = await openHome({ homeAssistant: { url: server.url, token: TOKEN } });
  toClose.push(
    () => server.stop(),
    () => home.close(),
  );
  const one = await client({ home: async () => home });
  const slots = async (context: Record<string, unknown>) =>
    (await one.turn("turn on the lights", context))[0].data.entities;
  const kitchen = expect.arrayContaining([{ name: "area", value: "Kitchen" }]);
  expect(await slots({ satellite_id: "assist_satellite.kitchen" })).toEqual(kitchen);
  expect(await slots({ device_id: "speaker" })).toEqual(kitchen);
  expect(await slots({ device_id: "a-phone" })).not.toEqual(kitchen);
});

it("without a model that converses, the rest is not recognized", async () => {
  const one = await client({ home: async () => example });
  expect(await one.turn("tell me a joke")).toMatchObject([{ type: "not-recognized" }]);
});

it("with one, commands go to the embedded model and the rest to it, told of the house as it is now", async () => {
  const server = await FakeHomeAssistant.start();
  const home = await openHome({ homeAssistant: { url: server.url, token: TOKEN } });
  toClose.push(
    () => server.stop(),
    () => home.close(),
  );
  const { asked, talk } = talker(["It is ", "on."], ["Yes."]);
  const one = await client({ home: async () => home, talk });
  const context = { conversation_id: "c" };
  expect((await one.turn("turn off the kitchen light", context))[0]).toMatchObject({
    type: "intent",
    data: { name: "HassTurnOff" },
  });
  expect(asked).toEqual([]);
  const events = await one.turn("tell me a story about my kitchen light", context);
  expect(events.at(-1)).toMatchObject({ type: "handled", data: { text: "It is on." } });
  const [system, ...others] = asked[0];
  expect(system.role).toBe("system");
  expect(system.content).toContain("Kitchen Light (Kitchen): on, brightness 50 %");
  expect(system.content).not.toContain("Secret");
  expect(others).toMatchObject([
    { role: "user", content: "turn off the kitchen light" },
    { role: "assistant" },
    { role: "user", content: "tell me a story about my kitchen light" },
  ]);
});

it("where a conversation does not fit, its oldest turns are left out; what still does not fit is told", async () => {
  const tooLong = new PiPhiError("E_PROMPT_TOO_LONG", "Too long. Shorten it.");
  const first = talker(["a"], ["b"], tooLong, ["c"]);
  const one = await client({ talk: first.talk });
  for (const text of ["one", "two", "three"]) await one.turn(text, { conversation_id: "c" });
  expect(first.asked.slice(2).map((messages) => messages.slice(1).map(({ content }) => content))).toEqual([
    ["one", "a", "two", "b", "three"],
    ["two", "b", "three"],
  ]);
  const other = await client({ talk: talker(tooLong).talk });
  expect((await other.turn("x")).at(-1)).toEqual({
    type: "error",
    data: { text: "Too long. Shorten it.", code: "E_PROMPT_TOO_LONG" },
  });
});

it.each([
  ["NUL", "\0"],
  ["half a character", "\ud800"],
  ["SQL", "'; DROP TABLE lights; --"],
  ["a template", "{{ 1/0 }}"],
  ["very long", "a".repeat(5000)],
  ["a direction mark", "\u202e"],
  ["nothing", ""],
])("a sentence without sense is no command: %s", async (_, text) => {
  const one = await client({ home: async () => example });
  const [event] = await one.turn(text);
  expect(event.type).toBe("not-recognized");
});
