/** What words and house know better than the model. */

import { describe, expect, it } from "vitest";
import type { Command, SlotValue } from "../../runtime/home/answer.ts";
import { houseFrom } from "../../runtime/home/house.ts";
import { mend } from "../../runtime/home/mending.ts";
import { read } from "../../runtime/home/reading.ts";
import { resolve } from "../../runtime/home/resolve.ts";

const HOUSE = houseFrom({
  language: "en",
  floors: [{ id: "up", name: "Upstairs", aliases: [] }],
  areas: [
    { id: "bedroom", name: "Bedroom", floor: "up", aliases: [] },
    { id: "kitchen", name: "Kitchen", aliases: [] },
    { id: "garage", name: "Garage", aliases: [] },
  ],
  entities: [
    { id: "light.a", name: "Lamp", area: "bedroom", aliases: [] },
    { id: "light.b", name: "Lamp", area: "kitchen", aliases: [] },
    { id: "light.c", name: "Spots", area: "kitchen", aliases: [] },
    { id: "cover.garage", name: "Garage", area: "garage", aliases: [] },
    { id: "cover.awning", name: "Shade Sail", area: "kitchen", device_class: "awning", aliases: [] },
    { id: "binary_sensor.window", name: "Left", area: "bedroom", device_class: "window", aliases: [] },
    { id: "valve.tap", name: "Tap", aliases: [] },
    { id: "vacuum.rosie", name: "Rosie", area: "bedroom", aliases: [] },
    { id: "todo.food", name: "Food", aliases: ["shopping list"] },
  ],
});

const to = (index: number): SlotValue => ({ kind: "name", index });
const is = (value: string): SlotValue => ({ kind: "choice", value });
const numbered = (index: number): SlotValue => ({ kind: "number", index, minus: false });

/** What comes of commands of the model: intents with their slots' values; undefined where nothing may be done. */
function meant(sentence: string, commands: [intent: string, slots: Record<string, SlotValue>][], heard?: string) {
  const area = HOUSE.areas.find(({ id }) => id === heard);
  const reading = read(sentence, HOUSE, area !== undefined);
  const given: Command[] = commands.map(([intent, slots]) => ({ intent, slots: new Map(Object.entries(slots)) }));
  return resolve(mend(given, reading, HOUSE), sentence, reading, HOUSE, area)?.map(({ name, slots }) =>
    [name, ...Object.entries(slots).map(([slot, value]) => `${slot}=${value}`)].join(" "),
  );
}

describe("what is said counts", () => {
  it.each<[string, [string, Record<string, SlotValue>][], string[]]>([
    ["don't turn on the spots", [["HassTurnOn", { name: to(0) }]], []],
    ["leave the spots off", [["HassTurnOff", { name: to(0) }]], []],
    ["brr it's chilly", [["HassSetVolumeRelative", { volume_step: is("up") }]], []],
    [
      "it is freezing here",
      [["HassGetState", { domain: is("binary_sensor"), device_class: is("moisture"), state: is("on") }]],
      [],
    ],
    ["drop it by 4 degrees", [["HassClimateSetTemperature", { temperature: numbered(0) }]], []],
    ["lights off everyone", [["HassTurnOn", { domain: is("light") }]], ["HassTurnOff domain=light"]],
    ["shade sail out", [["HassTurnOff", { name: to(0) }]], ["HassTurnOn name=Shade Sail"]],
    [
      "open the garage",
      [["HassTurnOn", { area: to(0), domain: is("cover"), device_class: is("shutter") }]],
      ["HassTurnOn name=Garage"],
    ],
    ["spots to half", [["HassLightSet", { name: to(0) }]], ["HassLightSet name=Spots brightness=50"]],
    [
      "is a valve open",
      [["HassGetState", { domain: is("binary_sensor"), state: is("on") }]],
      ["HassGetState domain=valve state=open"],
    ],
    [
      "any windows open",
      [["HassGetState", { domain: is("cover"), device_class: is("window"), state: is("open") }]],
      ["HassGetState domain=binary_sensor device_class=window state=on"],
    ],
    [
      "lower the blinds upstairs",
      [["HassTurnOff", { domain: is("cover") }]],
      ["HassTurnOff floor=Upstairs domain=cover"],
    ],
    [
      "spots on turn them on",
      [
        ["HassTurnOn", { name: to(0) }],
        ["HassGetWeather", {}],
      ],
      ["HassTurnOn name=Spots"],
    ],
    [
      "rosie clean the kitchen then go back to your dock",
      [
        ["HassVacuumCleanArea", { name: to(0), area: to(1) }],
        ["HassMediaPrevious", {}],
      ],
      ["HassVacuumCleanArea name=Rosie area=Kitchen", "HassVacuumReturnToBase name=Rosie"],
    ],
    ["tell everyone dinner is ready", [], ["HassBroadcast message=dinner is ready"]],
    ["can you hear me", [], ["HassRespond"]],
  ])("%s", (sentence, commands, wanted) => expect(meant(sentence, commands)).toEqual(wanted));
});

describe("names", () => {
  it("that two have are told apart by the room that is named, or where it was said", () => {
    expect(meant("lamp on in the kitchen", [["HassTurnOn", { name: to(0), area: to(1) }]])).toEqual([
      "HassTurnOn name=Lamp area=Kitchen",
    ]);
    expect(meant("lamp on", [["HassTurnOn", { name: to(0) }]], "bedroom")).toEqual([
      "HassTurnOn name=Lamp area=Bedroom",
    ]);
  });

  it("of lists are the house's", () => {
    const item: SlotValue = { kind: "text", from: 1, to: 2 };
    expect(meant("add milk to the shopping list", [["HassShoppingListAddItem", { item }]])).toEqual([
      "HassListAddItem name=Food item=milk",
    ]);
  });

  it("of timers and items are whole", () => {
    const timer: SlotValue = { kind: "text", from: 2, to: 3 };
    expect(meant("pause the pot-au-feu timer", [["HassPauseTimer", { name: timer }]])).toEqual([
      "HassPauseTimer name=pot-au-feu",
    ]);
    const item: SlotValue = { kind: "text", from: 2, to: 3 };
    expect(meant("add oat milk to the shopping list", [["HassShoppingListAddItem", { item }]])).toEqual([
      "HassListAddItem name=Food item=oat milk",
    ]);
  });
});

describe("exceptions", () => {
  it("leave out what they name", () => {
    const but = (except: SlotValue): [string, Record<string, SlotValue>][] => [
      ["HassTurnOff", { domain: is("light"), except }],
    ];
    expect(meant("all lights off but the kitchen", but(to(0)))).toEqual(["HassTurnOff area=Bedroom domain=light"]);
    expect(meant("all lights off but the spots", but(to(0)))).toEqual([
      "HassTurnOff area=Bedroom domain=light",
      "HassTurnOff name=Lamp area=Kitchen",
    ]);
  });

  it("that leave out nothing do nothing", () => {
    expect(
      meant("all lights off but rosie", [["HassTurnOff", { domain: is("light"), except: to(0) }]]),
    ).toBeUndefined();
  });
});
