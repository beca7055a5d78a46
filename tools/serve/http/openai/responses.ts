/** POST /v1/responses: its text part. */

import { randomUUID } from "node:crypto";
import type { Context } from "hono";
import type { GenerateOptions } from "../../../../devices/node/index.ts";
import type { Serving } from "../../door.ts";
import { converse } from "../conversation.ts";
import { type Env, modelNamed, readBody, untilGone } from "../request.ts";
import { type Framing, streamed } from "../stream.ts";
import { ANY_OBJECT, type Message } from "../tools.ts";
import type { Ask, Outcome } from "../turn.ts";
import { EVENTS } from "./events.ts";
import { samplingOptions, textOf, usageOf } from "./options.ts";
import { type ResponseBody, responseBody } from "./schemas.ts";

const ROLES: Readonly<Record<string, Message["role"]>> = {
  system: "system",
  developer: "system",
  assistant: "assistant",
};

function messagesOf({ input, instructions }: ResponseBody): Message[] {
  const system: Message[] = instructions ? [{ role: "system", content: instructions }] : [];
  if (typeof input === "string") return [...system, { role: "user", content: input }];
  const said = input.map(({ role, content }) => ({ role: ROLES[role ?? "user"] ?? "user", content: textOf(content) }));
  return [...system, ...said];
}

function optionsOf(body: ResponseBody, signal: AbortSignal): GenerateOptions {
  const format = body.text?.format;
  const schema =
    format?.type === "json_schema" ? format.schema : format?.type === "json_object" ? ANY_OBJECT : undefined;
  return {
    ...samplingOptions(body, 0, signal),
    ...(body.max_output_tokens ? { maxTokens: body.max_output_tokens } : {}),
    ...(schema && { schema }),
  };
}

/** The response as it stands. */
function responseOf(head: object, itemId: string, text: string, outcome?: Outcome) {
  const cut = outcome?.stopReason === "length";
  const status = outcome === undefined ? "in_progress" : cut ? "incomplete" : "completed";
  const part = { type: "output_text", text, annotations: [], logprobs: [] };
  const item = { type: "message", id: itemId, role: "assistant", status, content: [part] };
  const usage = outcome && usageOf([outcome]);
  return {
    ...head,
    status,
    error: null,
    incomplete_details: cut ? { reason: "max_output_tokens" } : null,
    output: outcome === undefined ? [] : [item],
    usage: usage && {
      input_tokens: usage.prompt_tokens,
      input_tokens_details: usage.prompt_tokens_details,
      output_tokens: usage.completion_tokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: usage.total_tokens,
    },
  };
}

/** The events of a response that is one message of one text. */
async function* events(serving: Serving, ask: Ask, head: object, itemId: string) {
  let number = 0;
  const event = (type: string, fields: object) => ({ type, sequence_number: number++, ...fields });
  const where = { item_id: itemId, output_index: 0, content_index: 0 };
  const item = (status: string, content: object[]) => ({
    type: "message",
    id: itemId,
    role: "assistant",
    status,
    content,
  });
  const part = (text: string) => ({ type: "output_text", text, annotations: [], logprobs: [] });
  const turn = converse(serving, ask);
  try {
    let next = await turn.next();
    yield event("response.created", { response: responseOf(head, itemId, "") });
    yield event("response.in_progress", { response: responseOf(head, itemId, "") });
    yield event("response.output_item.added", { output_index: 0, item: item("in_progress", []) });
    yield event("response.content_part.added", { ...where, part: part("") });
    let text = "";
    for (; !next.done; next = await turn.next()) {
      if ("call" in next.value || next.value.text === "") continue;
      text += next.value.text;
      yield event("response.output_text.delta", { ...where, delta: next.value.text, logprobs: [] });
    }
    const response = responseOf(head, itemId, text, next.value);
    yield event("response.output_text.done", { ...where, text, logprobs: [] });
    yield event("response.content_part.done", { ...where, part: part(text) });
    yield event("response.output_item.done", { output_index: 0, item: item(response.status, [part(text)]) });
    yield event(`response.${response.status}`, { response });
  } finally {
    await turn.return(undefined as never);
  }
}

/** Events have their type in front, and there is no [DONE]. */
const TYPED: Framing = {
  ...EVENTS,
  frame: (value) => `event: ${(value as { type?: string }).type ?? "error"}\n${EVENTS.frame(value)}`,
  error: ({ code, message, param }) => ({ type: "error", code, message, param, sequence_number: 0 }),
  end: undefined,
};

export async function responses(serving: Serving, c: Context<Env>): Promise<Response> {
  const body = await readBody(c, responseBody);
  const signal = untilGone(c, serving.settings.timeout);
  const model = modelNamed(serving, body.model ?? undefined);
  const messages = messagesOf(body);
  c.set("fields", { model: model.id, ...serving.log.said({ said: messages.at(-1)!.content }) });
  const ask: Ask = { model, messages, tools: [], choice: "none", options: optionsOf(body, signal) };
  const made = { id: `resp_${randomUUID()}`, object: "response", created_at: Math.floor(Date.now() / 1000) };
  const asked = { instructions: body.instructions ?? null, max_output_tokens: body.max_output_tokens ?? null };
  const fixed = { parallel_tool_calls: false, tool_choice: "none", tools: [], metadata: {}, store: false };
  const head = {
    ...made,
    model: model.id,
    ...asked,
    ...fixed,
    temperature: body.temperature ?? null,
    top_p: body.top_p ?? null,
  };
  const itemId = `msg_${randomUUID()}`;
  if (body.stream) return streamed(events(serving, ask, head, itemId), TYPED);
  const turn = converse(serving, ask);
  let text = "";
  for (;;) {
    const { value, done } = await turn.next();
    if (done) return c.json(responseOf(head, itemId, text, value));
    if (!("call" in value)) text += value.text;
  }
}
