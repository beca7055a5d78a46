/**
 * Tools for models that were never taught any: they are told of them in the system message, and their answer is held to a
 * schema, so that it is either a text or calls whose names and arguments are valid.
 */

import type { ChatMessage } from "../../../devices/node/index.ts";

export interface Tool {
  name: string;
  description?: string;
  /** JSON Schema of the arguments. */
  parameters?: Record<string, unknown>;
}

export interface ToolCall {
  id: string;
  name: string;
  arguments: Record<string, unknown>;
}

/** Whether tools may, must not or must be called, or which one must be. */
export type ToolChoice = "auto" | "none" | "required" | { name: string };

/** A message as the APIs know them. */
export interface Message {
  role: "system" | "user" | "assistant" | "tool";
  content: string;
  calls?: readonly ToolCall[];
  /** Role "tool": the call whose result it is, by id or by the tool's name. */
  callId?: string;
}

type Schema = Record<string, unknown>;

const MOST_CALLS = 8;
const object = (properties: Record<string, unknown>): Schema => ({
  type: "object",
  properties,
  required: Object.keys(properties),
  additionalProperties: false,
});
/** Arguments whose schema says nothing that can be held. */
export const ANY_OBJECT: Schema = { type: "object", additionalProperties: true };

/** The schema of an answer that may be, or must be, calls. `answer`: the schema of what is said; by default a text. */
export function answerSchema(tools: readonly Tool[], choice: ToolChoice, answer: Schema = { type: "string" }): Schema {
  const named = typeof choice === "object" ? tools.filter(({ name }) => name === choice.name) : tools;
  const calls = named.map(({ name, parameters }) => {
    return object({ name: { const: name }, arguments: { type: "object", ...(parameters ?? ANY_OBJECT) } });
  });
  const maxItems = typeof choice === "object" ? 1 : MOST_CALLS;
  const calling = object({ calls: { type: "array", items: { anyOf: calls }, minItems: 1, maxItems } });
  return choice === "auto" ? { anyOf: [object({ answer }), calling] } : calling;
}

function toolsPrompt(tools: readonly Tool[], choice: ToolChoice): string {
  const lines = tools.map(({ name, description = "", parameters = {} }) => {
    return `- ${name}: ${description} Arguments: ${JSON.stringify(parameters)}`;
  });
  const how = '{"calls":[{"name":"…","arguments":{…}}]}';
  const rule =
    choice === "auto"
      ? `To call tools, answer ${how}. To say something, answer {"answer":"…"}.`
      : `Call a tool: answer ${how}.`;
  return `You can call these tools:\n${lines.join("\n")}\n${rule}`;
}

/** The conversation for a model that knows three roles, told of the tools in its system message. */
export function withTools(messages: readonly Message[], tools: readonly Tool[], choice: ToolChoice): ChatMessage[] {
  const names = new Map(messages.flatMap(({ calls = [] }) => calls.map(({ id, name }) => [id, name] as const)));
  const plain = messages.map(({ role, content, calls = [], callId }): ChatMessage => {
    if (role === "tool") {
      const name = names.get(callId ?? "") ?? callId ?? "the tool";
      return { role: "user", content: `Result of ${name}: ${content}` };
    }
    if (calls.length === 0) return { role, content };
    const made = calls.map((call) => ({ name: call.name, arguments: call.arguments }));
    return { role, content: JSON.stringify({ calls: made }) };
  });
  if (tools.length === 0 || choice === "none") return plain;
  const prompt = toolsPrompt(tools, choice);
  const [first, ...rest] = plain;
  if (first?.role === "system") return [{ role: "system", content: `${first.content}\n\n${prompt}` }, ...rest];
  return [{ role: "system", content: prompt }, ...plain];
}

/** Reads `{"answer":"…` as it is written: what of the answer is certain so far. */
export class AnswerReader {
  #text = "";
  #at = -1;

  /** What `text` adds to the answer; nothing while it is not known to be one. */
  push(text: string): string {
    this.#text += text;
    if (this.#at < 0) {
      const begin = /^\s*\{\s*"answer"\s*:\s*"/.exec(this.#text);
      if (begin === null) return "";
      this.#at = begin[0].length;
    }
    let said = "";
    while (this.#at < this.#text.length) {
      const piece =
        /^(?:[^"\\]+|\\u[dD][89abAB][\da-fA-F]{2}\\u[\da-fA-F]{4}|\\u(?![dD][89abAB])[\da-fA-F]{4}|\\[^u])/.exec(
          this.#text.slice(this.#at),
        )?.[0];
      if (piece === undefined) break; // its end, or an escape that is not there whole
      said += JSON.parse(`"${piece}"`) as string;
      this.#at += piece.length;
    }
    return said;
  }
}

let calls = 0;
export const callId = () => `call_${Date.now().toString(36)}${(calls++).toString(36)}`;

/** A complete answer that `answerSchema` held: what is said, and what is called. Cut ones say what they began to say. */
export function readAnswer(text: string): { said: string; calls: ToolCall[] } {
  try {
    const { answer, calls = [] } = JSON.parse(text) as { answer?: unknown; calls?: Omit<ToolCall, "id">[] };
    const said = typeof answer === "string" ? answer : answer === undefined ? "" : JSON.stringify(answer);
    return { said, calls: calls.map((call) => ({ id: callId(), name: call.name, arguments: call.arguments })) };
  } catch {
    return { said: new AnswerReader().push(text), calls: [] };
  }
}
