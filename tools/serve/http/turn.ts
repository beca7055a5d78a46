/** What is asked for in one turn of a conversation, and what comes of it. */

import type { AnswerToken, GenerateOptions, GenerateResult } from "../../../devices/node/index.ts";
import type { ServedModel } from "../backend.ts";
import type { Message, Tool, ToolCall, ToolChoice } from "./tools.ts";

export interface Ask {
  model: ServedModel;
  messages: readonly Message[];
  tools: readonly Tool[];
  choice: ToolChoice;
  options: GenerateOptions;
}

/** What an answer says, in the order in which it is known. */
export type Said = { text: string; tokens: readonly AnswerToken[] } | { call: ToolCall };

/** What it took, and why it ended. */
export type Outcome = Pick<GenerateResult, "usage" | "timings" | "stopReason" | "logprobs"> & { calls: number };

/** The rest of a stream of events; its value is what it returns. */
export type Turn = AsyncGenerator<Said, Outcome>;
