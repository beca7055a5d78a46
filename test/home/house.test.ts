/** Houses as people write them, and as they get them wrong. */

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseYaml } from "../../devices/node/home/yaml.ts";
import { checkHouse, describeFinding, houseFrom } from "../../runtime/home/house.ts";

/** What is said of a house.yaml: problems and warnings as "line: message". */
function check(text: string) {
  const { document, source } = parseYaml(text, "house.yaml");
  const { house, problems, warnings } = checkHouse(document, source);
  const lines = (findings: typeof problems) => findings.map((one) => describeFinding(one, source));
  return { house, problems: lines(problems), warnings: lines(warnings) };
}

const HOUSE = `
language: en
floors:
  - {id: up, name: Upstairs, aliases: [first floor]}
areas:
  - {id: kitchen, name: Kitchen, floor: up}
  - id: hall
    name: Hall
entities:
  - {id: light.reading, name: Reading Lamp, area: kitchen, aliases: [lamp]}
  - {id: cover.window, name: Window, area: hall, device_class: blind}
satellites:
  - {id: speaker, area: kitchen}
`;

describe("a house", () => {
  it("has floors, areas, entities with their domains, satellites", () => {
    const { house, problems, warnings } = check(HOUSE);
    expect([problems, warnings]).toEqual([[], []]);
    expect(house).toEqual({
      language: "en",
      floors: [{ id: "up", name: "Upstairs", aliases: ["first floor"] }],
      areas: [
        { id: "kitchen", name: "Kitchen", floor: "up", aliases: [] },
        { id: "hall", name: "Hall", floor: undefined, aliases: [] },
      ],
      entities: [
        {
          id: "light.reading",
          domain: "light",
          name: "Reading Lamp",
          aliases: ["lamp"],
          area: "kitchen",
          deviceClass: undefined,
        },
        { id: "cover.window", domain: "cover", name: "Window", aliases: [], area: "hall", deviceClass: "blind" },
      ],
      satellites: [{ id: "speaker", area: "kitchen" }],
    });
  });

  it("can be an object, or JSON", () => {
    const object = { entities: [{ id: "light.a", name: " A " }] };
    expect(houseFrom(object).entities[0].name).toBe("A");
    expect(check(JSON.stringify(object)).house).toEqual(houseFrom(object));
  });

  it("takes values as they are written: on, no and 12 are names", () => {
    const { house, problems } = check("entities: [{id: switch.a, name: on, aliases: [no, 12, 1.0, 0x10]}]");
    expect(problems).toEqual([]);
    expect(house.entities[0]).toMatchObject({ name: "on", aliases: ["no", "12", "1.0", "0x10"] });
  });

  it("may have empty lists, and none at all", () => {
    const { house, problems } = check("floors:\nareas: []\nentities: ~");
    expect([house.floors, house.areas, house.entities, problems]).toEqual([[], [], [], []]);
  });

  it("may have names with emoji, accents and 200 characters", () => {
    const name = "ä".repeat(200);
    const { house, problems, warnings } = check(
      `entities: [{id: light.a, name: "🛋️ Sofa é"}, {id: light.b, name: ${name}}]`,
    );
    expect([problems, warnings]).toEqual([[], []]);
    expect(house.entities.map((entity) => entity.name)).toEqual(["🛋️ Sofa é", name]);
  });

  it("may have names that contain each other", () => {
    const entities = "[{id: light.a, name: Lamp}, {id: light.b, name: Big Lamp}, {id: light.c, name: Big Lamp Left}]";
    expect(check(`entities: ${entities}`)).toMatchObject({ problems: [], warnings: [] });
  });

  it("is the example", () => {
    const { house, problems, warnings } = check(
      readFileSync(new URL("../../examples/house.yaml", import.meta.url), "utf8"),
    );
    expect([problems, warnings]).toEqual([[], []]);
    expect(house.entities.length).toBeGreaterThan(40);
    expect(house.floors.length).toBe(3);
  });
});

