/** OpenAI's words for what the library calls otherwise. */

import type { GenerateOptions, StopReason } from "../../../../devices/node/index.ts";
import { ANY_OBJECT, type Message, type Tool, type ToolChoice } from "../tools.ts";
import type { ChatBody, CompletionBody, Content } from "./schemas.ts";

type Sampling = Pick<
  CompletionBody,
  "temperature" | "top_p" | "top_k" | "min_p" | "repetition_penalty" | "seed" | "stop" | "grammar"
>;

const given = <T extends object>(options: T): T =>
  Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined && value !== null)) as T;

/** OpenAI's seeds can be negative and longer than ours. */
const seedOf = (seed: number | null | undefined, choice: number) =>
  seed === null || seed === undefined ? undefined : (((seed % 2 ** 32) + 2 ** 32 + choice) % 2 ** 32) >>> 0;

/**
 * @param choice which of `n` answers: each has a seed of its own
 */
export function samplingOptions(body: Sampling, choice: number, signal: AbortSignal): GenerateOptions {
  const stop = typeof body.stop === "string" ? [body.stop] : body.stop;
  return given({
    // Without word of it OpenAI's models are sampled; a small one answers best with its most likely tokens.
    temperature: body.temperature ?? undefined,
    // Zero would leave no token; it means the most likely one.
    topP: body.top_p === 0 ? 0.001 : (body.top_p ?? undefined),
    topK: body.top_k ?? undefined,
    minP: body.min_p ?? undefined,
    repeatPenalty: body.repetition_penalty ?? undefined,
    seed: seedOf(body.seed, choice),
    stop: stop?.filter((text) => text !== ""),
    grammar: body.grammar ?? undefined,
    signal,
  });
}

export function chatOptions(body: ChatBody, choice: number, signal: AbortSignal): GenerateOptions {
  const { response_format: format, logprobs, top_logprobs: top } = body;
  const schema =
    format?.type === "json_schema"
      ? format.json_schema.schema
      : format?.type === "json_object"
        ? ANY_OBJECT
        : undefined;
  return given({
    ...samplingOptions(body, choice, signal),
    maxTokens: body.max_completion_tokens ?? body.max_tokens ?? undefined,
    schema: body.grammar ? undefined : schema,
    logprobs: logprobs ? (top ?? 0) : undefined,
  });
}

export function textOf(content: Content | null | undefined): string {
  if (content === null || content === undefined) return "";
  if (typeof content === "string") return content;
  return content.map((part) => (part.type === "refusal" ? part.refusal : part.text)).join("");
}

/** Arguments of an earlier call, which a client may have changed. */
function argumentsOf(text: string): Record<string, unknown> {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === "object" && parsed !== null ? (parsed as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

export function messagesOf(body: Pick<ChatBody, "messages">): Message[] {
  return body.messages.map(({ role, content, tool_calls: calls, tool_call_id: id, name }) => ({
    role: role === "developer" ? "system" : role === "function" ? "tool" : role,
    content: textOf(content),
    callId: id ?? name ?? undefined,
    calls: calls?.map((call) => ({
      id: call.id,
      name: call.function.name,
      arguments: argumentsOf(call.function.arguments),
    })),
  }));
}

export function toolsOf({ tools, tool_choice: choice }: Pick<ChatBody, "tools" | "tool_choice">) {
  const known = (tools ?? []).map(
    ({ function: { name, description, parameters } }): Tool => ({
      name,
      description: description ?? undefined,
      parameters: parameters ?? undefined,
    }),
  );
  const chosen: ToolChoice =
    typeof choice === "object" && choice !== null ? { name: choice.function.name } : (choice ?? "auto");
  return { tools: known, choice: chosen };
}

export const finishReason = (reason: StopReason, calls = 0) =>
  calls > 0 ? "tool_calls" : reason === "length" ? "length" : "stop";

export const usageOf = (
  all: readonly { usage: { promptTokens: number; cachedTokens: number; generatedTokens: number } }[],
) => {
  const [first] = all;
  const prompt = first?.usage.promptTokens ?? 0;
  const completion = all.reduce((sum, { usage }) => sum + usage.generatedTokens, 0);
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    prompt_tokens_details: { cached_tokens: first?.usage.cachedTokens ?? 0 },
  };
};
