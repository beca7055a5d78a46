/** A house's names in sentences. */

import { describe, expect, it } from "vitest";
import { houseFrom } from "../../runtime/home/house.ts";
import { idOf, mentionsIn } from "../../runtime/home/mentions.ts";
import { wordsOf } from "../../runtime/home/normalize.ts";
import type { House } from "../../runtime/home/types.ts";

const HOUSE = houseFrom({
  language: "en",
  floors: [{ id: "up", name: "Upstairs", aliases: ["first floor"] }],
  areas: [
    { id: "kitchen", name: "Kitchen", floor: "up", aliases: [] },
    { id: "bedroom", name: "Bedroom", floor: "up", aliases: [] },
  ],
  entities: [
    { id: "light.reading", name: "Reading Lamp", area: "bedroom", aliases: [] },
    { id: "light.bedroom", name: "Bedroom Lamp", area: "bedroom", aliases: [] },
    { id: "cover.one", name: "Bedroom", area: "bedroom", aliases: [] },
    { id: "script.stop", name: "Stop", aliases: [] },
    { id: "light.creme", name: "Café-Crème 💡", area: "kitchen", aliases: [] },
  ],
});

const found = (sentence: string, house: House = HOUSE) => {
  const words = wordsOf(sentence);
  return mentionsIn(words, house).map(({ from, to, candidates }) => [
    words
      .slice(from, to)
      .map(({ text }) => text)
      .join(" "),
    ...candidates.map(idOf),
  ]);
};

describe("names are found", () => {
  it.each([
    ["in any case", "READING LAMP on", [["reading lamp", "light.reading"]]],
    ["with other blanks", "the bed room lamp", [["bed room lamp", "light.bedroom"]]],
    ["without accents", "cafe creme off", [["cafe creme", "light.creme"]]],
    ["by another name", "lights on the first floor", [["first floor", "floor up"]]],
    ["as they sound", "the reeding lamp", [["reeding lamp", "light.reading"]]],
    ["misspelt", "turn off the kichen lights", [["kichen", "area kitchen"]]],
    ["the longest first", "bedroom lamp", [["bedroom lamp", "light.bedroom"]]],
    ["with all that are called so", "open the bedroom", [["bedroom", "area bedroom", "cover.one"]]],
    ["even if they are commands", "run stop", [["stop", "script.stop"]]],
  ])("%s", (_, sentence, wanted) => expect(found(sentence)).toEqual(wanted));

  it("but not in other words", () => {
    expect(found("what is the weather like today")).toEqual([]);
    expect(found("")).toEqual([]);
  });

  it("in a house of 10,000 things within a moment", () => {
    const entities = Array.from({ length: 10_000 }, (_, i) => ({
      id: `light.l${i}`,
      name: `Lamp number ${i}`,
      aliases: [],
    }));
    const house = houseFrom({ language: "en", floors: [], areas: [], entities });
    expect(found("turn on lamp number 4711", house)).toEqual([["lamp number 4711", "light.l4711"]]);
  });

  it("where names are 200 characters long", () => {
    const name = `${"very ".repeat(39)}long`;
    const house = houseFrom({
      language: "en",
      floors: [],
      areas: [],
      entities: [{ id: "light.l", name, aliases: ["x"] }],
    });
    expect(found("turn on x", house)).toEqual([["x", "light.l"]]);
  });
});
