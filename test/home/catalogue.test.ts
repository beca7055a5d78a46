import { describe, expect, it } from "vitest";
import { CATALOGUE, type Combination, stateWords } from "../../runtime/home/catalogue.ts";
import responses from "../../runtime/home/responses.json" with { type: "json" };

const intents = Object.entries(CATALOGUE.intents);
const combinations = intents.flatMap(([intent, info]) =>
  Object.entries(info.combinations).map(([name, one]): [string, string, Combination] => [intent, name, one]),
);
const RESPONSES: Record<string, Record<string, string>> = responses.intents;

describe("the catalogue", () => {
  it("has the intents, and says where it is from", () => {
    expect(intents.length).toBe(42);
    expect(CATALOGUE.source.packages[0]).toMatch(/^home-assistant-intents 20\d\d\./);
    expect(CATALOGUE.source.credit).toContain("CC BY 4.0");
    expect(responses.source).toEqual(CATALOGUE.source);
  });

  it("knows the slots of every combination, and no required one is missing from all", () => {
    for (const [intent, name, { slots }] of combinations) {
      for (const slot of slots) expect(CATALOGUE.intents[intent].slots, `${intent} ${name}`).toHaveProperty(slot);
    }
    for (const [intent, { slots, combinations: sets }] of intents) {
      const required = Object.keys(slots).filter((slot) => slots[slot].required);
      const complete = Object.values(sets).some((set) => required.every((slot) => set.slots.includes(slot)));
      expect(complete, intent).toBe(true);
    }
  });

  it("knows every domain that is named, and has every response that is said", () => {
    for (const [intent, name, { domains = [], nameDomains = [], rules = [] }] of combinations) {
      for (const domain of [...domains, ...nameDomains]) {
        expect(CATALOGUE.domains, `${intent} ${name}`).toHaveProperty(domain);
      }
      for (const { response } of rules) {
        expect(Object.keys(RESPONSES[intent] ?? {}), `${intent} ${name}`).toContain(response);
      }
    }
  });

  it("has ranges and units of numbers", () => {
    const slot = (intent: string, name: string) => CATALOGUE.intents[intent].slots[name];
    expect(slot("HassLightSet", "brightness").range).toEqual({ from: 0, to: 100, step: 1, unit: "%" });
    expect(slot("HassLightSet", "temperature").range).toEqual({ from: 1000, to: 10_000, step: 100, unit: "K" });
    expect(slot("HassClimateSetTemperature", "temperature").range).toEqual({ from: 0, to: 100, step: 0.5, unit: "°" });
    expect(slot("HassSetVolumeRelative", "volume_step").range).toEqual({ from: -100, to: 100, step: 1, unit: "%" });
    expect(slot("HassStartTimer", "minutes").range?.unit).toBe("minutes");
    expect(slot("HassStartTimer", "name").kind).toBe("text");
    expect(slot("HassTurnOn", "name").kind).toBe("name");
    for (const [intent, { slots }] of intents) {
      for (const [name, { kind, range, values }] of Object.entries(slots)) {
        expect(range !== undefined, `${intent} ${name}`).toBe(kind === "number");
        if (kind === "choice") expect(Object.keys(values!).length).toBeGreaterThan(1);
      }
    }
  });

  it("says states in the words of their class", () => {
    expect(stateWords("binary_sensor", "moisture", "on")).toEqual(["wet"]);
    expect(stateWords("binary_sensor", "window", "off")).toContain("shut");
    expect(stateWords("lock", undefined, "unlocked")).toEqual(["unlocked"]);
    expect(stateWords("sensor", "temperature", "21.5")).toEqual(["21.5"]);
    expect(stateWords("no_such_domain", "x", "y")).toEqual(["y"]);
    expect(CATALOGUE.domains.cover.classes!.garage.words).toContain("garage doors");
  });
});
