/**
 * A turn of the embedded model, which understands home commands and nothing else. Where the client offers Home Assistant's
 * intents as tools, commands become calls of them; else they are answered as JSON, since nothing here carries them out.
 */

import type { Phi } from "../../../devices/node/index.ts";
import type { Serving } from "../door.ts";
import { callId, type Message, type Tool, type ToolCall } from "./tools.ts";
import type { Ask, Outcome, Turn } from "./turn.ts";

interface Command {
  name: string;
  slots: Readonly<Record<string, unknown>>;
  /** What is said when it is done. */
  text?: string;
}

const NO_COMMAND = "I only understand home commands, such as: turn on the kitchen lights.";
const DONE = "Done.";

/** The last thing that a person said, and whether tools have answered since. */
function lastSaid(messages: readonly Message[]): { sentence: string; answered: boolean } {
  const at = messages.findLastIndex(({ role }) => role === "user");
  const answered = messages.slice(at + 1).some(({ role }) => role === "tool");
  return { sentence: messages[at]?.content ?? "", answered };
}

/** What a sentence commands: in the house, where there is one. */
async function commandsOf({ backend }: Serving, phi: Phi, sentence: string, ask: Ask): Promise<[Command[], Outcome]> {
  const { signal } = ask.options;
  const started = performance.now();
  if (backend.knowsHouse) {
    const home = await backend.home();
    const { intents } = await home.understand(sentence, { signal });
    return [intents.map(({ name, slots, text }) => ({ name, slots, text })), outcomeOf(performance.now() - started)];
  }
  const result = await phi.chat([{ role: "user", content: sentence }], { signal });
  const outcome: Outcome = { ...result, calls: 0 };
  try {
    const { intent, ...slots } = JSON.parse(result.text) as { intent: string } & Record<string, unknown>;
    return [intent === "none" ? [] : [{ name: intent, slots }], outcome];
  } catch {
    return [[], outcome]; // cut by the context
  }
}

/** Of a sentence that was understood by other means than one answer of the model. */
function outcomeOf(ms: number): Outcome {
  const usage = { promptTokens: 0, cachedTokens: 0, generatedTokens: 0, queueMs: 0 };
  const rates = { prefillTokensPerSecond: 0, decodeTokensPerSecond: 0 };
  const timings = { loadMs: 0, firstTokenMs: ms, prefillMs: ms, decodeMs: 0, ...rates };
  return { usage, timings, stopReason: "eos", calls: 0 };
}

/** The calls of tools that are intents by name, with the arguments that these take. */
function callsOf(commands: readonly Command[], tools: readonly Tool[]): ToolCall[] {
  return commands.flatMap(({ name, slots }) => {
    const tool = tools.find((one) => one.name === name);
    if (tool === undefined) return [];
    const properties = tool.parameters?.properties as Record<string, unknown> | undefined;
    const known = Object.entries(slots).filter(([slot]) => properties === undefined || Object.hasOwn(properties, slot));
    return [{ id: callId(), name, arguments: Object.fromEntries(known) }];
  });
}

export async function* answerAsHome(serving: Serving, phi: Phi, ask: Ask): Turn {
  const { sentence, answered } = lastSaid(ask.messages);
  const [commands, outcome] = await commandsOf(serving, phi, sentence, ask);
  serving.metrics.commands.inc({ door: "http", outcome: commands.length > 0 ? "command" : "none" });
  const say = function* (text: string) {
    yield { text, tokens: [] };
  };
  if (answered) {
    const texts = commands.flatMap(({ text }) => text ?? []);
    yield* say(texts.length > 0 ? texts.join(" ") : DONE);
    return outcome;
  }
  const calls = ask.choice === "none" ? [] : callsOf(commands, ask.tools);
  for (const call of calls) yield { call };
  if (calls.length > 0) return { ...outcome, calls: calls.length };
  if (ask.tools.length > 0 || (commands.length === 0 && serving.backend.knowsHouse)) yield* say(NO_COMMAND);
  else yield* say(JSON.stringify(jsonOf(commands)));
  return outcome;
}

/** As `piphi run` prints it: one intent flat, several in a list. */
function jsonOf(commands: readonly Command[]): unknown {
  const flat = commands.map(({ name, slots }) => ({ intent: name, ...slots }));
  if (flat.length === 0) return { intent: "none" };
  return flat.length === 1 ? flat[0] : flat;
}
