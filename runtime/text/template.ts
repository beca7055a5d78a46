/**
 * Prompt formats written as Jinja, as files carry them under `tokenizer.chat_template`. The library that renders them is
 * imported where a template is used: without one, a start does not read it.
 *
 * What a user wrote must never become a control token. So each conversation is rendered twice: as it is, and with every
 * character of its messages moved to a private plane of Unicode, where no token's name is spelled (white space stays, so that
 * `trim` works). If both hold the same control tokens, all are the template's own, and the first is right whatever the
 * template did to the messages. Otherwise the second is taken, its characters moved back, and only what the template wrote
 * can be a control token.
 */

import type { ChatMessage } from "../api.ts";
import { PiPhiError } from "../errors.ts";
import { printable } from "../weights/faults.ts";
import { check, continues, type PromptFormat, type PromptPart, type PromptParts } from "./prompt.ts";
import type { Tokenizer } from "./tokenizer.ts";

type Names = Pick<Tokenizer, "controlId" | "controlNames" | "bosId" | "eosIds" | "pieces">;

/** More than any template has; its parser takes time for each. */
const MOST_CHARACTERS = 1 << 17;
/** Where a private plane of Unicode begins: a UTF-16 unit u is moved to this + u. */
const PRIVATE = 0xf0000;
const REASON_LENGTH = 200;

const hidden = (text: string) =>
  text.replace(/\S/g, (unit) => [...unit].map((one) => String.fromCodePoint(PRIVATE + one.charCodeAt(0))).join(""));
const shown = (text: string) =>
  text.replace(/[\u{f0000}-\u{fffff}]/gu, (one) => String.fromCharCode(one.codePointAt(0)! - PRIVATE));

/** What renders a conversation; throws what the template raises. */
type Render = (variables: Record<string, unknown>) => string;

/**
 * A prompt format from a Jinja template. Throws E_TEMPLATE for one that cannot be read.
 * @param source the template's text
 * @param origin what it is called in messages, such as "phi-2.gguf" or "--template alpaca.jinja"
 */
export async function templateFormat(tokenizer: Names, source: string, origin: string): Promise<PromptFormat> {
  if (source.length > MOST_CHARACTERS) {
    throw broken(origin, `it has ${source.length} characters, ${MOST_CHARACTERS} are allowed`, source.length);
  }
  const { Template } = await import("@huggingface/jinja");
  let render: Render;
  try {
    const template = new Template(source);
    render = (variables) => template.render(variables);
  } catch (error) {
    throw broken(origin, reasonOf(error));
  }
  return new JinjaFormat(tokenizer, render, origin);
}

class JinjaFormat implements PromptFormat {
  readonly name = "template";
  readonly stops: readonly string[];
  readonly #names: readonly string[];
  readonly #tokens: { bos_token: string; eos_token: string };
  readonly #render: Render;
  readonly #origin: string;

