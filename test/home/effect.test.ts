/** Whether two answers do the same: a comparison that must be strict about deeds and blind to wording. */

import { describe, expect, it } from "vitest";
import { readHouse } from "../../devices/node/home/index.ts";
import { type Intent, impossible, type SlotValue, sameEffect } from "../../tools/home/effect.ts";
import { called } from "../../tools/home/house.ts";

const HOUSE = readHouse({
  language: "en",
  floors: [
    { id: "up", name: "Upstairs", aliases: ["first floor"] },
    { id: "down", name: "Downstairs" },
  ],
  areas: [
    { id: "kitchen", name: "Küche", aliases: ["kitchen"], floor: "down" },
    { id: "office", name: "Office", floor: "up" },
    { id: "attic", name: "Attic", floor: "up" },
  ],
  entities: [
    { id: "light.desk", name: "Desk Lamp", area: "office", aliases: ["lamp"] },
    { id: "light.spots", name: "Spots", area: "kitchen" },
    { id: "light.ceiling_1", name: "Ceiling", area: "office" },
    { id: "light.ceiling_2", name: "Ceiling", area: "kitchen" },
    { id: "cover.blind", name: "Blind", area: "office", device_class: "blind" },
    { id: "cover.awning", name: "Awning", area: "office", device_class: "awning" },
    { id: "climate.office", name: "Office Heating", area: "office" },
    { id: "climate.kitchen", name: "Radiator", area: "kitchen" },
    { id: "sensor.attic", name: "Attic Temperature", area: "attic", device_class: "temperature" },
    { id: "sensor.office", name: "Office Humidity", area: "office", device_class: "humidity" },
    { id: "binary_sensor.window", name: "Window", area: "office", device_class: "window" },
    { id: "media_player.radio", name: "Radio", area: "kitchen" },
    { id: "vacuum.robo", name: "Robo", area: "kitchen" },
    { id: "todo.shopping_list", name: "Shopping List" },
    { id: "todo.jobs", name: "Jobs" },
    { id: "scene.movie", name: "Movie" },
    { id: "person.ann", name: "Ann" },
  ],
});

type Slots = Record<string, SlotValue>;
const intent = (name: string, slots: Slots = {}): Intent => ({ name: `Hass${name}`, slots });
const same = (a: Intent[], b: Intent[], area?: string): boolean => sameEffect(HOUSE, a, b, area);
/** Both ways round, since neither side of a comparison without ranges is special. */
function expectSame(a: Intent[], b: Intent[], area?: string): void {
  expect([same(a, b, area), same(b, a, area)]).toEqual([true, true]);
}
function expectOther(a: Intent[], b: Intent[], area?: string): void {
  expect([same(a, b, area), same(b, a, area)]).toEqual([false, false]);
}

describe("targets", () => {
  it("a name, an alias, an id and an area with its domain reach the same entity", () => {
    const byName = [intent("TurnOn", { name: "Desk Lamp" })];
    expectSame(byName, [intent("TurnOn", { name: "LAMP " })]);
    expectSame(byName, [intent("TurnOn", { name: "light.desk" })]);
    expectSame(byName, [intent("TurnOn", { name: "desk lamp", area: "Office", domain: "light" })]);
    expectSame([intent("VacuumStart")], [intent("VacuumStart", { name: "Robo" })]);
  });

  it("other entities, too many and too few are another effect", () => {
    const office = [intent("TurnOff", { area: "Office", domain: "light" })];
    expectOther(office, [intent("TurnOff", { name: "Desk Lamp" })]);
    expectOther(office, [intent("TurnOff", { domain: "light" })]);
    expectOther(office, [intent("TurnOff", { area: "Office", domain: "cover" })]);
    expectOther(office, [intent("TurnOn", { area: "Office", domain: "light" })]);
    expectOther(office, []);
  });

  it("several intents on single entities are one on all of them, in any order", () => {
    const ceiling = intent("TurnOff", { name: "Ceiling", area: "Office" });
    const lamp = intent("TurnOff", { name: "Desk Lamp" });
    expectSame([lamp, ceiling], [intent("TurnOff", { area: "office", domain: ["light"] })]);
    expectSame([lamp, ceiling], [ceiling, lamp, lamp]);
    expectOther([lamp, ceiling], [ceiling, intent("TurnOn", { name: "Desk Lamp" })]);
  });

  it("floors are found by alias, and hold the areas on them", () => {
    expectSame(
      [intent("TurnOn", { floor: "first floor", domain: "light" })],
      [intent("TurnOn", { area: "Office", domain: "light" })],
    );
    expectOther([intent("TurnOn", { floor: "Downstairs", domain: "light" })], [intent("TurnOn", { domain: "light" })]);
  });

  it("accents are the same composed and decomposed, and different from none", () => {
    const composed = [intent("TurnOn", { area: "K\u00fcche", domain: "light" })];
    expectSame(composed, [intent("TurnOn", { area: "Ku\u0308che", domain: "light" })]);
    expectOther(composed, [intent("TurnOn", { area: "Kuche", domain: "light" })]);
    expect(called(HOUSE.areas, "kitchen")).toHaveLength(1);
  });

  it("a name that two entities share is settled by area or by where it was said, or cannot be executed", () => {
    const shared = [intent("TurnOn", { name: "Ceiling" })];
    expectSame(shared, [intent("TurnOn", { name: "light.ceiling_1" })], "Office");
    expectSame(shared, [intent("TurnOn", { name: "light.ceiling_2" })], "Küche");
    expect(impossible(HOUSE, shared, undefined)).toHaveLength(1);
    expect(impossible(HOUSE, shared, "Office")).toEqual([]);
  });

  it("only what the intent can act on is a target", () => {
    expectSame(
      [intent("LightSet", { area: "Office", brightness: 20 })],
      [
        intent("LightSet", { name: "Desk Lamp", brightness: 20 }),
        intent("LightSet", { name: "Ceiling", area: "Office", brightness: 20 }),
      ],
    );
    expect(impossible(HOUSE, [intent("LightSet", { name: "Radio", brightness: 20 })], undefined)).toHaveLength(1);
    expect(impossible(HOUSE, [intent("TurnOn", { name: "Nothing" })], undefined)).toHaveLength(1);
  });

  it("everything in a room is what can be switched there", () => {
    expectSame(
      [intent("TurnOff", { area: "Office" })],
      [intent("TurnOff", { area: "Office", domain: ["light", "cover", "climate"] })],
    );
    expectOther([intent("TurnOff", { area: "Office" })], [intent("TurnOff", { area: "Office", domain: "light" })]);
  });

  it("device classes narrow", () => {
    expectSame([intent("TurnOff", { device_class: "blind", area: "Office" })], [intent("TurnOff", { name: "Blind" })]);
    expectOther([intent("TurnOff", { domain: "cover", area: "Office" })], [intent("TurnOff", { name: "Blind" })]);
  });

  it("a thermostat without a name is the one where it was said", () => {
    const set = [intent("ClimateSetTemperature", { temperature: 20 })];
    expectSame(set, [intent("ClimateSetTemperature", { name: "Radiator", temperature: 20 })], "kitchen");
    expect(impossible(HOUSE, set, undefined)).toHaveLength(1);
    expectSame(
      [intent("ClimateGetTemperature", { area: "Attic" })],
      [intent("ClimateGetTemperature", { name: "Attic Temperature" })],
    );
  });

  it("cleaning an area is not what the robot's own area says", () => {
    expectSame(
      [intent("VacuumCleanArea", { area: "Office" })],
      [intent("VacuumCleanArea", { area: "office", name: "Robo" })],
    );
    expectOther([intent("VacuumCleanArea", { area: "Office" })], [intent("VacuumCleanArea", { area: "kitchen" })]);
  });
});

