/** What is said of an intent, as a template for Home Assistant and as a sentence. */

import { Template } from "@huggingface/jinja";
import { describe, expect, it } from "vitest";
import { speak } from "../../devices/home/speech.ts";
import { spokenTemplate } from "../../runtime/home/answers.ts";
import { CATALOGUE } from "../../runtime/home/catalogue.ts";
import { houseFrom } from "../../runtime/home/house.ts";
import responses from "../../runtime/home/responses.json" with { type: "json" };
import { targetsOf } from "../../runtime/home/targets.ts";
import type { Intent } from "../../runtime/home/types.ts";

const HOUSE = houseFrom({
  floors: [{ id: "up", name: "Upstairs" }],
  areas: [
    { id: "kitchen", name: "Kitchen", floor: "up", aliases: ["cooking room"] },
    { id: "hall", name: "Hall" },
  ],
  entities: [
    { id: "light.a", name: "Ceiling", area: "kitchen", aliases: ["main light"] },
    { id: "light.b", name: "Lamp", area: "hall" },
    { id: "light.c", name: "Lamp", area: "kitchen" },
    { id: "cover.blind", name: "Blind", area: "hall", device_class: "blind" },
    { id: "lock.door", name: "Front Door", area: "hall" },
    { id: "valve.water", name: "Sprinkler" },
    { id: "scene.movie", name: "Movie" },
    { id: "group.all", name: "Group" },
    { id: "climate.hall", name: "Thermostat", area: "hall" },
    { id: "sensor.t", name: "Outside", device_class: "temperature" },
    { id: "binary_sensor.w", name: "Window", device_class: "window" },
    { id: "person.anna", name: "Anna" },
    { id: "weather.home", name: "Forecast" },
    { id: "vacuum.r", name: "Robot" },
  ],
});

const STATES: Record<string, [state: string, attributes?: Record<string, unknown>]> = {
  "light.a": ["on"],
  "light.b": ["off"],
  "light.c": ["on"],
  "lock.door": ["locked"],
  "cover.blind": ["open"],
  "climate.hall": ["heat", { current_temperature: 21.5 }],
  "sensor.t": ["7.5", { unit_of_measurement: "°C" }],
  "person.anna": ["not_home"],
  "weather.home": ["sunny", { temperature: 12, temperature_unit: "°C" }],
};

const stateOf = (entity_id: string) => {
  const [state, attributes = {}] = STATES[entity_id] ?? [];
  return state === undefined ? undefined : { entity_id, state, attributes };
};
const intent = (name: string, slots: Intent["slots"] = {}): Intent => ({ name, slots });
const NOON = new Date(2026, 10, 27, 12, 5);
const say = (name: string, slots: Intent["slots"] = {}, sentence = "") =>
  speak(HOUSE, intent(name, slots), sentence, undefined, NOON);
const sayLive = (name: string, slots: Intent["slots"] = {}, sentence = "") =>
  speak(HOUSE, intent(name, slots), sentence, stateOf, NOON);

describe("deeds", () => {
  it.each([
    ["HassTurnOn", { name: "Ceiling" }, "Turned on the light"],
    ["HassTurnOff", { name: "Ceiling", area: "Kitchen" }, "Turned off the light"],
    ["HassTurnOn", { area: "Kitchen", domain: "light" }, "Turned on the lights"],
    ["HassTurnOff", { floor: "Upstairs", domain: "light" }, "Turned off the lights"],
    ["HassTurnOff", { domain: "light" }, "Turned off all of the lights"],
    ["HassTurnOn", { domain: "light" }, "Turned on all of the lights"],
    ["HassTurnOff", { domain: "fan" }, "Turned off all of the fans"],
    ["HassTurnOn", { area: "Kitchen", domain: "fan" }, "Turned on the fans"],
    ["HassTurnOn", { name: "Blind" }, "Opening"],
    ["HassTurnOff", { name: "Blind" }, "Closing"],
    ["HassTurnOff", { domain: "cover", device_class: "blind", area: "Hall" }, "Closing the blind"],
    ["HassTurnOn", { name: "Front Door" }, "Locking"],
    ["HassTurnOff", { name: "Front Door" }, "Unlocking"],
    ["HassTurnOn", { name: "Sprinkler" }, "Opening"],
    ["HassTurnOn", { name: "Movie" }, "Activated"],
    ["HassTurnOn", { name: "Group" }, "Turned on Group"],
    ["HassLightSet", { name: "Ceiling", brightness: 50 }, "Brightness set"],
    ["HassLightSet", { area: "Hall", domain: "light", color: "red" }, "Color set"],
    ["HassLightSet", { name: "Lamp", area: "Hall", temperature: 2700 }, "Color temperature set"],
    ["HassSetPosition", { name: "Blind", position: 40 }, "Position set"],
    ["HassClimateSetTemperature", { temperature: 1 }, "Temperature set to 1 degree"],
    ["HassClimateSetTemperature", { temperature: 20.5, area: "Hall" }, "Temperature set to 20.5 degrees"],
    ["HassStartTimer", { hours: 1, minutes: 10 }, "Timer set for 1 hour and 10 minutes"],
    [
      "HassStartTimer",
      { hours: 2, minutes: 1, seconds: 5, name: "tea" },
      "Timer set for 2 hours, 1 minute and 5 seconds named tea",
    ],
    ["HassStartTimer", { minutes: 5, conversation_command: "open the blind" }, "Command will be executed in 5 minutes"],
    ["HassIncreaseTimer", { minutes: 5 }, "5 minutes added to timer"],
    ["HassDecreaseTimer", { seconds: 1 }, "1 second removed from timer"],
    ["HassShoppingListAddItem", { item: "oat milk" }, "Added oat milk"],
    ["HassListCompleteItem", { item: "milk", name: "Groceries" }, "Checked off milk"],
    ["HassVacuumCleanArea", { area: "Hall" }, "Cleaning Hall"],
    ["HassGetCurrentTime", {}, "12:05 PM"],
    ["HassGetCurrentDate", {}, "November 27th, 2026"],
  ] as [string, Intent["slots"], string][])("%s %j", (name, slots, text) => {
    expect(say(name, slots)).toBe(text);
  });

  it("says nothing where nothing is said, and nothing that is not known", () => {
    expect(say("HassNevermind")).toBeUndefined();
    expect(say("HassNoSuchIntent")).toBeUndefined();
    expect(say("HassCancelAllTimers")).toBeUndefined();
    expect(say("HassTimerStatus")).toBeUndefined();
    expect(say("HassGetState", { name: "Ceiling", state: "on" })).toBeUndefined();
    expect(say("HassGetWeather")).toBeUndefined();
  });

  it.each([
    ["hello there", /^Hello/],
    ["who made you", /created by/],
    ["are you always listening", /wake word/],
    ["where does my data go", /Home Assistant server/],
    ["what can I say", /what you can ask/],
  ])("HassRespond: %s", (sentence, answer) => {
    expect(say("HassRespond", {}, sentence)).toMatch(answer);
  });
});

