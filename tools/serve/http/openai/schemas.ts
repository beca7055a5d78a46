/** What OpenAI's API takes, as far as it means something here: unknown fields are left out. */

import * as v from "valibot";
import { object, optional, range, record, text, whole } from "../schema.ts";

/** A text, or parts of which those that are texts are read. */
const part = v.variant("type", [
  object({ type: v.picklist(["text", "input_text", "output_text"]), text: v.string() }),
  object({ type: v.literal("refusal"), refusal: v.string() }),
]);
export const content = v.union(
  [v.string(), v.array(part)],
  "must be a text or a list of text parts: there are no others here",
);
export type Content = v.InferOutput<typeof content>;

const toolCall = object({
  id: v.string(),
  function: object({ name: v.string(), arguments: v.string() }),
});

export const message = object({
  role: v.picklist(["system", "developer", "user", "assistant", "tool", "function"]),
  content: optional(content),
  tool_calls: optional(v.array(toolCall)),
  tool_call_id: optional(v.string()),
  name: optional(v.string()),
});

export const tool = object({
  type: v.literal("function"),
  function: object({ name: v.string(), description: optional(v.string()), parameters: optional(record) }),
});

export const toolChoice = v.union([
  v.picklist(["auto", "none", "required"]),
  object({ type: v.literal("function"), function: object({ name: v.string() }) }),
]);

export const responseFormat = v.variant("type", [
  object({ type: v.literal("text") }),
  object({ type: v.literal("json_object") }),
  object({
    type: v.literal("json_schema"),
    json_schema: object({ name: optional(v.string()), schema: v.union([record, v.boolean()]) }),
  }),
]);

const stop = v.union([v.string(), v.pipe(v.array(v.string()), v.maxLength(16))]);

/** What answers of all kinds share. */
const sampling = {
  model: optional(v.string()),
  temperature: optional(range(0, 5)),
  top_p: optional(range(0, 1)),
  seed: optional(v.pipe(v.number(), v.safeInteger())),
  stop: optional(stop),
  n: optional(whole(1, 16)),
  stream: optional(v.boolean()),
  stream_options: optional(object({ include_usage: optional(v.boolean()) })),
  user: optional(v.string()),
  /** Not of OpenAI: as llama.cpp's server and vLLM take them. */
  top_k: optional(whole(0, 1_000_000)),
  min_p: optional(range(0, 1)),
  repetition_penalty: optional(range(0.1, 10)),
  grammar: optional(v.string()),
};

const tokens = whole(1, 1_000_000);

export const chatBody = object({
  ...sampling,
  messages: v.pipe(v.array(message), v.minLength(1)),
  max_tokens: optional(tokens),
  max_completion_tokens: optional(tokens),
  tools: optional(v.array(tool)),
  tool_choice: optional(toolChoice),
  response_format: optional(responseFormat),
  logprobs: optional(v.boolean()),
  top_logprobs: optional(whole(0, 20)),
});
export type ChatBody = v.InferOutput<typeof chatBody>;

const ids = v.pipe(v.array(whole(0, 2 ** 31)), v.minLength(1));

export const completionBody = object({
  ...sampling,
  prompt: v.union(
    [
      text,
      v.pipe(v.array(text), v.minLength(1), v.maxLength(64)),
      ids,
      v.pipe(v.array(ids), v.minLength(1), v.maxLength(64)),
    ],
    "must be a text, a list of texts, a list of token ids, or a list of such lists, none of them empty",
  ),
  max_tokens: optional(whole(0, 1_000_000)),
  logprobs: optional(whole(0, 20)),
  echo: optional(v.boolean()),
});
export type CompletionBody = v.InferOutput<typeof completionBody>;

export const responseBody = object({
  model: optional(v.string()),
  input: v.union(
    [text, v.pipe(v.array(object({ role: optional(v.string()), content: optional(content) })), v.minLength(1))],
    "must be a text or a list of messages, neither of them empty",
  ),
  instructions: optional(v.string()),
  max_output_tokens: optional(tokens),
  temperature: optional(range(0, 5)),
  top_p: optional(range(0, 1)),
  stream: optional(v.boolean()),
  text: optional(
    object({
      format: optional(
        v.variant("type", [
          object({ type: v.picklist(["text", "json_object"]) }),
          object({ type: v.literal("json_schema"), name: optional(v.string()), schema: record }),
        ]),
      ),
    }),
  ),
});
export type ResponseBody = v.InferOutput<typeof responseBody>;
