/** What the parts of `runtime/home` hand to each other: the house, and what a sentence means in it. */

/** What has names: a floor, an area, an entity. */
export interface Named {
  /** As the house spells it; what an intent's slot says. */
  readonly name: string;
  /** Other names for the same thing, without `name`. */
  readonly aliases: readonly string[];
}

export interface Floor extends Named {
  readonly id: string;
}

export interface Area extends Named {
  readonly id: string;
  /** Id of its floor. */
  readonly floor?: string;
}

export interface Entity extends Named {
  /** "light.reading" */
  readonly id: string;
  /** The id's first part: "light". */
  readonly domain: string;
  /** Id of its area. */
  readonly area?: string;
  /** "blind", "window", "temperature" … */
  readonly deviceClass?: string;
}

/** A device that listens, and where it stands. */
export interface Satellite {
  /** Home Assistant's device_id or satellite_id. */
  readonly id: string;
  /** Id of its area. */
  readonly area: string;
}

/** A house whose ids are unique and whose references lead somewhere. */
export interface House {
  /** Of its names, such as "en". */
  readonly language: string;
  readonly floors: readonly Floor[];
  readonly areas: readonly Area[];
  readonly entities: readonly Entity[];
  readonly satellites: readonly Satellite[];
}

/** What a slot says; several domains can come as a list. */
export type SlotValue = string | number | readonly string[];

/** One of Home Assistant's intents with its slots: names as the house spells them. */
export interface Intent {
  readonly name: string;
  readonly slots: Readonly<Record<string, SlotValue>>;
}

/** How a sentence was understood. */
export interface Explanation {
  /** Its words as they were compared. */
  words: string[];
  /** The house's names in it, how sure they are, and what they can be. */
  names: { said: string; likeness: number; candidates: string[] }[];
  /** What the model answered, each token with its probability. */
  answer: { token: string; probability: number }[];
  /** What the model meant, before it was held against the threshold and the house. */
  meant: Intent[];
  /** Why nothing is done, where nothing is. */
  refused?: string;
}

export interface Understanding {
  text: string;
  /** In the order in which they are to be done; none: no home command. */
  intents: Intent[];
  /** How sure it is that these, or none, are meant: 0 to 1. */
  confidence: number;
  ms: number;
  explanation?: Explanation;
}
