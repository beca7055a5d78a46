/** What a model that converses is told about the house: what there is, and how it is now. */

import type { Home } from "../../devices/node/home/index.ts";

/** About 500 tokens: a quarter of Phi-2's context. */
const MOST_CHARACTERS = 1800;

const INTRODUCTION =
  "You are a voice assistant in a house. What you say is spoken: answer in one or two short sentences, without lists. " +
  "You cannot switch anything yourself.";

type Told = Pick<Home, "house" | "state">;

/** "21.5 °C", "on, brightness 50 %" */
function stateText(home: Told, id: string): string | undefined {
  const known = home.state(id);
  if (known === undefined || known.state === "unavailable" || known.state === "unknown") return undefined;
  const { unit_of_measurement: unit, brightness, current_temperature: degrees } = known.attributes;
  const more = [
    typeof brightness === "number" ? `brightness ${Math.round(brightness / 2.55)} %` : undefined,
    typeof degrees === "number" ? `now ${degrees} degrees` : undefined,
  ];
  const state = `${known.state.slice(0, 40)}${typeof unit === "string" ? ` ${unit}` : ""}`;
  return [state, ...more].filter((part) => part !== undefined).join(", ");
}

/** One line for each entity whose state is known: "Kitchen Light (Kitchen): on". Those that were named come first. */
function stateLines(home: Told, sentence: string): string[] {
  const { areas, entities } = home.house;
  const areaName = new Map(areas.map(({ id, name }) => [id, name]));
  const said = sentence.toLowerCase();
  const named: string[] = [];
  const others: string[] = [];
  for (const { id, name, aliases, area } of entities) {
    const state = stateText(home, id);
    if (state === undefined) continue;
    const where = areaName.get(area ?? "");
    const line = `${name}${where === undefined ? "" : ` (${where})`}: ${state}`;
    const isNamed = [name, where, ...aliases].some((one) => one !== undefined && said.includes(one.toLowerCase()));
    (isNamed ? named : others).push(line);
  }
  return [...named, ...others];
}

/**
 * The system message of a conversation in a house.
 * @param sentence what was said: where a house has more than can be told, what it names is told
 */
export function housePrompt(home: Told | undefined, sentence: string): string {
  const lines = home === undefined ? [] : stateLines(home, sentence);
  if (lines.length === 0) return INTRODUCTION;
  let told = `${INTRODUCTION} The house now:`;
  for (const line of lines) {
    if (told.length + line.length + 1 > MOST_CHARACTERS) break;
    told += `\n${line}`;
  }
  return told;
}
