/** Server-sent events as OpenAI's API writes them. */

import { openaiError } from "../errors.ts";
import type { Framing } from "../stream.ts";

export const EVENTS: Framing = {
  contentType: "text/event-stream; charset=utf-8",
  frame: (value) => `data: ${JSON.stringify(value)}\n\n`,
  keepAlive: ": still reading the prompt\n\n",
  error: openaiError,
  end: "data: [DONE]\n\n",
};