describe("values", () => {
  it("count, as numbers", () => {
    const half = [intent("SetPosition", { name: "Blind", position: 50 })];
    expectSame(half, [intent("SetPosition", { name: "Blind", position: "50" })]);
    expectOther(half, [intent("SetPosition", { name: "Blind", position: 5 })]);
    expectOther(half, [intent("SetPosition", { name: "Blind" })]);
    expectOther(
      [intent("LightSet", { name: "Spots", brightness: 50 })],
      [intent("LightSet", { name: "Spots", brightness: 50, color: "red" })],
    );
  });

  it("durations are the same in any units", () => {
    const ninety = [intent("StartTimer", { minutes: 90 })];
    expectSame(ninety, [intent("StartTimer", { hours: 1, minutes: 30 })]);
    expectOther(ninety, [intent("StartTimer", { hours: 30 })]);
    expectOther([intent("PauseTimer", { start_minutes: 5 })], [intent("PauseTimer", { minutes: 5 })]);
  });

  it("two timers are two, and one entity switched twice is one", () => {
    const timer = intent("StartTimer", { minutes: 5 });
    expectOther([timer], [timer, timer]);
    expectSame([timer, timer], [timer, timer]);
  });

  it("texts are compared without case, punctuation and article", () => {
    expectSame(
      [intent("ListAddItem", { name: "Jobs", item: "the Gate" })],
      [intent("ListAddItem", { name: "jobs", item: "gate." })],
    );
    expectOther(
      [intent("ListAddItem", { name: "Jobs", item: "gate" })],
      [intent("ListAddItem", { name: "Jobs", item: "gates" })],
    );
    expectOther([intent("StartTimer", { minutes: 5, name: "tea" })], [intent("StartTimer", { minutes: 5 })]);
  });

  it("the shopping list is one of the lists", () => {
    expectSame(
      [intent("ShoppingListAddItem", { item: "milk" })],
      [intent("ListAddItem", { item: "milk", name: "Shopping List" })],
    );
    expectOther(
      [intent("ShoppingListAddItem", { item: "milk" })],
      [intent("ListAddItem", { item: "milk", name: "Jobs" })],
    );
  });

  it("a state that is asked for counts", () => {
    const asked = [intent("GetState", { name: "Window", state: "on" })];
    expectSame(asked, [intent("GetState", { area: "Office", device_class: "window", state: ["on"] })]);
    expectOther(asked, [intent("GetState", { name: "Window", state: "off" })]);
    expectOther(asked, [intent("GetState", { name: "Window" })]);
  });

  it("a label may give a range", () => {
    const dim = [intent("LightSet", { name: "Spots", brightness: { min: 1, max: 70 } })];
    const at = (brightness: number) => same(dim, [intent("LightSet", { name: "Spots", brightness })]);
    expect([0, 1, 70, 71].map(at)).toEqual([false, true, true, false]);
  });
});
