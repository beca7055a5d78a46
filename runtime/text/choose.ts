/** Which prompt format a model's conversations have, and why. */

import { PiPhiError } from "../errors.ts";
import { printable } from "../weights/faults.ts";
import { chatml, instruct, type ModelMetadata, type PromptFormat, promptFormat, withTurns } from "./prompt.ts";
import { templateFormat } from "./template.ts";
import type { Tokenizer } from "./tokenizer.ts";

export interface PromptChoice {
  format: PromptFormat;
  /** Completes "because …". */
  reason: string;
}

/** Formats that can be asked for by name; Alpaca's as Stanford published it. */
const NAMED = { instruct, chatml } as const;
const ALPACA = `{% for message in messages %}{% if message['role'] == 'system' %}{{ message['content'] + '\n\n' }}\
{% elif message['role'] == 'user' %}{{ '### Instruction:\n' + message['content'] + '\n\n' }}\
{% else %}{{ '### Response:\n' + message['content'] + '\n\n' }}{% endif %}{% endfor %}\
{% if add_generation_prompt %}{{ '### Response:\n' }}{% endif %}`;
const TEMPLATE_NAMES = [...Object.keys(NAMED), "alpaca"];
const QUOTED_LENGTH = 60;

/**
 * A broken template in the file is told when a conversation is asked for: whoever writes whole prompts needs none.
 * @param asked a name, or the text of a Jinja template, instead of the file's own format
 * @throws PiPhiError E_USAGE, E_TEMPLATE for `asked`
 */
export async function choosePrompt(
  tokenizer: Tokenizer,
  metadata: ModelMetadata,
  asked?: string,
): Promise<PromptChoice> {
  const { chatTemplate, turns } = metadata;
  const choice =
    asked !== undefined
      ? await askedFormat(tokenizer, asked)
      : chatTemplate !== undefined
        ? await fileFormat(tokenizer, chatTemplate, metadata.file ?? "the file")
        : ownFormat(tokenizer);
  return { ...choice, format: withTurns(choice.format, turns) };
}

async function askedFormat(tokenizer: Tokenizer, asked: string): Promise<PromptChoice> {
  const reason = "it was asked for";
  if (typeof asked === "string" && Object.hasOwn(NAMED, asked)) {
    return { format: NAMED[asked as keyof typeof NAMED], reason };
  }
  if (asked === "alpaca") return { format: await templateFormat(tokenizer, ALPACA, "Alpaca"), reason };
  if (typeof asked === "string" && /\{[{%]/.test(asked)) {
    return { format: await templateFormat(tokenizer, asked, "this request"), reason };
  }
  const message = `template must be ${TEMPLATE_NAMES.join(", ")} or the text of a Jinja template, not "${printable(String(asked), QUOTED_LENGTH)}".`;
  throw new PiPhiError("E_USAGE", message, { option: "template" });
}

async function fileFormat(tokenizer: Tokenizer, source: string, file: string): Promise<PromptChoice> {
  const reason = "the file has a template, tokenizer.chat_template";
  try {
    return { format: await templateFormat(tokenizer, source, file), reason };
  } catch (error) {
    return { format: failing(error as PiPhiError), reason };
  }
}

function ownFormat(tokenizer: Tokenizer): PromptChoice {
  const format = promptFormat(tokenizer);
  const why = format === chatml ? "its vocabulary has ChatML's control tokens" : "this is Phi-2's own format";
  return { format, reason: `the file has no template, and ${why}` };
}

function failing(error: PiPhiError): PromptFormat {
  const fail = () => {
    throw error;
  };
  return { name: "template", stops: [], instruct: fail, opening: fail, chat: fail };
}
