/** POST /v1/chat/completions */

import { randomUUID } from "node:crypto";
import type { Context } from "hono";
import type { AnswerToken } from "../../../../devices/node/index.ts";
import type { Serving } from "../../door.ts";
import { converse } from "../conversation.ts";
import { type Env, modelNamed, readBody, untilGone } from "../request.ts";
import { answeredAll, merged, streamed } from "../stream.ts";
import type { ToolCall } from "../tools.ts";
import type { Ask, Outcome } from "../turn.ts";
import { EVENTS } from "./events.ts";
import { chatOptions, finishReason, messagesOf, toolsOf, usageOf } from "./options.ts";
import { type ChatBody, chatBody } from "./schemas.ts";

const called = ({ id, name, arguments: given }: ToolCall) => ({
  id,
  type: "function" as const,
  function: { name, arguments: JSON.stringify(given) },
});

const chance = ({ text = "", logprob = 0, bytes = [] }: Partial<Omit<AnswerToken, "id">>) => ({
  token: text,
  logprob,
  bytes,
});
const chances = (tokens: readonly AnswerToken[]) => ({
  content: tokens.map(({ top = [], ...token }) => ({ ...chance(token), top_logprobs: top.map(chance) })),
  refusal: null,
});

/** One answer of `n`, whole. */
async function whole(serving: Serving, ask: Ask, index: number) {
  const turn = converse(serving, ask);
  let text = "";
  const calls: ToolCall[] = [];
  for (;;) {
    const { value, done } = await turn.next();
    if (done) {
      const outcome: Outcome = value;
      const message = {
        role: "assistant" as const,
        content: text === "" && calls.length > 0 ? null : text,
        refusal: null,
        ...(calls.length > 0 && { tool_calls: calls.map(called) }),
      };
      const logprobs = outcome.logprobs ? chances(outcome.logprobs) : null;
      const choice = { index, message, logprobs, finish_reason: finishReason(outcome.stopReason, calls.length) };
      return { outcome, choice };
    }
    if ("call" in value) calls.push(value.call);
    else text += value.text;
  }
}

/** One answer of `n` as chunks; tells its outcome when it is known. */
async function* chunks(serving: Serving, ask: Ask, index: number, onEnd: (outcome: Outcome) => void) {
  const logprobs = (tokens: readonly AnswerToken[]) => (ask.options.logprobs === undefined ? null : chances(tokens));
  const choice = (delta: object, tokens: readonly AnswerToken[] = [], reason: string | null = null) => ({
    index,
    delta,
    logprobs: logprobs(tokens),
    finish_reason: reason,
  });
  const turn = converse(serving, ask);
  try {
    let calls = 0;
    let next = await turn.next();
    yield choice({ role: "assistant", content: "" });
    for (; !next.done; next = await turn.next()) {
      const { value } = next;
      if ("call" in value) yield choice({ tool_calls: [{ index: calls++, ...called(value.call) }] });
      else if (value.text !== "") yield choice({ content: value.text }, value.tokens);
    }
    yield choice({}, [], finishReason(next.value.stopReason, calls));
    onEnd(next.value);
  } finally {
    await turn.return(undefined as never);
  }
}

async function* allChunks(serving: Serving, asks: readonly Ask[], head: object, usage: boolean) {
  const outcomes: Outcome[] = [];
  const each = asks.map((ask, i) => chunks(serving, ask, i, (outcome) => outcomes.push(outcome)));
  for await (const choice of merged(each)) yield { ...head, choices: [choice], ...(usage && { usage: null }) };
  if (usage) yield { ...head, choices: [], usage: usageOf(outcomes) };
}

function asksOf(serving: Serving, body: ChatBody, signal: AbortSignal): Ask[] {
  const model = modelNamed(serving, body.model ?? undefined);
  const messages = messagesOf(body);
  const tools = toolsOf(body);
  return Array.from({ length: body.n ?? 1 }, (_, i) => ({
    model,
    messages,
    ...tools,
    options: chatOptions(body, i, signal),
  }));
}

export async function chatCompletions(serving: Serving, c: Context<Env>): Promise<Response> {
  const body = await readBody(c, chatBody);
  const signal = untilGone(c, serving.settings.timeout);
  const asks = asksOf(serving, body, signal);
  const [{ model, messages }] = asks;
  c.set("fields", { model: model.id, ...serving.log.said({ said: messages.at(-1)?.content ?? "" }) });
  const head = { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000), model: model.id };
  const system = { system_fingerprint: `piphi-${serving.version}` };
  if (body.stream) {
    const usage = body.stream_options?.include_usage ?? false;
    return streamed(allChunks(serving, asks, { ...head, object: "chat.completion.chunk", ...system }, usage), EVENTS);
  }
  const answers = await answeredAll(asks, (ask, i) => whole(serving, ask, i));
  const usage = usageOf(answers.map(({ outcome }) => outcome));
  return c.json({ ...head, object: "chat.completion", choices: answers.map(({ choice }) => choice), usage, ...system });
}
