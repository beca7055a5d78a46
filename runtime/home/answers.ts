/**
 * What is said of an intent: a response template of home-assistant-intents (CC BY 4.0), in Jinja, which Home Assistant fills
 * with `slots`, `state` and `query` after the deed.
 */

import { CATALOGUE, type Combination, type ResponseRule } from "./catalogue.ts";
import responses from "./responses.json" with { type: "json" };
import { targetsOf } from "./targets.ts";
import type { House, Intent } from "./types.ts";

const TEMPLATES: Readonly<Record<string, Readonly<Record<string, string>>>> = responses.intents;

/** Questions about many things at once, by how they begin. */
const QUESTIONS: readonly (readonly [response: string, pattern: RegExp])[] = [
  ["how_many", /\bhow many\b|\bnumber of\b|\bcount\b/],
  ["all", /\b(is|are) (all|every|everything|everyone|everybody|each)\b|\ball (of )?(the|my|our)\b/],
  ["which", /^(and )?(which|what|who)\b|\b(tell me|list|show me) (which|what|who|all)\b/],
  ["any", /./],
];

/** What a greeting or a question about the assistant itself is answered with. */
const SMALL_TALK: readonly (readonly [response: string, pattern: RegExp])[] = [
  ["creator", /\bwho\b.*\b(made|created|built|invented|make|create)\b|\bcreator\b/],
  ["listening", /\b(listen|listening|record|recording)\b/],
  ["data", /\bdata\b/],
  ["commands", /\bwhat\b.*\b(say|ask|do)\b|\bcommands\b|\bhelp\b/],
  ["hello", /\b(hello|hi|hey|good (morning|evening|afternoon))\b/],
];

const firstMatch = (kinds: typeof QUESTIONS, sentence: string) =>
  kinds.find(([, pattern]) => pattern.test(sentence.toLowerCase()))?.[0];

/** How well a combination's slots are those of the intent: those in common count, those that differ do not. */
function likeness({ slots }: Combination, given: readonly string[]): number {
  const common = slots.filter((slot) => given.includes(slot)).length;
  return 2 * common - slots.length - given.length;
}

function fits({ domains, nameDomains }: ResponseRule, domain: string | undefined): boolean {
  const all = [...(domains ?? []), ...(nameDomains ?? [])];
  return all.length === 0 || (domain !== undefined && all.includes(domain));
}

/** The response that the catalogue's rules name for these slots and this domain. */
function ruled(intent: Intent, domain: string | undefined): string | undefined {
  const given = Object.keys(intent.slots);
  const combinations = Object.values(CATALOGUE.intents[intent.name].combinations);
  const rules = combinations
    .sort((a, b) => likeness(b, given) - likeness(a, given))
    .flatMap(({ rules = [] }) => rules.filter((rule) => fits(rule, domain)));
  return rules[0]?.response;
}

function question({ slots }: Intent, domain: string | undefined, sentence: string): string {
  if (slots.name === undefined) return firstMatch(QUESTIONS, sentence)!;
  if (slots.state !== undefined) return "one_yesno";
  return domain === "person" ? "where" : "one";
}

/** "lights everywhere" have a response of their own. */
function everywhere({ slots }: Intent, domain: string | undefined): string | undefined {
  const placed = slots.area ?? slots.floor ?? slots.name ?? slots.device_class;
  return placed === undefined && domain !== undefined ? `${domain}_all` : undefined;
}

function chooseResponse(intent: Intent, domain: string | undefined, sentence: string): string | undefined {
  if (intent.name === "HassGetState") return question(intent, domain, sentence);
  if (intent.name === "HassRespond") return firstMatch(SMALL_TALK, sentence);
  return everywhere(intent, domain) ?? ruled(intent, domain);
}

/** Entities' domain where they all have one. */
function domainOf(house: House, intent: Intent): string | undefined {
  const { domain } = intent.slots;
  if (domain !== undefined) return String(Array.isArray(domain) ? domain[0] : domain);
  const domains = new Set(targetsOf(house, intent).map((entity) => entity.domain));
  return domains.size === 1 ? [...domains][0] : undefined;
}

/**
 * The template of what is said of an intent, or undefined where nothing is.
 * @param sentence what was said: it tells how a question was meant
 */
export function responseTemplate(house: House, intent: Intent, sentence: string): string | undefined {
  const templates = TEMPLATES[intent.name];
  if (templates === undefined) return undefined;
  const chosen = chooseResponse(intent, domainOf(house, intent), sentence);
  const known = [chosen, ruled(intent, domainOf(house, intent)), "default", ...Object.keys(templates)];
  const response = known.find((one) => one !== undefined && Object.hasOwn(templates, one));
  return (response === undefined ? "" : templates[response]).trim() || undefined;
}

/** What `slots` of a template do that the sentence gave no value: Home Assistant fills them in, or does not. */
function openSlots(template: string, { slots }: Intent): string[] {
  const used = new Set([...template.matchAll(/\bslots\.(\w+)/g)].map(([, slot]) => slot));
  return [...used].filter((slot) => slots[slot] === undefined && !template.includes(`slots.${slot} is defined`));
}

const usesState = (template: string) => /\bstate\b/.test(template);
const usesQuery = (template: string) => /\bquery\b/.test(template);

/**
 * The template as it may be handed to Home Assistant: it speaks an error after the deed where a template fails, so one whose
 * values could be missing says nothing then.
 */
export function spokenTemplate(house: House, intent: Intent, sentence: string): string | undefined {
  const template = responseTemplate(house, intent, sentence);
  if (template === undefined) return undefined;
  const needs = openSlots(template, intent).map((slot) => `slots.${slot} is defined`);
  const matched = usesState(template) ? "query is defined and (query.matched or state)" : "query is defined";
  if (usesQuery(template)) needs.push(matched);
  else if (usesState(template)) needs.push("state");
  return needs.length === 0 ? template : `{% if ${needs.join(" and ")} %}${template}{% endif %}`;
}

/** What a template wants to know. */
export function needsOf(template: string, intent: Intent): { slots: string[]; state: boolean; query: boolean } {
  return { slots: openSlots(template, intent), state: usesState(template), query: usesQuery(template) };
}