describe("what is wrong is told with its line and the remedy", () => {
  const wrong = (change: [string, string], ...messages: RegExp[]) => {
    const text = HOUSE.replace(...change);
    expect(text).not.toBe(HOUSE);
    const { problems } = check(text);
    expect(problems.length, problems.join("\n")).toBe(messages.length);
    messages.forEach((message, i) => {
      expect(problems[i]).toMatch(message);
    });
  };

  it.each([
    [
      "an unknown floor",
      ["floor: up", "floor: upp"],
      /^house.yaml:6: There is no floor with the id "upp".*Known: up\./,
    ],
    ["an unknown area", ["area: hall", "area: hal"], /^house.yaml:11: .*"hal".*Known: kitchen, hall\./],
    ["a satellite nowhere", ["- {id: speaker, area: kitchen}", "- {id: speaker}"], /^house.yaml:13: area is missing/],
    [
      "an id twice",
      ["id: cover.window", "id: light.reading"],
      /^house.yaml:11: There are two entities with the id "light/,
    ],
    ["no id", ["id: light.reading, ", ""], /^house.yaml:10: id is missing/],
    ["an id without a domain", ["light.reading", "reading"], /^house.yaml:10: "reading" is no entity id/],
    ["no name", ["name: Reading Lamp, ", ""], /^house.yaml:10: name is missing/],
    ["an empty name", ["name: Reading Lamp", 'name: " "'], /^house.yaml:10: name is empty/],
    ["an empty alias", ["[lamp]", '[""]'], /^house.yaml:10: An alias must be a text/],
    ["aliases that are no list", ["[lamp]", "lamp"], /^house.yaml:10: aliases must be a list, such as \[lamp\]/],
    [
      "a name of 201 characters",
      ["Reading Lamp", "é".repeat(201)],
      /^house.yaml:10: A name has at most 200 characters/,
    ],
    [
      "an unknown field",
      ["aliases: [lamp]", "alias: [lamp]"],
      /^house.yaml:10: There is no field "alias" here. Use id,/,
    ],
    ["a name that is a list", ["name: Hall", "name: [Hall]"], /^house.yaml:8: name must be a text/],
    [
      "an entry that is a text",
      ["- {id: speaker, area: kitchen}", "- speaker"],
      /^house.yaml:13: An entry of satellites/,
    ],
    [
      "a list that is none",
      ["satellites:\n  - {id: speaker, area: kitchen}", "satellites: none"],
      /^house.yaml:12: satell/,
    ],
  ] as [string, [string, string], RegExp][])("%s", (_, change, message) => wrong(change, message));

  it("all of it at once", () => {
    const text = HOUSE.replace("floor: up", "floor: upp").replace("area: hall", "area: hal");
    const { document, source } = parseYaml(text, "house.yaml");
    const error = expect.objectContaining({
      code: "E_HOUSE",
      message: expect.stringMatching(/^house.yaml:6: .*\(1 more: piphi house --check lists them\)$/),
      details: expect.objectContaining({ line: 6, problems: [expect.any(String), expect.stringMatching(/:11: /)] }),
    });
    expect(() => houseFrom(document, source)).toThrow(error);
  });

  it("not YAML", () => {
    const error = (line: number) =>
      expect.objectContaining({ code: "E_HOUSE", details: expect.objectContaining({ line }) });
    expect(() => parseYaml("language: en\nareas: [", "h")).toThrow(error(2));
    expect(() => parseYaml("a: 1\na: 2", "h")).toThrow(error(2));
    expect(() => parseYaml("", "h")).toThrow(expect.objectContaining({ code: "E_HOUSE" }));
    expect(() => parseYaml("a: \0", "h")).toThrow(expect.objectContaining({ code: "E_HOUSE" }));
  });

  it.each([["- a"], ["just text"], ["7"]])("no house: %s", (text) => {
    expect(check(text).problems[0]).toMatch(/^house.yaml:1: A house has language, floors/);
  });

  it.each([[null], [7], [[]], ["x"]])("no object: %j", (value) => {
    expect(() => houseFrom(value)).toThrow(expect.objectContaining({ code: "E_HOUSE" }));
  });
});

describe("what is allowed but surprises", () => {
  const warned = (text: string) => check(text).warnings;

  it("two things with one name in one area, but not in two", () => {
    const areas = "areas: [{id: a, name: Attic}, {id: b, name: Barn}]\n";
    const two = (area: string) =>
      `${areas}entities: [{id: light.x, name: Lamp, area: a}, {id: light.y, name: "  lamp!", area: ${area}}]`;
    expect(warned(two("a"))).toEqual([
      expect.stringMatching(/^house.yaml:1: No entity is in the area "Barn"/),
      expect.stringMatching(/^house.yaml:2: "lamp" is also what light.x in the same area is called/),
    ]);
    expect(warned(two("b"))).toEqual([]);
  });

  it("a name that is also a command", () => {
    expect(warned("entities: [{id: script.a, name: Stop}]")).toEqual([
      expect.stringMatching(/"stop" is also a command/),
    ]);
  });

  it("a name that is also a place, and places with one name", () => {
    const text = `
floors: [{id: f, name: Attic}]
areas: [{id: a, name: Attic}, {id: b, name: Barn, aliases: [attic]}]
entities: [{id: light.x, name: Attic, area: a}, {id: light.y, name: Other, area: b}]`;
    expect(warned(text)).toEqual([
      expect.stringMatching(/:2: "attic" is also what the area "Barn" is called/),
      expect.stringMatching(/:3: "attic" is also what the area "Attic" is called/),
      expect.stringMatching(/:4: "attic" is also what an area is called/),
    ]);
  });

  it("a name that sounds like all of another area", () => {
    const text = `
areas: [{id: a, name: Attic}, {id: b, name: Barn}]
entities: [{id: light.x, name: Attic Lights, area: b}, {id: light.y, name: Barn Light, area: b}, {id: fan.z, name: Z, area: a}]`;
    expect(warned(text)).toEqual([expect.stringMatching(/"attic lights" sounds like all of that area, but light.x/)]);
  });

  it("an area without entities, a name nobody can say, an unknown domain, another language", () => {
    expect(warned("language: de\nareas: [{id: a, name: A}]\nentities: [{id: lamp.x, name: '***'}]")).toEqual([
      expect.stringMatching(/:1: Sentences are understood in English only/),
      expect.stringMatching(/:3: Home Assistant has no domain "lamp"/),
      expect.stringMatching(/:3: "\*\*\*" has no letter or digit/),
      expect.stringMatching(/:2: No entity is in the area "A"/),
    ]);
  });
});

it("finds the line in a house of 10,000 entities, and lists no more than 50 problems", () => {
  const entities = Array.from({ length: 10_000 }, (_, i) => `  - {id: light.l${i}, name: Lamp ${i}, area: a${i % 7}}`);
  const text = `areas:\n${[0, 1, 2, 3, 4, 5].map((i) => `  - {id: a${i}, name: A${i}}`).join("\n")}\nentities:\n${entities.join("\n")}`;
  const { problems, house } = check(text);
  expect(house.entities.length).toBe(10_000);
  expect(problems.length).toBe(50);
  expect(problems[49]).toMatch(/^house.yaml:358: There is no area with the id "a6"/);
});
