/** The doors of `piphi/home`: a house from the example or from Home Assistant, the place where a sentence was said, what to say. */

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { type Home, openHome, readHouse, targetsOf, understand, unload } from "../../devices/node/home/index.ts";
import { FakeHomeAssistant, TOKEN } from "../fixtures/home-assistant.ts";

const HOUSE = readHouse(readFileSync(new URL("../../examples/house.yaml", import.meta.url), "utf8"));
let home: Home;

beforeAll(async () => {
  home = await openHome({ house: HOUSE });
});

afterAll(() => home.close());

it("understands two commands in the example's house, and says what to say", async () => {
  const text = "turn off the lamp in the office and set a timer for ten minutes";
  const { intents } = await home.understand(text);
  expect(intents).toMatchObject([
    { name: "HassTurnOff", text: expect.stringMatching(/^Turned off the lights?$/) },
    { name: "HassStartTimer", slots: { minutes: 10 }, text: "Timer set for 10 minutes" },
  ]);
  // By its name, or as the office's only light.
  expect(targetsOf(home.house, intents[0]).map(({ id }) => id)).toEqual(["light.desk_lamp"]);
});

it("knows where a sentence was said: by an area's id or alias, or by a satellite", async () => {
  for (const [area, name] of [
    ["living", "Living Room"],
    ["LOUNGE", "Living Room"],
    ["assist_satellite.bedside", "Bedroom"],
  ]) {
    const { intents } = await home.understand("turn on the lights", { area });
    expect(intents).toMatchObject([{ name: "HassTurnOn", slots: { area: name, domain: "light" } }]);
  }
});

it("follows Home Assistant: a new name is understood at once, and a question is answered", async () => {
  const server = await FakeHomeAssistant.start();
  const live = await openHome({ homeAssistant: { url: server.url, token: TOKEN } });
  try {
    server.home.states[1].attributes.friendly_name = "Zeppelin Lamp";
    server.fire("entity_registry_updated");
    await vi.waitFor(() => expect(live.house.entities[1].name).toBe("Zeppelin Lamp"), { timeout: 10_000 });
    const { intents } = await live.understand("is the zeppelin lamp on");
    expect(intents).toMatchObject([
      { name: "HassGetState", slots: { name: "Zeppelin Lamp", state: "on" }, text: "Yes" },
    ]);
  } finally {
    await live.close();
    await server.stop();
  }
});

it("says that Home Assistant is not there, before it loads the model", async () => {
  const opened = openHome({ homeAssistant: { url: "http://127.0.0.1:9", token: "x" } });
  await expect(opened).rejects.toMatchObject({ code: "E_HOME_ASSISTANT" });
});

it("gives templates to Home Assistant", async () => {
  const { intents } = await understand("add oat milk to the groceries", { house: HOUSE, speech: "template" });
  expect(intents).toMatchObject([{ slots: { item: "oat milk" }, text: "Added {{ slots.item }}" }]);
  await unload();
});
