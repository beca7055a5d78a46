/** Says whether an answer has the shape that was asked for, without any of the runtime's code. */

import Ajv2020 from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import type { Ask } from "./corpus.ts";
import { recognises } from "./earley.ts";
import { readGbnf } from "./gbnf.ts";

/** What is wrong with an answer; undefined where nothing is. */
export type Judge = (answer: string) => string | undefined;

/** Throws for what is no schema, expression or grammar; schemas with keywords or formats that nobody knows as well. */
export function judgeOf(ask: Ask): Judge {
  if ("schema" in ask) return schemaJudge(ask.schema);
  if ("regex" in ask) return says(isMatchOf(ask.regex), `does not match ${ask.regex}`);
  if ("grammar" in ask) {
    const grammar = readGbnf(ask.grammar);
    return says((answer) => recognises(grammar, answer), "is not one of the grammar");
  }
  return says((answer) => ask.choices.includes(answer), "is none of the choices");
}

function says(isRight: (answer: string) => boolean, wrong: string): Judge {
  return (answer) => (isRight(answer) ? undefined : `${JSON.stringify(answer)} ${wrong}`);
}

function isMatchOf(regex: string): (answer: string) => boolean {
  new RegExp(regex, "u");
  const whole = new RegExp(`^(?:${regex})$`, "u");
  return (answer) => whole.test(answer);
}

function schemaJudge(schema: unknown): Judge {
  // Strict about keywords that it does not know, not about how schemas are best written.
  const ajv = new Ajv2020({ ownProperties: true, strictTypes: false, strictTuples: false, strictRequired: false });
  addFormats(ajv);
  const validate = ajv.compile(schema as boolean | object);
  return (answer) => {
    let value: unknown;
    try {
      value = JSON.parse(answer);
    } catch (error) {
      return `${JSON.stringify(answer)} is no JSON: ${(error as Error).message}`;
    }
    if (validate(value)) return undefined;
    return `${JSON.stringify(answer)} is not what the schema asks for: ${ajv.errorsText(validate.errors)}`;
  };
}
