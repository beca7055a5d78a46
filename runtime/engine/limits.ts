/** How long prompts and answers may be. */

import type { GenerateOptions } from "../api.ts";
import { LEAST_ROLLING_CONTEXT } from "../cache/window.ts";
import { PiPhiError } from "../errors.ts";
import { oneOf } from "../options.ts";

/** How many tokens may be generated; refuses prompts that leave room for none. */
export function tokenLimit(
  contextLength: number,
  prompt: readonly number[],
  { maxTokens = contextLength, overflow = "stop" }: Pick<GenerateOptions, "maxTokens" | "overflow">,
): number {
  if (prompt.length === 0) {
    throw new PiPhiError("E_PROMPT_EMPTY", "The prompt is empty. Give the model some text to continue.");
  }
  if (!Number.isInteger(maxTokens) || maxTokens < 0) {
    throw new PiPhiError("E_USAGE", `maxTokens must be a whole number, at least 0, not ${maxTokens}.`);
  }
  oneOf("overflow", overflow, ["roll", "stop"]);
  if (overflow === "roll") {
    refuseShortContext(contextLength);
    return maxTokens;
  }
  const room = contextLength - prompt.length;
  if (room < 0) throw promptTooLong("prompt", prompt.length, contextLength);
  // The last token that fits is sampled but need not be computed itself.
  return Math.min(maxTokens, room + 1);
}

function refuseShortContext(contextLength: number): void {
  if (contextLength >= LEAST_ROLLING_CONTEXT) return;
  throw new PiPhiError(
    "E_CONTEXT",
    `A context of ${contextLength} tokens is too short to roll. Load the model with at least ${LEAST_ROLLING_CONTEXT}, or let answers stop where it is full.`,
    { contextLength, least: LEAST_ROLLING_CONTEXT },
  );
}

/** `what` does not fit into the context. */
export function promptTooLong(
  what: "prompt" | "prefix" | "text",
  promptTokens: number,
  contextLength: number,
): PiPhiError {
  return new PiPhiError(
    "E_PROMPT_TOO_LONG",
    `The ${what} has ${promptTokens} tokens, but the context holds only ${contextLength}. Shorten it, or load the model with a longer context.`,
    { promptTokens, contextLength },
  );
}
