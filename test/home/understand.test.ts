/** Sentences through the embedded model, in a house. */

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Home, openHome, readHouse, understand, unload } from "../../devices/node/home/index.ts";
import { load } from "../../devices/node/index.ts";
import { understand as understandSentence } from "../../runtime/home/understand.ts";

const HOUSE = readHouse(readFileSync(new URL("../../examples/house.yaml", import.meta.url), "utf8"));
let home: Home;

beforeAll(async () => {
  home = await openHome({ house: HOUSE });
});

afterAll(() => home.close());

const meaning = async (text: string, area?: string) =>
  (await home.understand(text, { area })).intents.map(({ name, slots, text }) => ({ name, ...slots, text }));

describe("commands", () => {
  it.each([
    [
      "turn on the kitchen lights",
      { name: "HassTurnOn", area: "Kitchen", domain: "light", text: "Turned on the lights" },
    ],
    ["set a timer for ten minutes", { name: "HassStartTimer", minutes: 10, text: "Timer set for 10 minutes" }],
  ])("%s", async (text, intent) => {
    expect(await meaning(text)).toEqual([intent]);
  });

  it("names are spelled as in the house, and what it lacks is no command", async () => {
    expect(await meaning("turn on the lights in the lounge")).toMatchObject([{ area: "Living Room" }]);
    expect(await meaning("turn on the lights in the dungeon")).toEqual([]);
  });

  it.each([
    ["turn off the bedroom lamp and lock the front door", ["HassTurnOff Bedside Lamp", "HassTurnOn Front Door"]],
    ["TURN ON THE READING LAMP", ["HassTurnOn Reading Lamp"]],
    ["set the bedroom thermostat to 21°C", ["HassClimateSetTemperature Bedroom Thermostat 21"]],
    ["dim the star lamp to half", ["HassLightSet Star Lamp 50"]],
    ["please don't unlock the front door", []],
    ["he told me to turn on the lights", []],
    ["mach das licht an", []],
    ["garage", []],
    ["set the reading lamp to 150 percent", []],
    ["raise the temperature by 2 degrees", []],
  ])("%s", async (text, wanted) => {
    const { intents } = await home.understand(text);
    expect(intents.map(({ name, slots }) => [name, ...Object.values(slots)].join(" "))).toEqual(wanted);
  });

  it("a room that is only meant is the one where it was said", async () => {
    expect(await meaning("lights on", "Bedroom")).toMatchObject([
      { name: "HassTurnOn", area: "Bedroom", domain: "light" },
    ]);
    expect(await meaning("lights on")).toMatchObject([{ name: "HassTurnOn", domain: "light" }]);
  });

  it("an exception is left out", async () => {
    const done = await meaning("turn off all the lights except the bedroom");
    const places = done.map((slots) => ("area" in slots ? slots.area : slots.name));
    expect(places).toContain("Kitchen");
    expect(places).not.toContain("Bedroom");
  });

  it("explains itself", async () => {
    const { confidence, explanation } = await home.understand("turn on the reeding lamp", { explain: true });
    expect(explanation).toMatchObject({
      words: ["turn", "on", "the", "reeding", "lamp"],
      names: [{ said: "reeding lamp", candidates: ["light.reading_lamp"] }],
      meant: [{ name: "HassTurnOn" }],
    });
    expect(explanation!.answer[0]).toMatchObject({ token: "<i:HassTurnOn>", probability: expect.closeTo(1, 1) });
    expect(confidence).toBeGreaterThan(0.5);
    expect(confidence).toBeLessThanOrEqual(1);
  });

  it("below the threshold nothing is done", async () => {
    await using phi = await load();
    const options = { phi, house: HOUSE, threshold: 1.01, explain: true };
    expect(await understandSentence("turn on the kitchen lights", options)).toMatchObject({
      intents: [],
      explanation: { refused: expect.stringMatching(/confidence/), meant: [{ name: "HassTurnOn" }] },
    });
  });
});

describe("bad input", () => {
  it.each([
    ["empty", ""],
    ["blanks", " \n\t "],
    ["punctuation", "?!… — ***"],
    ["10,000 characters", "turn on the kitchen lights ".repeat(371)],
    ["control characters", "\u0000\u001b[31m"],
    ["emoji", "💡💡💡"],
  ])("%s is no command", async (_, text) => {
    expect(await home.understand(text)).toMatchObject({ text, intents: [] });
  });

  it("in a house of doubles, empty rooms, emoji, and a name that is a command", async () => {
    const odd = await openHome({
      house: {
        areas: [
          { id: "a", name: "Den" },
          { id: "b", name: "Bare Room" },
        ],
        entities: [
          { id: "light.a", name: "Lamp", area: "a" },
          { id: "light.b", name: "Lamp", area: "b" },
          { id: "light.c", name: "Big Lamp", area: "a" },
          { id: "light.d", name: "🌈 Rainbow", area: "a" },
          { id: "light.e", name: "💡", aliases: ["x".repeat(200)] },
          { id: "script.stop", name: "Stop" },
        ],
      },
    });
    const said = async (text: string, area?: string) => (await odd.understand(text, { area })).intents;
    expect(await said("turn on the lamp")).toEqual([]);
    expect(await said("turn on the lamp in the den")).toMatchObject([{ slots: { name: "Lamp", area: "Den" } }]);
    expect(await said("turn on the lamp", "Den")).toMatchObject([{ slots: { name: "Lamp", area: "Den" } }]);
    expect(await said("turn on the big lamp")).toMatchObject([{ slots: { name: "Big Lamp" } }]);
    expect(await said("rainbow on")).toMatchObject([{ slots: { name: "🌈 Rainbow" } }]);
    expect(await said("run stop")).toMatchObject([{ slots: { name: "Stop" } }]);
    expect(await said("stop the rainbow")).not.toMatchObject([{ slots: { name: "Stop" } }]);
    await odd.close();
  });

  it("several languages at once end in a typed answer", async () => {
    const { intents, confidence } = await home.understand(
      "mach das licht an, allume la lumière, 灯をつけて, включи свет",
    );
    expect(Array.isArray(intents)).toBe(true);
    expect(confidence).toBeGreaterThanOrEqual(0);
  });

  it("an unknown area, a sentence that is none, a home that is closed", async () => {
    await expect(home.understand("lights on", { area: "cellar" })).rejects.toMatchObject({ code: "E_USAGE" });
    await expect(home.understand(7 as unknown as string)).rejects.toMatchObject({ code: "E_USAGE" });
    const other = await openHome({ house: HOUSE });
    await other.close();
    await expect(other.understand("lights on")).rejects.toMatchObject({ code: "E_CLOSED" });
    await expect(openHome({})).rejects.toMatchObject({ code: "E_USAGE" });
    await expect(openHome({ house: { rooms: [] } })).rejects.toMatchObject({ code: "E_HOUSE" });
  });
});

it("understand loads the model by itself, once, and lets it go", async () => {
  const ask = () => understand("turn on the kitchen lights", { house: HOUSE, speech: "template" });
  const [first, second] = await Promise.all([ask(), ask()]);
  expect(second.intents).toEqual(first.intents);
  expect(first.intents[0].text).toBe("Turned on the lights");
  await unload();
  expect((await ask()).intents.length).toBe(1);
  await unload();
});