describe("questions, where states are known", () => {
  it.each([
    ["is the ceiling light on", { name: "Ceiling", state: "on" }, "Yes"],
    ["is the lamp on", { name: "Lamp", area: "Hall", state: "on" }, "No, off"],
    ["what is the state of the front door", { name: "Front Door" }, "Front Door is locked"],
    ["how cold is it outside", { name: "Outside" }, "Outside is 7.5 °C"],
    ["where is anna", { name: "Anna" }, "Anna is away"],
    ["are any lights on", { domain: "light", state: "on" }, "Yes, Ceiling and Lamp"],
    ["are all the lights on", { domain: "light", state: "on" }, "No, Lamp is not on"],
    ["which lights are off in the hall", { domain: "light", state: "off", area: "Hall" }, "Lamp"],
    ["how many lights are on upstairs", { domain: "light", state: "on", floor: "Upstairs" }, "2"],
    ["is any blind closed", { domain: "cover", device_class: "blind", state: "closed" }, "No"],
  ] as [string, Intent["slots"], string][])("%s", (sentence, slots, text) => {
    expect(sayLive("HassGetState", slots, sentence)).toBe(text);
  });

  it("temperature and weather", () => {
    expect(sayLive("HassClimateGetTemperature", { area: "Hall" })).toBe("21.5 degrees");
    expect(sayLive("HassGetWeather")).toBe("12 °C and sunny");
  });
});

describe("templates for Home Assistant", () => {
  const wyoming = (name: string, slots: Intent["slots"] = {}) => spokenTemplate(HOUSE, intent(name, slots), "");

  it("are Home Assistant's own", () => {
    expect(wyoming("HassMediaPause")).toBe("Paused");
    expect(wyoming("HassListAddItem", { item: "milk" })).toBe("Added {{ slots.item }}");
    expect(wyoming("HassNevermind")).toBeUndefined();
  });

  it("never fail, whatever is missing: a template that fails is spoken as an error after the deed", () => {
    for (const name of Object.keys(CATALOGUE.intents)) {
      for (const sentence of ["", "how many", "which", "all the", "hello"]) {
        const template = spokenTemplate(HOUSE, intent(name), sentence);
        if (template !== undefined) expect(() => new Template(template).render({ slots: {} }), name).not.toThrow();
      }
    }
    expect(new Template(wyoming("HassGetCurrentTime")!).render({ slots: {} })).toBe("");
    expect(new Template(wyoming("HassTurnOn", { name: "Ceiling" })!).render({ slots: {}, state: null })).toBe("");
    const slots = { canceled: 2 };
    expect(new Template(wyoming("HassCancelAllTimers")!).render({ slots }).trim()).toBe("Canceled 2 timers.");
  });

  it("all parse", () => {
    for (const templates of Object.values(responses.intents)) {
      for (const template of Object.values(templates)) expect(() => new Template(template)).not.toThrow();
    }
  });
});

describe("targets", () => {
  const ids = (name: string, slots: Intent["slots"] = {}) => targetsOf(HOUSE, intent(name, slots)).map(({ id }) => id);

  it("by name, alias, place, domain and class", () => {
    expect(ids("HassTurnOn", { name: "main LIGHT" })).toEqual(["light.a"]);
    expect(ids("HassTurnOn", { name: "Lamp" })).toEqual(["light.b", "light.c"]);
    expect(ids("HassTurnOn", { name: "Lamp", area: "cooking room" })).toEqual(["light.c"]);
    expect(ids("HassTurnOn", { domain: ["light", "lock"], area: "Hall" })).toEqual(["light.b", "lock.door"]);
    expect(ids("HassLightSet", { floor: "Upstairs", brightness: 1 })).toEqual(["light.a", "light.c"]);
    expect(ids("HassTurnOff", { device_class: "blind" })).toEqual(["cover.blind"]);
    expect(ids("HassTurnOn", { name: "Nobody" })).toEqual([]);
    expect(ids("HassTurnOn", { name: "Lamp", area: "Nowhere" })).toEqual([]);
    expect(ids("HassStartTimer", { name: "Lamp", minutes: 5 })).toEqual([]);
  });
});
