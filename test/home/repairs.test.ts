/** What words know better than the model about places, classes, values and what is forbidden. */

import { describe, expect, it } from "vitest";
import type { Command, SlotValue } from "../../runtime/home/answer.ts";
import { houseFrom } from "../../runtime/home/house.ts";
import { mend } from "../../runtime/home/mending.ts";
import { read } from "../../runtime/home/reading.ts";
import { resolve } from "../../runtime/home/resolve.ts";
import { secondLook } from "../../runtime/home/second-look.ts";

const HOUSE = houseFrom({
  floors: [{ id: "low", name: "Cellar Level" }],
  areas: [
    { id: "den", name: "Den", floor: "low" },
    { id: "loft", name: "Loft" },
  ],
  entities: [
    { id: "light.arc", name: "Arc Lamp", area: "den" },
    { id: "cover.sheer", name: "Sheers", area: "den", device_class: "curtain" },
    { id: "cover.slat", name: "Slats", area: "loft", device_class: "shade" },
    { id: "valve.pond", name: "Pond", area: "den" },
    { id: "lock.gate", name: "Wicket", area: "den" },
    { id: "climate.stove", name: "Stove", area: "loft" },
    { id: "vacuum.robot", name: "Robot", area: "den" },
    { id: "vacuum.other", name: "Whiskers", area: "loft" },
    { id: "media_player.box", name: "Jukebox", area: "den" },
    { id: "light.begonia", name: "Begonia Lamp", area: "loft" },
    { id: "fan.zephyr", name: "Zephyr", area: "loft" },
    { id: "script.stop", name: "Stop" },
  ],
});
const to = (index: number): SlotValue => ({ kind: "name", index });
const is = (value: string): SlotValue => ({ kind: "choice", value });
const numbered = (index: number): SlotValue => ({ kind: "number", index, minus: false });

/** What comes of commands of the model. */
function meant(sentence: string, commands: [intent: string, slots: Record<string, SlotValue>][], heard?: string) {
  const area = HOUSE.areas.find(({ id }) => id === heard);
  const reading = read(sentence, HOUSE, area !== undefined);
  const given: Command[] = commands.map(([intent, slots]) => ({ intent, slots: new Map(Object.entries(slots)) }));
  return resolve(mend(given, reading, HOUSE), sentence, reading, HOUSE, area)?.map(({ name, slots }) =>
    [name.slice(4), ...Object.entries(slots).map(([slot, value]) => `${slot}=${value}`)].join(" "),
  );
}

describe("what is meant", () => {
  it.each<[string, [string, Record<string, SlotValue>][], string[], string?]>([
    [
      "dim everything in here to twenty",
      [["HassLightSet", { domain: is("light"), brightness: numbered(0) }]],
      ["LightSet area=Den domain=light brightness=20"],
      "den",
    ],
    [
      "close the drapes in the den",
      [["HassTurnOff", { area: to(0), domain: is("cover"), device_class: is("shade") }]],
      ["TurnOff area=Den domain=cover device_class=curtain"],
    ],
    [
      "warm white on the arc lamp",
      [["HassLightSet", { name: to(0), brightness: is("dim") }]],
      ["LightSet name=Arc Lamp temperature=2700"],
    ],
    [
      "arc lamp to full whack",
      [["HassLightSet", { name: to(0), color: is("white") }]],
      ["LightSet name=Arc Lamp brightness=100"],
    ],
    [
      "is the pond running",
      [["HassGetState", { name: to(0), state: is("opening") }]],
      ["GetState name=Pond state=open"],
    ],
    ["music off", [["HassMediaPause", { area: is("here") }]], ["TurnOff area=Den domain=media_player"], "den"],
    ["both robots back home", [["HassVacuumReturnToBase", { name: to(0) }]], ["VacuumReturnToBase"]],
    [
      "arc lamp off in forty minutes",
      [["HassStartTimer", { minutes: numbered(0) }]],
      ["StartTimer conversation_command=arc lamp off minutes=40"],
    ],
    [
      "make it 21 in here",
      [["HassClimateSetTemperature", { area: is("here"), temperature: numbered(0) }]],
      ["ClimateSetTemperature temperature=21"],
      "den",
    ],
    ["six more minutes please", [["HassIncreaseTimer", { seconds: numbered(0) }]], ["IncreaseTimer minutes=6"]],
    [
      "timer for an hour and ten",
      [["HassStartTimer", { hours: numbered(0), minutes: numbered(1) }]],
      ["StartTimer hours=1 minutes=10"],
    ],
    [
      "it's dark in the den, turn on the lights there",
      [
        ["HassLightSet", { area: to(0), brightness: is("dim") }],
        ["HassTurnOn", { domain: is("light") }],
      ],
      ["LightSet area=Den brightness=30", "TurnOn area=Den domain=light"],
    ],
  ])("%s", (sentence, commands, wanted, heard) => expect(meant(sentence, commands, heard)).toEqual(wanted));
});

describe("what is not to be done", () => {
  it.each<[string, [string, Record<string, SlotValue>][], string[]]>([
    [
      "don't touch the wicket, dim the arc lamp",
      [
        ["HassTurnOff", { name: to(0) }],
        ["HassLightSet", { name: to(1), brightness: is("dim") }],
      ],
      ["LightSet name=Arc Lamp brightness=30"],
    ],
    ['"unlock the wicket", that is what he wrote', [["HassTurnOff", { name: to(0) }]], []],
    ["I have just locked the wicket", [["HassTurnOn", { name: to(0) }]], []],
    ["lights off in the vestibule", [["HassTurnOff", { domain: is("light") }]], []],
    ["lock the car", [["HassTurnOn", { domain: is("lock") }]], []],
    ["close the deal", [["HassTurnOff", { domain: is("cover"), device_class: is("shade") }]], []],
    ["shut it up and switch off the fans", [["HassMediaPause", { area: is("here") }]], []],
    ["timers for 5 and 10 minutes", [["HassStartTimer", { hours: numbered(0), minutes: numbered(1) }]], []],
    [
      "good grief it's bright, shut the sheers",
      [
        ["HassTurnOff", { domain: is("light") }],
        ["HassTurnOff", { name: to(0) }],
      ],
      ["TurnOff name=Sheers"],
    ],
    ["how long do you boil rice", [["HassTimerStatus", { name: { kind: "text", from: 5, to: 6 } }]], []],
  ])("%s", (sentence, commands, wanted) => expect(meant(sentence, commands)).toEqual(wanted));
});

describe("a second look", () => {
  const found = (sentence: string) =>
    secondLook(read(sentence, HOUSE, false), HOUSE)?.mentions.flatMap(({ candidates }) =>
      candidates.map((one) => (one.kind === "entity" ? one.entity.name : one.kind)),
    );

  it.each([
    ["turn on the be gone ya lamp", ["Begonia Lamp"]],
    ["turn the juke bucks off", ["Jukebox"]],
  ])("%s", (sentence, names) => expect(found(sentence)).toEqual(names));

  it.each(["turn on the charm", "open the window", "turn the arc lamp off", "what a lovely day", "start a company"])(
    "finds nothing in: %s",
    (sentence) => expect(found(sentence)).toBeUndefined(),
  );

  it("a name that is also a command is one only where nothing follows", () => {
    const names = (sentence: string) => read(sentence, HOUSE, false).mentions.map(({ from }) => from);
    expect(names("stop the jukebox")).toEqual([2]);
    expect(names("run stop")).toEqual([1]);
    expect(names("stop please")).toEqual([0]);
  });
});
