/** The real Home Assistant, with PiPhi as its Wyoming service: what people say, what happens in the house, what is spoken. */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { spokenTemplate } from "../../runtime/home/answers.ts";
import { CATALOGUE } from "../../runtime/home/catalogue.ts";
import { houseFrom } from "../../runtime/home/house.ts";
import type { Intent } from "../../runtime/home/types.ts";
import { ADDRESS, HomeAssistant } from "./home-assistant.ts";

const CLI = fileURLToPath(new URL("../../dist/tools/cli.js", import.meta.url));
const PORT = 10400;
const HTTP_PORT = 11435;
let home: HomeAssistant;
let serve: ChildProcess;
let agent: string;

/** Names, places and exposure, as an owner sets them. */
async function furnish(): Promise<void> {
  await home.command("config/floor_registry/create", { name: "Upstairs", level: 1, aliases: ["top floor"] });
  await home.command("config/area_registry/update", { area_id: "bedroom", floor_id: "upstairs" });
  await home.command("config/area_registry/update", { area_id: "kitchen", aliases: ["cooking room"] });
  const places = {
    "light.kitchen_light": "kitchen",
    "light.bedroom_light": "bedroom",
    "cover.bedroom_blind": "bedroom",
  };
  for (const [entity_id, area_id] of Object.entries({ ...places, "sensor.kitchen_temperature": "kitchen" })) {
    await home.command("config/entity_registry/update", { entity_id, area_id });
  }
  const aliases = [null, "cooker lamp"];
  await home.command("config/entity_registry/update", { entity_id: "light.kitchen_light", aliases });
  const exposed = { assistants: ["conversation"], entity_ids: ["lock.front_door"], should_expose: true };
  await home.command("homeassistant/expose_entity", exposed);
}

async function startServe(): Promise<ChildProcess> {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "piphi-check-"));
  const token = path.join(folder, "token");
  fs.writeFileSync(token, home.token);
  const args = [
    "--home-assistant",
    ADDRESS,
    "--token-file",
    token,
    "--port",
    `${HTTP_PORT}`,
    "--wyoming-port",
    `${PORT}`,
  ];
  return spawn(process.execPath, [CLI, "serve", ...args], {
    stdio: "inherit",
    env: { ...process.env, PIPHI_HOME: folder },
  });
}

beforeAll(async () => {
  home = await HomeAssistant.start();
  await furnish();
  serve = await startServe();
  await home.addService(PORT);
  agent = await home.agent("conversation.piphi");
});

afterAll(async () => {
  if (serve?.exitCode === null) {
    serve.kill();
    await once(serve, "exit");
  }
  await home?.stop();
});

/** What is said, what becomes of which entity, and what is answered. */
const DEEDS: [string, Record<string, string>, RegExp][] = [
  ["turn on the kitchen light", { "light.kitchen_light": "on" }, /^Turned on/],
  ["switch off the cooker lamp", { "light.kitchen_light": "off" }, /^Turned off/],
  ["switch on the lights in the bedroom", { "light.bedroom_light": "on", "light.kitchen_light": "off" }, /^Turned on/],
  ["turn off the lights upstairs", { "light.bedroom_light": "off" }, /^Turned off/],
  [
    "turn on the light in the cooking room",
    { "light.kitchen_light": "on", "light.bedroom_light": "off" },
    /^Turned on/,
  ],
  ["set the kitchen light to 40 percent", { "light.kitchen_light": "on" }, /^Brightness set/],
  ["turn off all the lights", { "light.kitchen_light": "off", "light.bedroom_light": "off" }, /^Turned off/],
  ["open the bedroom blind", { "cover.bedroom_blind": "open" }, /^Open/],
  ["close the bedroom blind", { "cover.bedroom_blind": "closed" }, /^Clos/],
  ["set the bedroom blind to 50 percent", { "cover.bedroom_blind": "open" }, /^Position set/],
  ["lock the front door", { "lock.front_door": "locked" }, /^Locking/],
  ["unlock the front door", { "lock.front_door": "unlocked" }, /^Unlocking/],
  [
    "turn on the kitchen light and turn on the bedroom light",
    { "light.kitchen_light": "on", "light.bedroom_light": "on" },
    /^Turned on.*\nTurned on/,
  ],
  [
    "turn off the kitchen light and close the bedroom blind",
    { "light.kitchen_light": "off", "cover.bedroom_blind": "closed" },
    /^Turned off.*\nClos/,
  ],
];

