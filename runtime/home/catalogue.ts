/**
 * What Home Assistant's intents take: their slots, which of them go together, and the words for states and classes.
 * The data comes from home-assistant-intents (CC BY 4.0) and Home Assistant (Apache 2.0); tools/home/catalogue.py writes it.
 */

import data from "./catalogue.json" with { type: "json" };

/**
 * What a slot's value can be. `name`, `area`, `floor`, `domain`, `device_class` and `state` are the house's; `choice` is one of
 * `values`; `text` is a stretch of the sentence. A `number` can also be given by the words of `values`.
 */
export type SlotKind = "name" | "area" | "floor" | "domain" | "device_class" | "state" | "number" | "choice" | "text";

/** Values, and how each is said in English. */
export type Wordings = Readonly<Record<string, readonly string[]>>;

export interface SlotInfo {
  readonly kind: SlotKind;
  /** Whether the intent makes no sense without it. */
  readonly required: boolean;
  /** Of numbers; `unit` is "%", "°", "K", "hours", "minutes" or "seconds". */
  readonly range?: { readonly from: number; readonly to: number; readonly step: number; readonly unit: string };
  readonly values?: Wordings;
}

/** When a response is said: of these domains, or where the named entity is of one of these. */
export interface ResponseRule {
  readonly response: string;
  readonly domains?: readonly string[];
  readonly nameDomains?: readonly string[];
}

/** Slots that go together. */
export interface Combination {
  readonly slots: readonly string[];
  /** The satellite's area belongs to it where no place is named. */
  readonly contextArea?: boolean;
  /** Domains of the entity that `name` may be. */
  readonly nameDomains?: readonly string[];
  /** Values that `domain` may have. */
  readonly domains?: readonly string[];
  readonly rules?: readonly ResponseRule[];
}

export interface IntentInfo {
  readonly description: string;
  /** The part of Home Assistant that carries it out. */
  readonly domain: string;
  readonly slots: Readonly<Record<string, SlotInfo>>;
  readonly combinations: Readonly<Record<string, Combination>>;
}

export interface DeviceClassInfo {
  /** How it is called: "garage", "garage door", "garage doors". */
  readonly words: readonly string[];
  /** Of a binary sensor's class: `on` and `off` in its own words, such as "wet" and "dry". */
  readonly states?: Wordings;
}

export interface DomainInfo {
  /** "Media player" */
  readonly title: string;
  readonly states?: Wordings;
  readonly classes?: Readonly<Record<string, DeviceClassInfo>>;
}

export interface Catalogue {
  readonly source: { readonly packages: readonly string[]; readonly credit: string; readonly changes: string };
  readonly language: string;
  readonly intents: Readonly<Record<string, IntentInfo>>;
  readonly domains: Readonly<Record<string, DomainInfo>>;
}

export const CATALOGUE = data as unknown as Catalogue;

/** How a state is said of an entity of this domain and device class, the usual word first; the state itself where none is known. */
export function stateWords(domain: string, deviceClass: string | undefined, state: string): readonly string[] {
  const info: DomainInfo | undefined = CATALOGUE.domains[domain];
  const ofClass = deviceClass === undefined ? undefined : info?.classes?.[deviceClass]?.states;
  return (ofClass ?? info?.states)?.[state] ?? [state];
}
