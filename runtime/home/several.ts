/** What the commands of one sentence have to do with each other, and sentences that need no model. */

import { type Command, isText, type SlotValue } from "./answer.ts";
import type { Reading } from "./reading.ts";

/** A command with other slots, or none where undefined is given, and perhaps another intent. */
export function changed(
  { intent, slots, tokens, parts }: Command,
  given: Readonly<Record<string, SlotValue | undefined>>,
  named = intent,
): Command {
  const next = new Map(slots);
  for (const [slot, value] of Object.entries(given)) {
    if (value) next.set(slot, value);
    else next.delete(slot);
  }
  const own = parts && new Map([...parts].filter(([slot]) => !(slot in given)));
  return { intent: named, slots: next, tokens, ...(own && { parts: own }) };
}

const ANNOUNCED =
  /^(?:please |(?:can|could|would) you )?(?:announce|broadcast|tell|call|inform)(?: to)? (?:everyone|everybody|the (?:whole )?(?:house|family|home)|all)(?: that)? (?=\S)/;
const GREETING =
  /^(?:(?:hi|hello|hey|good (?:morning|evening|afternoon))(?: there)?(?: (?:again|friend|house|(?:good|nice) to see you))?|(?:can you hear me|are you (?:there|listening))(?: now)?|who (?:made|built|created) you(?: anyway)?|what (?:sort of things |kind of things )?(?:can (?:you|i)|are you able to) (?:do|say|ask)(?: you)?(?: to do)?(?: for me)?)$/;

/** What needs no model: a message to all, a greeting. */
export function plain(text: string, { words }: Reading): Command | undefined {
  if (GREETING.test(text)) return { intent: "HassRespond", slots: new Map() };
  const said = ANNOUNCED.exec(text)?.[0];
  if (said === undefined) return undefined;
  const from = said.trim().split(" ").length;
  return { intent: "HassBroadcast", slots: new Map([["message", { kind: "text", from, to: words.length }]]) };
}

/** Whether a later command says again, with less, what an earlier one said. */
export function isRepeated(later: Command, earlier: Command): boolean {
  if (
    later.intent !== earlier.intent ||
    [...later.slots.keys()].some((slot) => isText(later.intent, slot) || slot === "name")
  )
    return false;
  if (later.slots.size >= earlier.slots.size) return false;
  return [...later.slots].every(([slot, value]) => JSON.stringify(earlier.slots.get(slot)) === JSON.stringify(value));
}

/** A name that the next command points at too is not this one's, where its "area" is also a thing: "close the garage and lock the door". */
export function apart(commands: readonly Command[], { mentions }: Reading): Command[] {
  const pointer = (command: Command | undefined, slot: string) => {
    const value = command?.slots.get(slot);
    return value?.kind === "name" ? value.index : -1;
  };
  return commands.map((command, i) => {
    const area = pointer(command, "area");
    const name = pointer(command, "name");
    const isThing = mentions[area]?.candidates.some(({ kind }) => kind === "entity") ?? false;
    const taken = name >= 0 && commands.some((other, j) => j !== i && pointer(other, "name") === name);
    return isThing && taken ? changed(command, { name: command.slots.get("area"), area: undefined }) : command;
  });
}

/** "Clean the kitchen, then go back to your dock": who goes back was said before. */
export function docked(commands: readonly Command[], text: string): Command[] {
  return commands.map((command, i) => {
    const name = commands[i - 1]?.slots.get("name");
    if (command.intent !== "HassMediaPrevious" || !name || !/\b(dock|base|charger|home)\b/.test(text)) return command;
    return /^HassVacuum/.test(commands[i - 1].intent) ? changed(command, { name }, "HassVacuumReturnToBase") : command;
  });
}

/** "The lamp to 20 % and blue": what follows is of the same thing. */
export function continued(commands: readonly Command[]): Command[] {
  const targets = ["name", "area", "floor"];
  return commands.map((command, i) => {
    const before = commands[i - 1];
    if (
      command.intent !== "HassLightSet" ||
      before?.intent !== command.intent ||
      targets.some((slot) => command.slots.has(slot))
    )
      return command;
    const same = Object.fromEntries(targets.map((slot) => [slot, before.slots.get(slot)]));
    return changed(command, before.slots.has("name") ? { ...same, domain: undefined } : same);
  });
}
