/**
 * From a sentence to intents by the embedded model's JSON: the model knows no house, so what it names is looked up in it, and a
 * command that names what the house does not have is none.
 */

import type { Phi } from "../api.ts";
import { CATALOGUE } from "./catalogue.ts";
import { areaCalled, calledExactly, targetsOf } from "./targets.ts";
import type { Area, Entity, Floor, House, Intent, SlotValue } from "./types.ts";

type Thing = Area | Floor | Entity;

/** What understanding needs of the embedded model. */
export type HomeModel = Pick<Phi, "chat" | "score">;

export interface UnderstandOptions {
  house: House;
  /** Name, alias or id of the area in which the sentence was heard. */
  area?: string;
  /** Below this confidence the answer is "not a command". */
  threshold?: number;
  /** Also say how it was understood. */
  explain?: boolean;
  signal?: AbortSignal;
}

/** How a sentence was understood. */
export interface Explanation {
  /** Its words as they were compared. */
  words: string[];
  /** The house's names in it, how sure they are, and what they can be. */
  names: { said: string; likeness: number; candidates: string[] }[];
  /** What the model answered, and how likely it held that. */
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
  explain?: Explanation;
}

const MOST_CHARACTERS = 1000;
const MOST_TOKENS = 96;
const THRESHOLD = 0.35;

/** Understands one sentence. Throws what the model throws; E_CANCELLED where `signal` fires. */
export async function understand(model: HomeModel, text: string, options: UnderstandOptions): Promise<Understanding> {
  const start = performance.now();
  const { house, area, threshold = THRESHOLD, explain, signal } = options;
  const finish = (intents: Intent[], confidence: number, explanation?: Explanation): Understanding => {
    const ms = performance.now() - start;
    return { text, intents, confidence, ms, ...(explain && explanation && { explain: explanation }) };
  };
  const sentence = text.trim().replace(/\s+/g, " ");
  if (!/[\p{L}\p{N}]/u.test(sentence) || text.length > MOST_CHARACTERS) {
    return finish([], 1, { words: [], names: [], answer: [], meant: [], refused: "there is no sentence to read" });
  }
  const answered = await model.chat([{ role: "user", content: sentence }], { maxTokens: MOST_TOKENS, signal });
  const confidence = await confidenceOf(model, sentence, answered.text, answered.tokens.length);
  const meant = parse(answered.text);
  const resolved = meant && resolve(meant, house, area === undefined ? undefined : areaCalled(house, area));
  const refused = refusal(meant, resolved, confidence, threshold);
  const intents = refused === undefined && resolved ? [resolved] : [];
  return finish(intents, confidence, {
    words: sentence.split(" "),
    names: meant ? namesIn(meant, house) : [],
    answer: [{ token: answered.text.trim(), probability: confidence }],
    meant: meant ? [meant] : [],
    ...(refused !== undefined && { refused }),
  });
}

function refusal(meant: Intent | undefined, resolved: Intent | undefined, confidence: number, threshold: number) {
  if (meant === undefined) return undefined;
  if (resolved === undefined) return "the house has nothing that is called so";
  return confidence < threshold ? `the confidence is below ${threshold}` : undefined;
}

/** The probability of the whole answer: it was the most likely one at each of its tokens. */
async function confidenceOf(model: HomeModel, sentence: string, answer: string, tokens: number): Promise<number> {
  const { positions } = await model.score(`Instruct: ${sentence}\nOutput:${answer}`, { top: 1 });
  const own = positions.slice(Math.max(0, positions.length - tokens - 1), -1);
  return Math.exp(own.reduce((sum, { top }) => sum + top[0][1], 0));
}

/** The model's JSON as an intent; undefined for none, and for what is no intent of the catalogue. */
function parse(answer: string): Intent | undefined {
  let document: unknown;
  try {
    document = JSON.parse(answer);
  } catch {
    return undefined;
  }
  const { intent: name, ...slots } = document as Record<string, SlotValue>;
  const info = typeof name === "string" && Object.hasOwn(CATALOGUE.intents, name) ? CATALOGUE.intents[name] : undefined;
  return info && Object.keys(slots).every((slot) => slot in info.slots) ? { name: String(name), slots } : undefined;
}

/** What the slots that name something of the house can be. */
function named({ name, slots }: Intent, { areas, floors, entities }: House): [slot: string, said: string, Thing[]][] {
  const kinds: Record<string, readonly Thing[]> = { area: areas, floor: floors, name: entities };
  return Object.keys(kinds)
    .filter((slot) => slots[slot] !== undefined && CATALOGUE.intents[name].slots[slot].kind === slot)
    .map((slot) => [slot, String(slots[slot]), calledExactly(kinds[slot], String(slots[slot]))]);
}

function namesIn(intent: Intent, house: House): Explanation["names"] {
  return named(intent, house).map(([, said, things]) => ({
    said,
    likeness: 1,
    candidates: things.map(({ id }) => id),
  }));
}

/** The intent with names as the house spells them; undefined where it has no such thing. */
function resolve(meant: Intent, house: House, heard: Area | undefined): Intent | undefined {
  const own: Record<string, SlotValue> = { ...meant.slots };
  for (const [slot, , things] of named(meant, house)) {
    if (things.length === 0) return undefined;
    own[slot] = things[0].name;
  }
  const placed = own.name ?? own.area ?? own.floor;
  const wantsPlace = Object.values(CATALOGUE.intents[meant.name].combinations).some(({ contextArea }) => contextArea);
  if (placed === undefined && wantsPlace && heard) own.area = heard.name;
  const intent = { name: meant.name, slots: own };
  return acts(intent) && targetsOf(house, intent).length === 0 ? undefined : intent;
}

/** Whether an intent is about entities that it names. */
const acts = ({ slots }: Intent) => (slots.name ?? slots.domain ?? slots.device_class) !== undefined;
