/** What Ollama's API takes, as far as it means something here: unknown fields are left out. */

import * as v from "valibot";

const range = (min: number, max: number) => v.pipe(v.number(), v.minValue(min), v.maxValue(max));
const whole = (min: number, max: number) => v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max));
const record = v.record(v.string(), v.unknown());
const optional = <S extends v.GenericSchema>(schema: S) => v.nullish(schema);

/** Of a modelfile's parameters, those that mean something here. */
export const options = v.object({
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

const toolCall = v.object({ function: v.object({ name: v.string(), arguments: optional(record) }) });

export const message = v.object({
  role: v.picklist(["system", "user", "assistant", "tool"]),
  content: optional(v.string()),
  tool_calls: optional(v.array(toolCall)),
  tool_name: optional(v.string()),
});

export const tool = v.object({
  type: optional(v.string()),
  function: v.object({ name: v.string(), description: optional(v.string()), parameters: optional(record) }),
});

export const chatBody = v.object({ ...shared, messages: optional(v.array(message)), tools: optional(v.array(tool)) });
export type ChatBody = v.InferOutput<typeof chatBody>;

export const generateBody = v.object({
  ...shared,
  prompt: optional(v.string()),
  system: optional(v.string()),
  /** The prompt as it is, without a template. */
  raw: optional(v.boolean()),
});
export type GenerateBody = v.InferOutput<typeof generateBody>;

/** Older clients say "name". */
export const modelBody = v.object({ model: optional(v.string()), name: optional(v.string()) });
