/** What Ollama's API takes, as far as it means something here: unknown fields are left out. */

import * as v from "valibot";
import { object, optional, range, record, text, whole } from "../schema.ts";

/** Of a modelfile's parameters, those that mean something here. */
export const options = object({
  temperature: optional(range(0, 5)),
  top_k: optional(whole(0, 1_000_000)),
  top_p: optional(range(0, 1)),
  min_p: optional(range(0, 1)),
  repeat_penalty: optional(range(0, 10)),
  seed: optional(v.pipe(v.number(), v.safeInteger())),
  /** -1 and -2: until the context is full. */
  num_predict: optional(whole(-2, 1_000_000)),
  stop: optional(v.union([v.string(), v.array(v.string())])),
});
export type Options = v.InferOutput<typeof options>;

const format = v.union([v.picklist(["", "json"]), record]);
/** Seconds, or Go's durations such as "5m"; what is 0 unloads at once. */
const keepAlive = v.union([v.number(), v.string()]);

const shared = {
  model: v.string(),
  stream: optional(v.boolean()),
  format: optional(format),
  options: optional(options),
  keep_alive: optional(keepAlive),
  /** Phi thinks aloud or not at all: accepted, and without effect. */
  think: optional(v.union([v.boolean(), v.string()])),
};

const toolCall = object({ function: object({ name: v.string(), arguments: optional(record) }) });

export const message = object({
  role: v.picklist(["system", "user", "assistant", "tool"]),
  content: optional(v.string()),
  tool_calls: optional(v.array(toolCall)),
  tool_name: optional(v.string()),
});

export const tool = object({
  type: optional(v.string()),
  function: object({ name: v.string(), description: optional(v.string()), parameters: optional(record) }),
});

export const chatBody = object({ ...shared, messages: optional(v.array(message)), tools: optional(v.array(tool)) });
export type ChatBody = v.InferOutput<typeof chatBody>;

export const generateBody = object({
  ...shared,
  prompt: optional(v.string()),
  system: optional(v.string()),
  /** The prompt as it is, without a template. */
  raw: optional(v.boolean()),
});
export type GenerateBody = v.InferOutput<typeof generateBody>;

/** Older clients say "name". */
export const modelBody = v.union(
  [object({ model: text }), object({ name: text })],
  'must be an object with the model\'s name as "model"',
);
