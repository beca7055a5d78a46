/** The flags that hold answers to a shape, of `run` and `chat`. */

import type { ShapeOptions } from "../devices/node/index.ts";
import { PiPhiError } from "../runtime/errors.ts";
import type { Context } from "./context.ts";
import { type OptionTable, text, texts, type Values } from "./options.ts";
import { readTextFile } from "./text-input.ts";

export const SHAPE_FLAGS = {
  schema: text("FILE", "hold the answer to a JSON Schema: it is a JSON document that meets it"),
  regex: text("EXPRESSION", "hold the answer to a regular expression, which it matches as a whole"),
  grammar: text("FILE", "hold the answer to a grammar in llama.cpp's GBNF, from its rule root on"),
  choice: texts("TEXT", "hold the answer to one of several texts: give it once for each"),
} satisfies OptionTable;

export function toShapeOptions(values: Values<typeof SHAPE_FLAGS>): ShapeOptions {
  const { schema, regex, grammar, choice } = values;
  return {
    schema: schema === undefined ? undefined : readSchema(schema),
    regex,
    grammar: grammar === undefined ? undefined : readTextFile(grammar, "--grammar"),
    choices: choice,
  };
}

/** The options of an answer of the embedded model, which is a command as JSON unless another shape is asked for. */
export async function heldToCommand<T extends ShapeOptions>(options: T, { home }: Context): Promise<T> {
  const { schema, regex, grammar, choices } = options;
  if ([schema, regex, grammar, choices].some((shape) => shape !== undefined)) return options;
  return { ...options, schema: (await home()).commandSchema() };
}

function readSchema(file: string): Record<string, unknown> | boolean {
  const source = readTextFile(file, "--schema");
  try {
    return JSON.parse(source) as Record<string, unknown>;
  } catch (error) {
    const { message } = error as Error;
    throw new PiPhiError("E_SHAPE", `The file ${file} of --schema is no JSON: ${message}. Correct it.`, { file });
  }
}
