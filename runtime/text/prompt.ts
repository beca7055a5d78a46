/**
 * How a conversation is written down for the model, where its file has no template of its own: Phi-2's `Instruct: … Output:`,
 * or ChatML for fine-tunes whose vocabulary has its control tokens. Formats hand over parts, so that what a user wrote can
 * never be a control token.
 */

import type { ChatMessage } from "../api.ts";
import { PiPhiError } from "../errors.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** A piece of a prompt. `control` marks the template's own control tokens; the text of a part is tokenized by itself. */
export interface PromptPart {
  readonly text: string;
  readonly control: boolean;
}

export type PromptParts = readonly PromptPart[];

export interface PromptFormat {
  readonly name: "instruct" | "chatml" | "template";
  /** Texts that show that the answer is over, unless `formatStops` is false. The tokens in `Tokenizer.eosIds` end it as well. */
  readonly stops: readonly string[];
  /** The prompt for a single request. */
  instruct(prompt: string): PromptParts;
  /** What conversations begin with whose first message is the system's. */
  opening(system: string): PromptParts;
  /**
   * The prompt for the next answer of a conversation; a last message of the assistant is continued instead.
   * Throws E_PROMPT_EMPTY without messages and E_USAGE for an unknown role.
   */
  chat(messages: readonly ChatMessage[]): PromptParts;
}

/** What a file says about itself. */
export interface ModelMetadata {
  /** The file's name, for messages. */
  file?: string;
  /** `tokenizer.chat_template` */
  chatTemplate?: string;
  /** `piphi.chat.turns`: how many of the user's last messages the model was made to see; undefined = all. */
  turns?: number;
}

/** The format of a file without a template: ChatML where the vocabulary has its control tokens. */
export function promptFormat(tokenizer: Pick<Tokenizer, "controlId">): PromptFormat {
  const hasTokens = tokenizer.controlId(START) !== undefined && tokenizer.controlId(END) !== undefined;
  return hasTokens ? chatml : instruct;
}

/** The same format, for a model that was made to see so many of the user's last messages. */
export function withTurns(format: PromptFormat, turns: number | undefined): PromptFormat {
  if (turns === undefined) return format;
  return {
    name: format.name,
    stops: format.stops,
    instruct: (prompt) => format.instruct(prompt),
    opening: (system) => format.opening(system),
    chat: (messages) => format.chat(lastTurns(messages, turns)),
  };
}

/** The conversation from the `turns`-th last message of the user on. */
function lastTurns(messages: readonly ChatMessage[], turns: number): readonly ChatMessage[] {
  check(messages);
  const asked = [...messages.keys()].filter((index) => messages[index].role === "user");
  return messages.slice(asked.at(-turns) ?? 0);
}

/** The ids of a prompt, led by the begin-of-text token where the model wants one. */
export function encodeParts(tokenizer: Tokenizer, parts: PromptParts): number[] {
  const ids = parts.flatMap(({ text, control }) => tokenizer.encode(text, { control }));
  // Many templates write it themselves.
  if (!tokenizer.addBos || tokenizer.bosId === undefined || (parts[0]?.control && ids[0] === tokenizer.bosId))
    return ids;
  return [tokenizer.bosId, ...ids];
}

/**
 * What base Phi-2 writes at the beginning of a line when it goes on after its answer: a next turn, or the next exercise of a
 * textbook.
 */
const NEXT_TURNS = [
  "Instruct:",
  "Question:",
  "User:",
  "Human:",
  "Alice:",
  "Exercise ",
  "Exercise:",
  "## Exercise",
  "# Exercise",
];

export const instruct: PromptFormat = {
  name: "instruct",
  stops: ["<|endoftext|>", ...NEXT_TURNS.map((beginning) => `\n${beginning}`)],
  instruct: (prompt) => [plain(`Instruct: ${prompt}\nOutput:`)],
  opening: (system) => [plain(`${system}\n`)],
  chat(messages) {
    check(messages);
    const system = messages.filter(({ role }) => role === "system").map(({ content }) => `${content}\n`);
    const turns = messages
      .filter(({ role }) => role !== "system")
      .map(({ role, content }) => `${role === "user" ? "Instruct" : "Output"}: ${content}\n`);
    const text = system.join("") + turns.join("");
    return [plain(continues(messages) ? text.slice(0, -1) : `${text}Output:`)];
  },
};

const START = "<|im_start|>";
const END = "<|im_end|>";

export const chatml: PromptFormat = {
  name: "chatml",
  stops: [END, START, "<|endoftext|>"],
  instruct: (prompt) => chatml.chat([{ role: "user", content: prompt }]),
  opening: (system) => turn({ role: "system", content: system }),
  chat(messages) {
    check(messages);
    const turns = messages.flatMap(turn);
    return continues(messages) ? turns.slice(0, -2) : [...turns, control(START), plain("assistant\n")];
  },
};

const plain = (text: string): PromptPart => ({ text, control: false });
const control = (text: string): PromptPart => ({ text, control: true });

/** A message in ChatML. */
function turn({ role, content }: ChatMessage): PromptPart[] {
  return [control(START), plain(`${role}\n${content}`), control(END), plain("\n")];
}

export function continues(messages: readonly ChatMessage[]): boolean {
  return messages.at(-1)?.role === "assistant";
}

/** Throws E_PROMPT_EMPTY and E_USAGE. */
export function check(messages: readonly ChatMessage[]): void {
  if (!Array.isArray(messages))
    throw new PiPhiError("E_USAGE", "The conversation must be an array of messages. Pass [{ role, content }, …].");
  if (messages.length === 0) {
    throw new PiPhiError("E_PROMPT_EMPTY", "The conversation has no messages. Send at least one.", { messages: 0 });
  }
  for (const [index, message] of messages.entries()) {
    const { role, content }: Partial<ChatMessage> = message ?? {};
    if (typeof content !== "string") {
      throw new PiPhiError("E_USAGE", `Message ${index} has no text as its content. Give it one.`, { index });
    }
    if (role === "system" || role === "user" || role === "assistant") continue;
    throw new PiPhiError("E_USAGE", `Message ${index} has the role "${role}". Use system, user or assistant.`, {
      option: "messages",
      index,
      role: String(role),
    });
  }
}