describe("commands", () => {
  it.each(DEEDS)("%s", async (sentence, states, speech) => {
    const answer = await home.say(sentence, agent);
    expect(answer).toMatchObject({ type: "action_done", speech: expect.stringMatching(speech) });
    for (const [entity, state] of Object.entries(states)) await home.becomes(entity, state);
  });

  it("brightness and position are those that were said", async () => {
    await home.say("set the kitchen light to 40 percent", agent);
    expect((await home.becomes("light.kitchen_light", "on")).attributes.brightness).toBe(102);
    await home.say("set the bedroom blind to 30 percent", agent);
    expect((await home.becomes("cover.bedroom_blind", "open")).attributes.current_position).toBe(30);
  });
});

describe("questions", () => {
  it.each<[string, RegExp]>([
    ["is the front door locked", /^No, unlocked$/i],
    ["what is the kitchen temperature", /21\.5/],
    ["what time is it", /^\d{1,2}:\d\d [AP]M$/],
    ["what's the date today", /^[A-Z][a-z]+ \d{1,2}(st|nd|rd|th), 20\d\d$/],
    ["how many lights are on", /^\d+$/],
    ["are any lights on in the kitchen", /^Yes/],
  ])("%s", async (sentence, speech) => {
    const answer = await home.say(sentence, agent);
    expect(answer.type).toMatch(/^(query_answer|action_done)$/);
    expect(answer.speech).toMatch(speech);
  });
});

describe("what is no command", () => {
  it.each(["tell me a joke", "turn on the purple unicorn", "asdf qwer", "{{ 1/0 }}"])("%s", async (sentence) => {
    const answer = await home.say(sentence, agent);
    expect(answer).toEqual({
      type: "error",
      speech: "Sorry, I did not understand that.",
      conversation: answer.conversation,
    });
  });
});

it("a change in Home Assistant is known by the next sentence but one", async () => {
  await home.command("config/entity_registry/update", { entity_id: "light.bedroom_light", name: "Moonlight" });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  expect(await home.say("turn on the moonlight", agent)).toMatchObject({ type: "action_done" });
  await home.becomes("light.bedroom_light", "on");
});

/** Values of every kind, for slots that an intent may have. */
const SAMPLES: Record<string, string | number> = {
  name: "Kitchen Light",
  area: "Kitchen",
  floor: "Upstairs",
  domain: "light",
  device_class: "blind",
  state: "on",
  item: "milk",
  color: "red",
};

/** Every text that can be sent with an intent, with the slots it is sent with. */
function* everyText(): Generator<{ text: string; intent: Intent }> {
  const house = houseFrom({
    floors: [{ id: "up", name: "Upstairs" }],
    areas: [{ id: "kitchen", name: "Kitchen", floor: "up" }],
    entities: [{ id: "light.kitchen", name: "Kitchen Light", area: "kitchen" }],
  });
  const seen = new Set<string>();
  for (const [name, { combinations }] of Object.entries(CATALOGUE.intents)) {
    for (const { slots } of Object.values(combinations)) {
      const intent = { name, slots: Object.fromEntries(slots.map((slot) => [slot, SAMPLES[slot] ?? 1])) };
      for (const said of ["how many", "which lights", "are all lights on", "is it on", "hello", "who made you"]) {
        const text = spokenTemplate(house, intent, said);
        const key = `${text} ${slots}`;
        if (text === undefined || seen.has(key)) continue;
        seen.add(key);
        yield { text, intent };
      }
    }
  }
}

it("no text that is sent can fail, whatever Home Assistant knows when it renders it", async () => {
  const state = {
    entity_id: "light.kitchen_light",
    name: "Kitchen light",
    state: "on",
    state_with_unit: "on",
    domain: "light",
    attributes: {},
  };
  const knowledge = [
    { state: null, query: { matched: [], unmatched: [] } },
    { state, query: { matched: [state], unmatched: [] } },
    { state, query: { matched: [], unmatched: [state] } },
  ];
  let rendered = 0;
  for (const { text, intent } of everyText()) {
    for (const known of knowledge) {
      await home.render(text, { slots: intent.slots, ...known });
      rendered++;
    }
  }
  expect(rendered).toBeGreaterThan(300);
});
