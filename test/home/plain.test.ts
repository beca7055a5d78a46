/** Commands through the embedded model, held against a house. */

import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Home, openHome, readHouse, understand, unload } from "../../devices/node/home/index.ts";

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

  it("explains itself", async () => {
    const { confidence, explain } = await home.understand("turn on the lights in the dungeon", { explain: true });
    expect(explain).toMatchObject({
      meant: [{ name: "HassTurnOn" }],
      refused: expect.stringMatching(/nothing that is called so/),
    });
    expect(confidence).toBeGreaterThan(0);
    expect(confidence).toBeLessThanOrEqual(1);
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
