/** POST /api/chat and /api/generate */

import type { Context } from "hono";
import type { Serving } from "../../door.ts";
import { converse } from "../conversation.ts";
import { type Env, modelNamed, readBody, untilGone } from "../request.ts";
import { streamed } from "../stream.ts";
import { callId, type Message, type Tool, type ToolCall } from "../tools.ts";
import type { Ask, Outcome, Turn } from "../turn.ts";
import { doneReason, figuresOf, LINES, optionsOf, unloads } from "./options.ts";
import { type ChatBody, chatBody, type GenerateBody, generateBody } from "./schemas.ts";

function messagesOf(messages: NonNullable<ChatBody["messages"]>): Message[] {
  return messages.map(({ role, content, tool_calls: calls, tool_name: name }) => ({
    role,
    content: content ?? "",
    callId: name ?? undefined,
    calls: calls?.map(({ function: made }) => ({ id: callId(), name: made.name, arguments: made.arguments ?? {} })),
  }));
}

const toolsOf = (tools: ChatBody["tools"]): Tool[] =>
  (tools ?? []).map(({ function: { name, description, parameters } }) => ({
    name,
    description: description ?? undefined,
    parameters: parameters ?? undefined,
  }));

/** A text continued as it is. */
async function* continueText(serving: Serving, { model, options }: Ask, prompt: string): Turn {
  const answer = (await model.phi()).generate(prompt, options);
  for await (const { text, tokens } of answer) yield { text, tokens };
  const result = await answer;
  serving.metrics.answered(result);
  return { ...result, calls: 0 };
}

/** How an API shows what is said: a message, or a text. */
interface Shown {
  said(text: string): object;
  called(calls: readonly ToolCall[]): object;
}
const AS_MESSAGE: Shown = {
  said: (content) => ({ message: { role: "assistant", content } }),
  called: (calls) => ({
    message: {
      role: "assistant",
      content: "",
      tool_calls: calls.map(({ name, arguments: given }) => ({ function: { name, arguments: given } })),
    },
  }),
};
const AS_TEXT: Shown = { said: (response) => ({ response }), called: () => ({ response: "" }) };

const head = (model: string) => ({ model, created_at: new Date().toISOString() });

/** What is said as it comes, then the figures. */
async function* lines(name: string, turn: Turn, shown: Shown, started: number) {
  try {
    let next = await turn.next();
    for (; !next.done; next = await turn.next()) {
      const { value } = next;
      const said =
        "call" in value ? shown.called([value.call]) : value.text === "" ? undefined : shown.said(value.text);
      if (said !== undefined) yield { ...head(name), ...said, done: false };
    }
    yield { ...head(name), ...shown.said(""), ...ended(next.value, started) };
  } finally {
    await turn.return(undefined as never);
  }
}

function ended(outcome: Outcome, started: number) {
  return {
    done: true,
    done_reason: doneReason(outcome.stopReason),
    ...figuresOf(outcome, performance.now() - started),
  };
}

/** All of it in one document. */
async function whole(name: string, turn: Turn, shown: Shown, started: number) {
  let text = "";
  const calls: ToolCall[] = [];
  let next = await turn.next();
  for (; !next.done; next = await turn.next()) {
    if ("call" in next.value) calls.push(next.value.call);
    else text += next.value.text;
  }
  const said = calls.length > 0 ? shown.called(calls) : shown.said(text);
  return { ...head(name), ...said, ...ended(next.value, started) };
}

/** Clients load and unload a model by asking for nothing. */
async function loadOrUnload(ask: Pick<Ask, "model">, name: string, keepAlive: ChatBody["keep_alive"], shown: Shown) {
  const away = unloads(keepAlive);
  if (away) await ask.model.unload();
  else await ask.model.phi();
  return { ...head(name), ...shown.said(""), done: true, done_reason: away ? "unload" : "load" };
}

type Body = Pick<ChatBody, "model" | "stream" | "keep_alive">;

/** Ollama streams unless it is told not to. */
async function answer(serving: Serving, c: Context<Env>, body: Body, ask: Ask, turn: Turn, shown: Shown, said: string) {
  const started = performance.now();
  c.set("fields", { model: ask.model.id, ...serving.log.said({ said }) });
  if (body.stream ?? true) return streamed(lines(body.model, turn, shown, started), LINES);
  return c.json(await whole(body.model, turn, shown, started));
}

export async function chat(serving: Serving, c: Context<Env>): Promise<Response> {
  const body = await readBody(c, chatBody);
  const model = modelNamed(serving, body.model);
  const messages = messagesOf(body.messages ?? []);
  if (messages.length === 0) return c.json(await loadOrUnload({ model }, body.model, body.keep_alive, AS_MESSAGE));
  const options = optionsOf(body, untilGone(c, serving.settings.timeout));
  const ask: Ask = { model, messages, tools: toolsOf(body.tools), choice: "auto", options };
  return answer(serving, c, body, ask, converse(serving, ask), AS_MESSAGE, messages.at(-1)!.content);
}

const asMessages = ({ system, prompt }: GenerateBody): Message[] => [
  ...(system ? [{ role: "system" as const, content: system }] : []),
  { role: "user", content: prompt ?? "" },
];

export async function generate(serving: Serving, c: Context<Env>): Promise<Response> {
  const body = await readBody(c, generateBody);
  const model = modelNamed(serving, body.model);
  const { prompt } = body;
  if (!prompt) return c.json(await loadOrUnload({ model }, body.model, body.keep_alive, AS_TEXT));
  const options = optionsOf(body, untilGone(c, serving.settings.timeout));
  const ask: Ask = { model, messages: asMessages(body), tools: [], choice: "none", options };
  const turn = body.raw ? continueText(serving, ask, prompt) : converse(serving, ask);
  return answer(serving, c, body, ask, turn, AS_TEXT, prompt);
}
