/** A house with the model that reads sentences in it. */

import { PiPhiError } from "../../runtime/errors.ts";
import { spokenTemplate } from "../../runtime/home/answers.ts";
import type { OpenSocket } from "../../runtime/home/assistant/connection.ts";
import { type FollowOptions, LiveHouse } from "../../runtime/home/assistant/follow.ts";
import type { EntityState } from "../../runtime/home/assistant/registries.ts";
import { areaCalled } from "../../runtime/home/targets.ts";
import type { Area, House, Intent, Understanding } from "../../runtime/home/types.ts";
import type { understand as understandSentence } from "../../runtime/home/understand.ts";
import type { Phi } from "../../runtime/index.ts";
import { type StateOf, speak } from "./speech.ts";

/** An intent, and what to say when it is done; no text where nothing is said, or where it is not known here. */
export interface SpokenIntent extends Intent {
  readonly text?: string;
}

export interface SpokenUnderstanding extends Understanding {
  intents: SpokenIntent[];
}

export interface UnderstandOptions {
  /** Where the sentence was said: an area's name, alias or id, or a satellite's id. */
  area?: string;
  /** Tell how it came about. */
  explain?: boolean;
  /**
   * What an intent's `text` is: a plain sentence (default), or a Jinja template that Home Assistant fills with `slots`, `state`
   * and `query` after the deed.
   */
  speech?: "plain" | "template";
  signal?: AbortSignal;
}

export interface Home extends AsyncDisposable {
  /** The house as it is now. */
  readonly house: House;
  /** The state of an entity: known where Home Assistant is followed. */
  state(entityId: string): EntityState | undefined;
  /**
   * What a sentence means in this house.
   * @throws PiPhiError E_USAGE for an unknown area, E_CANCELLED, E_CLOSED
   */
  understand(text: string, options?: UnderstandOptions): Promise<SpokenUnderstanding>;
  /** Lets go of the model, and of Home Assistant. */
  close(): Promise<void>;
}

export interface HomeParts {
  house: House | LiveHouse;
  phi: Phi;
  /** Reads a sentence with the model. */
  read: typeof understandSentence;
}

/** The area that a sentence was said in; throws E_USAGE. */
function whereSaid(house: House, name: string | undefined): Area | undefined {
  if (name === undefined) return undefined;
  const area = areaCalled(house, name);
  if (area !== undefined) return area;
  const known = house.areas.slice(0, 10).map((one) => one.name);
  const message = `The house has no area or satellite "${name}". It has: ${known.join(", ") || "none"}.`;
  throw new PiPhiError("E_USAGE", message, { area: name, known });
}

/** Reads one sentence, and adds what to say. */
async function understandIn(
  { house: given, phi, read }: HomeParts,
  text: string,
  { area, explain, speech = "plain", signal }: UnderstandOptions = {},
): Promise<SpokenUnderstanding> {
  if (typeof text !== "string") throw new PiPhiError("E_USAGE", "The sentence must be a text. Pass a string.");
  const house = given instanceof LiveHouse ? given.house : given;
  const stateOf: StateOf | undefined = given instanceof LiveHouse ? (id) => given.state(id) : undefined;
  const understood = await read(text, { house, area: whereSaid(house, area), phi, explain, signal });
  const intents = understood.intents.map((intent): SpokenIntent => {
    const spoken = speech === "plain" ? speak(house, intent, text, stateOf) : spokenTemplate(house, intent, text);
    return spoken === undefined ? intent : { ...intent, text: spoken };
  });
  return { ...understood, intents };
}

/** A home of these parts, which it owns from now on, but for a model that is `borrowed`. */
export function homeOf(parts: HomeParts, borrowed = false): Home {
  const { house, phi } = parts;
  let closing: Promise<void> | undefined;
  const close = () => {
    if (house instanceof LiveHouse) house.close();
    closing ??= borrowed ? Promise.resolve() : phi.close();
    return closing;
  };
  return {
    get house() {
      return house instanceof LiveHouse ? house.house : house;
    },
    state: (id) => (house instanceof LiveHouse ? house.state(id) : undefined),
    understand: (text, options) => understandIn(parts, text, options),
    close,
    [Symbol.asyncDispose]: close,
  };
}

export interface OpenHomeOptions {
  /** A house as `readHouse` gives or takes it. */
  house?: House | string | object;
  /** Home Assistant, whose house is followed, instead. */
  homeAssistant?: Omit<FollowOptions, "signal">;
  /** The embedded model, where it is loaded already: it is not closed with the home. Default: one of the home's own. */
  phi?: Phi;
  signal?: AbortSignal;
}

/** What devices do in their own ways. */
export interface HomeDevice {
  openSocket: OpenSocket;
  /** Throws E_HOUSE. */
  readHouse(house: string | object): House;
  /** Loads the embedded model. */
  load(signal: AbortSignal | undefined): Promise<Phi>;
  read: typeof understandSentence;
}

export interface HomeDoors {
  /**
   * Loads the embedded model, to understand sentences in a house until `close`.
   * @throws PiPhiError E_HOUSE, E_USAGE; with Home Assistant what `followHomeAssistant` throws
   */
  openHome(options: OpenHomeOptions): Promise<Home>;
  /**
   * Reads the house that Home Assistant exposes to its voice assistants, and follows it until `close`.
   * @throws PiPhiError E_HOME_ASSISTANT, E_TOKEN, E_USAGE, E_CANCELLED
   */
  followHomeAssistant(options: FollowOptions): Promise<LiveHouse>;
  /**
   * What a sentence means in a house: read the house once, not for every sentence. Loads the embedded model the first time and
   * keeps it until `unload`; `openHome` is for those who want to say when.
   * @throws PiPhiError E_HOUSE, E_USAGE for an unknown area, E_CANCELLED
   */
  understand(
    text: string,
    options: UnderstandOptions & { house: House | string | object },
  ): Promise<SpokenUnderstanding>;
  /** Lets go of the model that `understand` loaded. */
  unload(): Promise<void>;
}

/** The doors of `piphi/home` on a device. */
export function homeDoors({ openSocket, readHouse, load, read }: HomeDevice): HomeDoors {
  /** The model of `understand`: loaded once. */
  let shared: Promise<Phi> | undefined;
  const followHomeAssistant = (options: FollowOptions) => LiveHouse.open(openSocket, options);
  return {
    followHomeAssistant,
    async openHome({ house, homeAssistant, phi, signal }) {
      if ((house === undefined) === (homeAssistant === undefined)) {
        throw new PiPhiError("E_USAGE", "A home needs either a house or Home Assistant. Pass one of them.");
      }
      const place = homeAssistant ? await followHomeAssistant({ ...homeAssistant, signal }) : readHouse(house!);
      try {
        return homeOf({ house: place, phi: phi ?? (await load(signal)), read }, phi !== undefined);
      } catch (error) {
        if (place instanceof LiveHouse) place.close();
        throw error;
      }
    },
    async understand(text, { house, ...options }) {
      const place = readHouse(house);
      shared ??= load(undefined).catch((error) => {
        shared = undefined;
        throw error;
      });
      return understandIn({ house: place, phi: await shared, read }, text, options);
    },
    async unload() {
      const phi = await shared?.catch(() => undefined);
      shared = undefined;
      await phi?.close();
    },
  };
}
