/** Where a command's model and text come from: flags, words, standard input. */

import { existsSync } from "node:fs";
import { addAbortSignal, type Readable } from "node:stream";
import { PiPhiError } from "../runtime/errors.ts";
import type { Context } from "./context.ts";
import { usageError } from "./options.ts";

/** More than any context holds; protects the memory from `piphi run < /dev/zero`. */
const STDIN_LIMIT_BYTES = 16 * 2 ** 20;
/** The word that stands for standard input. */
const STDIN = "-";

function looksLikeModel(word: string): boolean {
  if (word === STDIN) return false;
  return /\.gguf$/i.test(word) || (/[/\\]/.test(word) && !/\s/.test(word)) || existsSync(word);
}

/** A model's name, which is no sentence's first word. */
const MODEL_NAME = /^(phi|llama|mistral|gemma|qwen)[-_]?[\d.]/i;

export interface Split {
  /** undefined = the embedded model. */
  model: string | undefined;
  words: string[];
}

/**
 * Tells MODEL from the text after it. `textGiven`: a flag carries the text, so a first word can only be the model.
 */
export function splitModel(flag: string | undefined, words: string[], textGiven = false): Split {
  if (flag !== undefined) return { model: flag, words };
  const [first, ...rest] = words;
  const isModel = first !== undefined && (textGiven ? first !== STDIN : looksLikeModel(first));
  if (!isModel && first !== undefined && MODEL_NAME.test(first)) {
    const message = `There is no model file "${first}". Give the path of a .gguf file, or put the text into quotes after -p.`;
    throw new PiPhiError("E_NOT_FOUND", message, { model: first });
  }
  return isModel ? { model: first, words: rest } : { model: undefined, words };
}

/** The only word as a model; for commands that take nothing else. */
export function onlyModel(flag: string | undefined, words: string[]): string | undefined {
  const { model, words: rest } = splitModel(flag, words, true);
  refuseWords(rest);
  return model;
}

export function refuseWords(words: readonly string[]): void {
  if (words.length > 0) throw usageError(`Unexpected argument "${words[0]}".`);
}

async function readStdin({ stdin, signal }: Context): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of addAbortSignal(signal, stdin as Readable)) {
    const data = typeof chunk === "string" ? Buffer.from(chunk) : (chunk as Uint8Array);
    bytes += data.length;
    if (bytes > STDIN_LIMIT_BYTES) {
      const message = `Standard input is longer than ${STDIN_LIMIT_BYTES} bytes; give a shorter text.`;
      throw new PiPhiError("E_PROMPT_TOO_LONG", message, { limitBytes: STDIN_LIMIT_BYTES });
    }
    chunks.push(data);
  }
  return Buffer.concat(chunks).toString("utf8");
}

/**
 * The text of a command: the flag's, or the words joined by blanks, or standard input when it is piped and there is
 * neither. A last word "-" appends standard input on a line of its own. It is never read unasked beside a text:
 * programs that start us often leave it open for ever, and a `while read` loop would lose its lines.
 */
export async function readText({ model, words }: Split, flag: string | undefined, context: Context): Promise<string> {
  const appendStdin = words.at(-1) === STDIN;
  const rest = appendStdin ? words.slice(0, -1) : words;
  if (flag !== undefined) refuseWords(rest);
  const given = flag ?? (rest.length > 0 ? rest.join(" ") : undefined);
  if (given !== undefined && !appendStdin) return given;
  if (given === undefined && !appendStdin && context.stdin.isTTY) {
    const taken = model === undefined ? "" : ` ("${model}" was taken as the model)`;
    throw usageError(`There is no text to work on${taken}. Give it as an argument or pipe it in.`);
  }
  const piped = await readStdin(context);
  return given === undefined ? piped : `${given}\n${piped}`;
}
