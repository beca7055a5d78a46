/** The doors of `piphi/home`, with the embedded model. */

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Home, openHome, readHouse, targetsOf, understand, unload } from "../../devices/node/home/index.ts";
import { FakeHomeAssistant, TOKEN } from "../fixtures/home-assistant.ts";

const HOUSE = readHouse(readFileSync(new URL("../../examples/house.yaml", import.meta.url), "utf8"));
let home: Home;

beforeAll(async () => {
  home = await openHome({ house: HOUSE });
});

afterAll(() => home.close());

describe("a home", () => {
  it("understands two commands in the example's house, and says what to say", async () => {
    const text = "turn off the lamp in the office and set a timer for ten minutes";
    const { intents, confidence, ms } = await home.understand(text);
    expect(intents).toMatchObject([
      { name: "HassTurnOff", text: expect.stringMatching(/^Turned off the lights?$/) },
      { name: "HassStartTimer", slots: { minutes: 10 }, text: "Timer set for 10 minutes" },
    ]);
    // By its name, or as the office's only light.
    expect(targetsOf(home.house, intents[0]).map(({ id }) => id)).toEqual(["light.desk_lamp"]);
    expect(confidence).toBeGreaterThan(0.5);
    expect(confidence).toBeLessThanOrEqual(1);
    expect(ms).toBeGreaterThan(0);
  });

  it("knows where a sentence was said: by an area or a satellite", async () => {
    for (const area of ["living", "LOUNGE"]) {
      const { intents } = await home.understand("turn on the lights", { area });
      expect(intents).toMatchObject([{ name: "HassTurnOn", slots: { area: "Living Room", domain: "light" } }]);
    }
    const { intents } = await home.understand("turn on the lights", { area: "assist_satellite.bedside" });
    expect(intents).toMatchObject([{ slots: { area: "Bedroom" } }]);
  });

  it("explains itself", async () => {
    const { explanation } = await home.understand("dim the desk lamp", { explain: true });
    expect(explanation).toMatchObject({
      names: [{ said: "desk lamp", likeness: 1, candidates: ["light.desk_lamp"] }],
      answer: expect.arrayContaining([{ token: "<i:HassLightSet>", probability: expect.any(Number) }]),
    });
    const plain = await home.understand("turn on the desk lamp", { explain: true });
    expect(plain.explanation).toMatchObject({ answer: [], meant: [{ slots: { name: "Desk Lamp" } }] });
    expect((await home.understand("turn on the desk lamp")).explanation).toBeUndefined();
  });

  it("follows Home Assistant: a new name is understood at once, and a question is answered", async () => {
    const server = await FakeHomeAssistant.start();
    const live = await openHome({ homeAssistant: { url: server.url, token: TOKEN } });
    try {
      server.home.states[1].attributes.friendly_name = "Zeppelin Lamp";
      server.fire("entity_registry_updated");
      await vi.waitFor(() => expect(live.house.entities[1].name).toBe("Zeppelin Lamp"));
      const { intents } = await live.understand("is the zeppelin lamp on");
      expect(intents).toMatchObject([
        { name: "HassGetState", slots: { name: "Zeppelin Lamp", state: "on" }, text: "Yes" },
      ]);
    } finally {
      await live.close();
      await server.stop();
    }
  });
});

describe("bad input", () => {
  it.each([
    ["empty", ""],
    ["blanks", " \n\t "],
    ["punctuation", "?!… — ***"],
    ["10,000 characters", "turn on the kitchen lights ".repeat(371)],
    ["control characters", "\u0000\u001b\u0007"],
    ["emoji", "💡💡💡"],
    ["several languages", "mach das licht an, allume la lumière, 灯をつけて, включи свет"],
  ])("%s is no command", async (_, text) => {
    expect(await home.understand(text)).toMatchObject({ text, intents: [] });
  });

  it("an unknown area, a sentence that is none, no house, a house that is wrong, a home that is closed", async () => {
    await expect(home.understand("lights on", { area: "cellar" })).rejects.toMatchObject({ code: "E_USAGE" });
    await expect(home.understand(7 as unknown as string)).rejects.toMatchObject({ code: "E_USAGE" });
    await expect(openHome({})).rejects.toMatchObject({ code: "E_USAGE" });
    await expect(openHome({ house: { rooms: [] } })).rejects.toMatchObject({ code: "E_HOUSE" });
    const homeAssistant = { url: "http://127.0.0.1:9", token: "x" };
    await expect(openHome({ homeAssistant })).rejects.toMatchObject({ code: "E_HOME_ASSISTANT" });
    const other = await openHome({ house: HOUSE });
    await other.close();
    await expect(other.understand("lights on")).rejects.toMatchObject({ code: "E_CLOSED" });
  });
});

it("understand loads the model by itself, once, and lets it go", async () => {
  const ask = () => understand("add oat milk to the groceries", { house: HOUSE, speech: "template" });
  const [first, second] = await Promise.all([ask(), ask()]);
  expect(second.intents).toEqual(first.intents);
  expect(first.intents[0].text).toBe("Added {{ slots.item }}");
  await unload();
  expect((await ask()).intents.length).toBe(1);
  await unload();
});
