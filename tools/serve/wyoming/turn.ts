/**
 * One turn: a sentence comes in as `transcript` (or `recognize`), and ends with exactly one of
 *
 *     intent, or intents-start intent… intents-stop     a command: Home Assistant carries it out, then speaks its text
 *     handled                                           an answer in words; handled-start and -chunk come before, -stop after
 *     not-recognized                                    neither
 *     error                                             something failed
 */

import { randomUUID } from "node:crypto";
import type { SpokenIntent } from "../../../devices/node/home/index.ts";
import { PiPhiError } from "../../../runtime/errors.ts";
import type { EventData, WyomingEvent } from "./framing.ts";
import type { History, Message } from "./history.ts";

/** What answers sentences. */
export interface Assistant {
  /** Resolves when the models are loaded; throws where they cannot be. */
  ready(): Promise<void>;
  /** False: commands cannot be understood, because nobody told which things there are. */
  readonly knowsHouse: boolean;
  /** Home commands in a sentence; none where it is no command. `place`: ids of where it was heard, tried in order. */
  understand(text: string, place: readonly string[], signal: AbortSignal): Promise<readonly SpokenIntent[]>;
  /** Goes on with a conversation, in pieces of text; undefined where there is no model that can. */
  converse?(messages: readonly Message[], signal: AbortSignal): AsyncIterable<string>;
}

interface Request {
  text: string;
  context: EventData;
  conversation: string;
  place: string[];
}

/** More is nobody's sentence. */
const MOST_CHARACTERS = 10_000;
const NOT_RECOGNIZED = "Sorry, I did not understand that.";
const NO_HOUSE = "I do not know your house yet. Start piphi serve with --home-assistant or --house.";

const isText = (value: unknown): value is string => typeof value === "string";

function requestOf({ type, data }: WyomingEvent): Request {
  const { text, context: given } = data;
  if (!isText(text) || text.length > MOST_CHARACTERS) {
    const message = `The text of ${type} must be a text of at most ${MOST_CHARACTERS} characters. Send {"text":"…"}.`;
    throw new PiPhiError("E_USAGE", message);
  }
  const context = typeof given === "object" && given !== null && !Array.isArray(given) ? (given as EventData) : {};
  const conversation =
    isText(context.conversation_id) && context.conversation_id !== "" ? context.conversation_id : randomUUID();
  const place = [context.satellite_id, context.device_id].filter(isText);
  return { text, context: { ...context, conversation_id: conversation }, conversation, place };
}

/** What a command is answered with, as far as it is known before the deed. */
const plainly = (template: string | undefined) =>
  template === undefined || template.includes("{") ? "Done." : template;

/** A command as Home Assistant carries it out. */
function intentEvent({ name, slots, text }: SpokenIntent, context: EventData): WyomingEvent {
  const entities = Object.entries(slots).map(([slot, value]) => ({ name: slot, value }));
  return { type: "intent", data: { name, entities, ...(text !== undefined && { text }), context } };
}

/** Several need a frame around them, or Home Assistant takes only the first. */
export function intentEvents(intents: readonly SpokenIntent[], context: EventData): WyomingEvent[] {
  const events = intents.map((intent) => intentEvent(intent, context));
  if (events.length === 1) return events;
  return [{ type: "intents-start", data: { context } }, ...events, { type: "intents-stop", data: { context } }];
}

export function errorEvent(error: unknown): WyomingEvent {
  const { message, code } = PiPhiError.from(error);
  return { type: "error", data: { text: message, code } };
}

/**
 * Answers a sentence. Whoever reads the events asks for the next one when the last has been handed over: of an answer that is
 * broken off, the conversation keeps what was handed over.
 */
export async function* answerTurn(
  event: WyomingEvent,
  assistant: Assistant,
  history: History,
  signal: AbortSignal,
): AsyncGenerator<WyomingEvent, void> {
  try {
    const request = requestOf(event);
    await assistant.ready();
    signal.throwIfAborted();
    const { text, context, conversation, place } = request;
    const intents = assistant.knowsHouse ? await assistant.understand(text, place, signal) : [];
    if (intents.length > 0) {
      yield* intentEvents(intents, context);
      history.add(conversation, text, intents.map(({ text: said }) => plainly(said)).join(" "));
    } else if (assistant.converse) {
      yield* spoken(
        request,
        assistant.converse([...history.of(conversation), { role: "user", content: text }], signal),
        history,
      );
    } else if (assistant.knowsHouse) {
      yield { type: "not-recognized", data: { text: NOT_RECOGNIZED, context } };
    } else {
      yield { type: "handled", data: { text: NO_HOUSE, context } };
    }
  } catch (error) {
    // Whoever went away needs no answer.
    if (!signal.aborted) yield errorEvent(error);
  }
}

/** An answer in words, piece by piece, and at the end as a whole, which is all that Home Assistant looks at. */
async function* spoken(
  { text, context, conversation }: Request,
  pieces: AsyncIterable<string>,
  history: History,
): AsyncGenerator<WyomingEvent, void> {
  let answer = "";
  let heard = "";
  try {
    yield { type: "handled-start", data: { context } };
    for await (const piece of pieces) {
      if (piece === "") continue;
      answer += piece;
      yield { type: "handled-chunk", data: { text: piece } };
      heard = answer;
    }
    yield { type: "handled", data: { text: answer.trim(), context } };
    yield { type: "handled-stop", data: {} };
  } finally {
    if (heard.trim() !== "") history.add(conversation, text, heard.trim());
  }
}