  constructor(tokenizer: Names, render: Render, origin: string) {
    const nameOf = (id: number | undefined) => (id === undefined ? "" : tokenizer.pieces([id])[0]);
    const [eosId] = tokenizer.eosIds;
    this.#names = tokenizer.controlNames();
    this.#tokens = { bos_token: nameOf(tokenizer.bosId), eos_token: nameOf(eosId) };
    this.#render = render;
    this.#origin = origin;
    this.stops = [...new Set(["<|endoftext|>", this.#tokens.eos_token, ...this.#turnStop()])].filter(Boolean);
  }

  instruct(prompt: string): PromptParts {
    return this.chat([{ role: "user", content: prompt }]);
  }

  opening(system: string): PromptParts {
    const first = { role: "system", content: system } as const;
    const [a, b] = ["a", "b"].map((content) => this.#written([first, { role: "user", content }], true));
    const [one, other] = [joined(a), joined(b)];
    let same = 0;
    while (same < one.length && one[same] === other[same]) same++;
    return cut(a, same);
  }

  chat(messages: readonly ChatMessage[]): PromptParts {
    check(messages);
    if (!continues(messages)) return this.#written(messages, true);
    const { content } = messages.at(-1)!;
    if (content.trim() === "") return this.#written(messages.slice(0, -1), true);
    const parts = this.#written(messages, false);
    const end = joined(parts).lastIndexOf(content.trim());
    if (end >= 0) return cut(parts, end + content.trim().length);
    throw refused(this.#origin, "it changes the assistant's last message, so that it cannot be continued");
  }

  #written(messages: readonly ChatMessage[], answer: boolean): PromptPart[] {
    const plain = this.#rendered(messages, answer);
    const safe = this.#rendered(
      messages.map(({ role, content }) => ({ role, content: hidden(content) })),
      answer,
    );
    const parts = this.#split(plain);
    const own = this.#split(safe);
    const controls = (all: readonly PromptPart[]) => all.filter(({ control }) => control).map(({ text }) => text);
    const last = messages.findLast(({ role }) => role === "user")?.content.trim() ?? "";
    if (last !== "" && !/[\u{f0000}-\u{fffff}]/u.test(safe)) {
      throw refused(this.#origin, "it leaves out what the user said");
    }
    const same = controls(parts).join("\0") === controls(own).join("\0");
    return same ? parts : own.map(({ text, control }) => ({ text: shown(text), control }));
  }

  /** Throws E_TEMPLATE where the template refuses a conversation, or fails. */
  #rendered(messages: readonly ChatMessage[], answer: boolean): string {
    try {
      return this.#render({
        ...this.#tokens,
        messages,
        add_generation_prompt: answer,
      });
    } catch (error) {
      throw refused(this.#origin, reasonOf(error));
    }
  }

  #split(text: string): PromptPart[] {
    const parts: PromptPart[] = [];
    let from = 0;
    for (let i = 0; i < text.length; ) {
      const name = this.#names.find((one) => text.startsWith(one, i));
      if (name === undefined) {
        i++;
        continue;
      }
      if (i > from) parts.push({ text: text.slice(from, i), control: false });
      parts.push({ text: name, control: true });
      from = i += name.length;
    }
    return from < text.length ? [...parts, { text: text.slice(from), control: false }] : parts;
  }

  /** What stands between an answer and what the user says next: a model that goes on by itself writes it, too. */
  #turnStop(): string[] {
    const [asked, answered, again] = ["question", "answer", "more"].map(hidden);
    let text: string;
    try {
      const messages: ChatMessage[] = [
        { role: "user", content: asked },
        { role: "assistant", content: answered },
        { role: "user", content: again },
      ];
      text = this.#rendered(messages, false);
    } catch {
      return []; // said when it is used
    }
    const from = text.indexOf(answered);
    const to = text.indexOf(again);
    if (from < 0 || to < from) return [];
    const between = text.slice(from + answered.length, to);
    const [line] = between.trim().split("\n");
    if (line.length < 3) return [];
    const tag = /^<[^<>\s]+>/.exec(line)?.[0];
    return [tag ?? (/^\s*\n/.test(between) ? `\n${line.trimEnd()}` : line.trimEnd())];
  }
}

const joined = (parts: PromptParts) => parts.map(({ text }) => text).join("");

/** The first `length` characters. */
function cut(parts: PromptParts, length: number): PromptPart[] {
  const kept: PromptPart[] = [];
  let room = length;
  for (const part of parts) {
    if (room >= part.text.length) kept.push(part);
    else if (room > 0 && !part.control) kept.push({ ...part, text: part.text.slice(0, room) });
    room -= part.text.length;
    if (room <= 0) break;
  }
  return kept;
}

function reasonOf(error: unknown): string {
  return printable(error instanceof Error ? error.message : String(error), REASON_LENGTH).replace(/[.\s]+$/, "");
}

const WAY_OUT =
  'Choose another with --template (in the library: the option "template"), or give the whole prompt with --raw (generate).';

function broken(origin: string, reason: string, characters?: number): PiPhiError {
  const message = `The prompt template of ${origin} cannot be read: ${reason}. ${WAY_OUT}`;
  return new PiPhiError("E_TEMPLATE", message, { reason, ...(characters !== undefined && { characters }) });
}

function refused(origin: string, reason: string): PiPhiError {
  const message = `The prompt template of ${origin} does not take this conversation: ${reason}. ${WAY_OUT}`;
  return new PiPhiError("E_TEMPLATE", message, { reason });
}
