/** Sentences that words alone settle. */

import { describe, expect, it } from "vitest";
import { framed } from "../../runtime/home/frames.ts";
import { houseFrom } from "../../runtime/home/house.ts";
import { read } from "../../runtime/home/reading.ts";
import { resolve } from "../../runtime/home/resolve.ts";

const HOUSE = houseFrom({
  floors: [{ id: "up", name: "Upstairs" }],
  areas: [
    { id: "den", name: "Den", floor: "up" },
    { id: "hall", name: "Hall" },
    { id: "shed", name: "Shed" },
  ],
  entities: [
    { id: "light.tall", name: "Tall Lamp", area: "den" },
    { id: "light.globe", name: "Globe", area: "den" },
    { id: "switch.kettle", name: "Kettle", area: "hall" },
    { id: "cover.shed", name: "Shed", area: "shed", device_class: "garage" },
    { id: "cover.hatch", name: "Hatch", area: "hall" },
    { id: "light.r1", name: "Reader", area: "hall" },
    { id: "light.r2", name: "Reader", area: "den" },
    { id: "climate.stove", name: "Stove", area: "den" },
    { id: "person.ada", name: "Ada" },
    { id: "lock.porch", name: "Porch", area: "hall" },
    { id: "media_player.telly", name: "Telly", area: "den" },
    { id: "scene.party", name: "Party Night" },
    { id: "light.den", name: "Den", area: "den" },
    { id: "binary_sensor.leak", name: "Boiler Leak", area: "shed", device_class: "moisture" },
    { id: "binary_sensor.car", name: "Car Plug", area: "shed", device_class: "plug" },
    { id: "binary_sensor.patio", name: "Patio Door", area: "den", device_class: "door" },
    { id: "binary_sensor.w1", name: "Left Window", area: "den", device_class: "window" },
    { id: "sensor.damp", name: "Shed Humidity", area: "shed", device_class: "humidity" },
    { id: "todo.shop", name: "Shopping List" },
    { id: "todo.trip", name: "Trip List" },
  ],
});

/** Intents with their slots' values; undefined where the model must be asked. */
function meant(sentence: string): string[] | undefined {
  const reading = read(sentence, HOUSE, false);
  const plain = framed(reading, HOUSE);
  if (!plain) return undefined;
  return resolve(plain.commands, sentence, plain.reading, HOUSE, undefined)?.map(({ name, slots }) =>
    [name.slice(4), ...Object.values(slots)].join(" "),
  );
}

describe("plain commands", () => {
  it.each<[string, string[]]>([
    ["kettle on, I'm parched", ["TurnOn Kettle"]],
    ["would you please turn the Tall Lamp off", ["TurnOff Tall Lamp"]],
    ["the grass is long, open the hatch", ["TurnOn Hatch"]],
    ["turn on the kettle, the globe and the telly", ["TurnOn Kettle", "TurnOn Globe", "TurnOn Telly"]],
    ["the globe and the telly off please", ["TurnOff Globe", "TurnOff Telly"]],
    ["close the shed and then lock the porch", ["TurnOff Shed", "TurnOn Porch"]],
    ["whack Party Night on", ["TurnOn Party Night"]],
    ["stop the telly and lower the hatch", ["MediaPause Telly", "TurnOff Hatch"]],
    ["put the kettle on no wait turn it off", ["TurnOff Kettle"]],
    ["turn on the reader in the hall please", ["TurnOn Reader Hall"]],
    ["I left the globe on, turn it off", ["TurnOff Globe"]],
    ["globe to thirty percent", ["LightSet Globe 30"]],
    ["turn the telly off, 21.5 degrees for the stove", ["TurnOff Telly", "ClimateSetTemperature Stove 21.5"]],
    ["five minute timer for the eggs and a ten minute timer for the ham", ["StartTimer eggs 5", "StartTimer ham 10"]],
    ["where's Ada", ["GetState Ada"]],
  ])("%s", (sentence, wanted) => expect(meant(sentence)).toEqual(wanted));

  it.each([
    "turn on the den",
    "turn on the tall lamp if it gets dark",
    "turn on the tall lamp, unless it is bright",
    "he said, turn on the kettle",
    '"kettle on", that is what she wrote',
    "don't turn the kettle on",
    "turn on the kettle but not the globe",
    "the porch on",
    "party night off",
    "turn on the tall lamp, the other one",
    "is the kettle on",
    "turn on the globe in the hall",
    "turn on the kettle and the old toaster",
    "raise the stove 2 degrees",
    "tall lamp",
    "tal lamb on",
  ])("is left to the model: %s", (sentence) => expect(meant(sentence)).toBeUndefined());
});

it("of two things of one name, far from both, none is meant", () => {
  expect(meant("turn on the reader")).toBeUndefined();
  expect(meant("turn on the globe")).toEqual(["TurnOn Globe"]);
});

describe("sensors that are not called by their whole name", () => {
  it.each<[string, string[]]>([
    ["is the boiler leaking", ["GetState Boiler Leak on"]],
    ["is there water under the boiler", ["GetState Boiler Leak on"]],
    ["is the car unplugged", ["GetState Car Plug off"]],
    ["is the patio shut?", ["GetState Patio Door off"]],
    ["humidity in the shed?", ["GetState Shed Humidity"]],
    ["tell me if there is a leak anywhere", ["GetState binary_sensor moisture on"]],
  ])("%s", (sentence, wanted) => expect(meant(sentence)).toEqual(wanted));

  it.each([
    "was the boiler leaking yesterday",
    "why is the boiler leaking",
    "is the shed open",
    "are the windows open in the den",
    "is a leaking boiler dangerous",
    "is the laundry done",
  ])("is left to the model: %s", (sentence) => expect(meant(sentence)).toBeUndefined());
});

describe("timers and lists", () => {
  it.each<[string, string[]]>([
    ["put the roast timer on hold", ["PauseTimer roast"]],
    ["let the bread timer go on", ["UnpauseTimer bread"]],
    ["pause the den timer", ["PauseTimer Den"]],
    ["get rid of all the timers", ["CancelAllTimers"]],
    ["forget the two hour timer, cancel it", ["CancelTimer 2"]],
    ["what's the state of play with the rice timer", ["TimerStatus rice"]],
    ["give the rice timer another quarter of an hour", ["IncreaseTimer rice 15"]],
    ["milk's in the trolley, cross it off", ["ShoppingListCompleteItem milk"]],
    ["trip list: the socks are packed, tick them", ["ListCompleteItem Trip List socks"]],
    ["we no longer need the tent on the trip list, drop it", ["ListRemoveItem Trip List tent"]],
    ["we're out of jam, put it on the list", ["ShoppingListAddItem jam"]],
    [
      "put oats, rice and sea salt on the shopping list",
      ["ListAddItem Shopping List oats", "ListAddItem Shopping List rice", "ListAddItem Shopping List sea salt"],
    ],
  ])("%s", (sentence, wanted) => expect(meant(sentence)).toEqual(wanted));

  it.each(["mac and cheese on the shopping list", "set a timer", "it's late, turn it off", "how long is a timer"])(
    "is left to the model: %s",
    (sentence) => expect(meant(sentence)).toBeUndefined(),
  );
});
