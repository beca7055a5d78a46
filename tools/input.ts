/** Where a command's model and text come from: flags, words, standard input. */

import { statSync } from "node:fs";
import { addAbortSignal, type Readable } from "node:stream";
import { PiPhiError } from "../runtime/errors.ts";
import type { Context } from "./context.ts";
import { usageError } from "./options.ts";
import { decodeText } from "./text-input.ts";

/** More than any context holds; protects the memory from `piphi run < /dev/zero`. */
const STDIN_LIMIT_BYTES = 16 * 2 ** 20;
/** The word that stands for standard input. */
const STDIN = "-";

/** A path that is written as one: nobody means "./phi-2" as text. */
const WRITTEN_PATH = /^(\.{0,2}|~|[A-Za-z]:)[/\\]/;
/** A model's name, which is no sentence's first word: "phi", "phi-2", "dolphin-phi:2.7b", "models/phi-2". */
const MODEL_NAME = /^([\w.-]*[-/\\])?(phi|llama|mistral|gemma|qwen)([-_:.]?v?\d[\w.:-]*)?$/i;

/** Files are models; what is neither a file nor named like one is text, also where a folder is called so. */
function looksLikeModel(word: string): boolean {
  if (word === STDIN) return false;
  if (/\.gguf$/i.test(word) || (WRITTEN_PATH.test(word) && !/\s/.test(word))) return true;
  return statSync(word, { throwIfNoEntry: false })?.isDirectory() === false;
}

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
    const message = `There is no model file "${first}". Give the path of a .gguf file, or put a text that begins so after -p.`;
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
  if (words.length > 0)
    throw usageError(`Unexpected argument "${words[0]}". Leave it out, or put text of several words in quotes.`);
}

async function readStdin({ stdin, signal }: Context): Promise<string> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of addAbortSignal(signal, stdin as Readable)) {
    const data = typeof chunk === "string" ? Buffer.from(chunk) : (chunk as Uint8Array);
    bytes += data.length;
    if (bytes > STDIN_LIMIT_BYTES) {
      const message = `Standard input is longer than ${STDIN_LIMIT_BYTES} bytes. Give a shorter text.`;
      throw new PiPhiError("E_PROMPT_TOO_LONG", message, { limitBytes: STDIN_LIMIT_BYTES });
    }
    chunks.push(data);
  }
  return decodeText(Buffer.concat(chunks), "Standard input");
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
