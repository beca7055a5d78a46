/** Says what goes with an intent: fills its response template as Home Assistant would, from the house and, where it is live, its states. */

import { Template } from "@huggingface/jinja";
import { needsOf, responseTemplate } from "../../runtime/home/answers.ts";
import type { EntityState } from "../../runtime/home/assistant/registries.ts";
import { targetsOf } from "../../runtime/home/targets.ts";
import type { Entity, House, Intent } from "../../runtime/home/types.ts";

/** The state of an entity, where it is known. */
export type StateOf = (entityId: string) => EntityState | undefined;

/** What templates call a state. */
function templateState({ id, domain, name }: Entity, known: EntityState | undefined) {
  const { state, attributes = {} } = known ?? {};
  const unit = attributes.unit_of_measurement;
  const withUnit = unit === undefined ? state : `${state} ${String(unit)}`;
  return { entity_id: id, domain, name, state, state_with_unit: withUnit, attributes };
}

/** Slots that Home Assistant's handlers add. */
function clockSlots(now: Date): Record<string, unknown> {
  return {
    time: { hour: now.getHours(), minute: now.getMinutes() },
    date: { day: now.getDate(), month: now.getMonth() + 1, year: now.getFullYear() },
  };
}

/** A template's own words about the deed need no state, but the domain of what it was done to. */
const usesDomainOnly = (template: string) =>
  [...template.matchAll(/\bstate\.(\w+)/g)].every(([, field]) => field === "domain" || field === "name");

/**
 * The sentence, or undefined where nothing is said, or where it depends on what is not known here.
 * @param sentence what was said: it tells how a question was meant
 */
export function speak(
  house: House,
  intent: Intent,
  sentence: string,
  stateOf: StateOf = () => undefined,
  now = new Date(),
): string | undefined {
  const template = responseTemplate(house, intent, sentence);
  if (template === undefined) return undefined;
  const needs = needsOf(template, intent);
  const slots: Record<string, unknown> = { ...intent.slots, ...(needs.slots.length > 0 ? clockSlots(now) : {}) };
  if (needs.slots.some((slot) => slots[slot] === undefined)) return undefined;
  const states = targetsOf(house, intent).map((entity) => templateState(entity, stateOf(entity.id)));
  const known = states.filter(({ state }) => state !== undefined);
  if (needs.query && known.length === 0) return undefined;
  const wanted = intent.slots.state;
  const matched = known.filter(({ state }) => wanted === undefined || state === wanted);
  const unmatched = known.filter((one) => !matched.includes(one));
  const first = matched[0] ?? unmatched[0] ?? (usesDomainOnly(template) ? states[0] : undefined);
  if (needs.state && first === undefined) return undefined;
  const attribute = (id: string, name: string) => stateOf(id)?.attributes[name] ?? null;
  const context = { slots, state: first ?? null, query: { matched, unmatched }, state_attr: attribute };
  const text = new Template(template).render(context).trim().replace(/\s+/g, " ");
  return text || undefined;
}
