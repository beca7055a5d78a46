/** Prompts of the web platform's Prompt API as messages of a conversation, and its errors. */

import { type ChatMessage, type GenerateOptions, PiPhiError } from "../../runtime/index.ts";

export interface LanguageModelMessageContent {
  /** Only "text" is understood. */
  type: string;
  value: unknown;
}

export interface LanguageModelMessage {
  role: "system" | "user" | "assistant";
  content: string | readonly LanguageModelMessageContent[];
  /** Of a last message of the assistant: the answer begins with it. */
  prefix?: boolean;
}

export type LanguageModelPrompt = string | readonly LanguageModelMessage[];

/** An input that does not fit: it has `requested` tokens, there is room for `quota`. */
export class QuotaExceededError extends DOMException {
  constructor(
    readonly requested: number,
    readonly quota: number,
  ) {
    super(
      `The input has ${requested} tokens, but only ${quota} fit. Shorten it, or load the model with a longer context.`,
      "QuotaExceededError",
    );
  }
}

export const unsupported = (message: string): DOMException => new DOMException(message, "NotSupportedError");

/** What a later prompt may hold; throws NotSupportedError, SyntaxError and TypeError. */
export function messagesOf(input: LanguageModelPrompt): ChatMessage[] {
  const given = typeof input === "string" ? [{ role: "user", content: input } as const] : input;
  if (!Array.isArray(given) || given.length === 0) throw new TypeError("The prompt must be a text or messages.");
  return given.map((message: LanguageModelMessage, i) => {
    if (message.role === "system") throw unsupported("Only the first of initialPrompts can be a system message.");
    if (message.prefix && (message.role !== "assistant" || i < given.length - 1))
      throw new DOMException("Only a last message of the assistant can be a prefix.", "SyntaxError");
    return { role: roleOf(message), content: textOf(message.content) };
  });
}

/** Whether the answer goes on with the last message. */
export function isPrefixed(input: LanguageModelPrompt): boolean {
  return typeof input !== "string" && input.at(-1)?.prefix === true;
}

/** What a session begins with; throws as `messagesOf` does. */
export function initialMessages(given: readonly LanguageModelMessage[] = []): ChatMessage[] {
  if (given.some(({ prefix }) => prefix))
    throw new DOMException("Initial prompts cannot hold a prefix. Give it to prompt().", "SyntaxError");
  const [first, ...rest] = given;
  if (first?.role !== "system") return given.length === 0 ? [] : messagesOf(given);
  const system = { role: "system", content: textOf(first.content) } as const;
  return [system, ...(rest.length === 0 ? [] : messagesOf(rest))];
}

function roleOf({ role }: LanguageModelMessage): ChatMessage["role"] {
  if (role === "user" || role === "assistant") return role;
  throw new TypeError(`A message has the role "${role}". Use system, user or assistant.`);
}

function textOf(content: LanguageModelMessage["content"]): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) throw new TypeError("A message's content must be a text or an array of contents.");
  return content
    .map(({ type, value }: LanguageModelMessageContent) => {
      if (type !== "text") throw unsupported(`The model understands no ${type}. Give it text.`);
      return String(value);
    })
    .join("");
}

/** A constraint as the engine takes it, and how the model is told of it; throws NotSupportedError and TypeError. */
export function constraintOf(constraint: object | undefined): { shape: GenerateOptions; hint: string } {
  if (constraint === undefined) return { shape: {}, hint: "" };
  if (constraint === null || typeof constraint !== "object")
    throw new TypeError("responseConstraint must be a JSON Schema or a RegExp.");
  if (!(constraint instanceof RegExp)) {
    const hint = `\nAnswer with JSON that meets this schema: ${JSON.stringify(constraint)}`;
    return { shape: { schema: constraint as Record<string, unknown> }, hint };
  }
  if (/[^dguy]/.test(constraint.flags))
    throw unsupported(`responseConstraint cannot have the flags "${constraint.flags}". Use none, or "u".`);
  const { source } = constraint;
  return { shape: { regex: source }, hint: `\nAnswer with a text that matches this regular expression: ${source}` };
}

/** An engine's error as the Prompt API names it. */
export function webError(error: unknown): unknown {
  if (!(error instanceof PiPhiError)) return error;
  const { code, message, details } = error;
  if (code === "E_PROMPT_TOO_LONG")
    return new QuotaExceededError(Number(details.promptTokens), Number(details.contextLength));
  if (code === "E_SHAPE") return unsupported(message);
  if (code === "E_CANCELLED") return new DOMException(message, "AbortError");
  if (code === "E_CLOSED") return new DOMException(message, "InvalidStateError");
  return new DOMException(`${code}: ${message}`, "OperationError");
}
