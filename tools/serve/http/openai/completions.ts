/** POST /v1/completions: texts continued as they are, without a template; what lm-eval and older clients use. */

import { randomUUID } from "node:crypto";
import type { Context } from "hono";
import type { AnswerToken, GenerateOptions, Generation, Phi } from "../../../../devices/node/index.ts";
import type { Serving } from "../../door.ts";
import { type Env, modelNamed, readBody, untilGone } from "../request.ts";
import { answeredAll, merged, streamed } from "../stream.ts";
import { EVENTS } from "./events.ts";
import { finishReason, samplingOptions, usageOf } from "./options.ts";
import { type CompletionBody, completionBody } from "./schemas.ts";

type Prompt = string | number[];

/** OpenAI's default. */
const DEFAULT_TOKENS = 16;

function promptsOf({ prompt }: CompletionBody): Prompt[] {
  if (typeof prompt === "string") return [prompt];
  return typeof prompt[0] === "number" ? [prompt as number[]] : (prompt as Prompt[]);
}

/** Tokens, their chances and where their texts begin, as older clients read them. */
function chancesOf(tokens: readonly AnswerToken[], top: number, from = 0) {
  let at = from;
  const offsets = tokens.map(({ text = "" }) => {
    const offset = at;
    at += text.length;
    return offset;
  });
  return {
    tokens: tokens.map(({ text = "" }) => text),
    token_logprobs: tokens.map(({ logprob }) => logprob ?? null),
    // The first token of all has no chances: nothing comes before it.
    top_logprobs: tokens.map(({ top: most = [], logprob, text = "" }) => {
      if (logprob === undefined) return null;
      const likely = most.slice(0, top).map((one) => [one.text, one.logprob] as const);
      return Object.fromEntries([...likely, ...(top > 0 ? [[text, logprob] as const] : [])]);
    }),
    text_offset: offsets,
  };
}

/** Where nothing is to be added, the prompt alone is scored: one token is the least that an answer has. */
function optionsOf(body: CompletionBody, choice: number, signal: AbortSignal): GenerateOptions {
  const { max_tokens: most, echo, logprobs } = body;
  return {
    ...samplingOptions(body, choice, signal),
    maxTokens: Math.max(1, most ?? DEFAULT_TOKENS),
    ...(echo && { echo }),
    ...(typeof logprobs === "number" && { logprobs }),
  };
}

/** The prompt alone, with its chances: what `echo` gives where no token is asked for. */
async function echoOnly(phi: Phi, prompt: Prompt, options: GenerateOptions) {
  const result = await phi.generate(prompt, { ...options, echo: true, maxTokens: 1 });
  const { promptTokens, tokens } = result;
  const text = typeof prompt === "string" ? prompt : await phi.detokenize(tokens.slice(0, promptTokens));
  const usage = { ...result.usage, generatedTokens: 0 };
  return { ...result, text, logprobs: result.logprobs?.slice(0, promptTokens), usage, stopReason: "length" as const };
}

async function* chunks(
  begin: () => Generation,
  index: number,
  top: number | undefined,
  onEnd: (usage: { usage: Parameters<typeof usageOf>[0][number]["usage"] }) => void,
) {
  const answer = begin();
  let length = 0;
  for await (const { text, tokens } of answer) {
    if (text === "" && tokens.length === 0) continue;
    const logprobs = top === undefined ? null : chancesOf(tokens, top, length);
    length += text.length;
    yield { index, text, logprobs, finish_reason: null as string | null };
  }
  const result = await answer;
  yield { index, text: "", logprobs: null, finish_reason: finishReason(result.stopReason) };
  onEnd(result);
}

export async function completions(serving: Serving, c: Context<Env>): Promise<Response> {
  const body = await readBody(c, completionBody);
  const prompts = promptsOf(body);
  const signal = untilGone(c, serving.settings.timeout);
  const model = modelNamed(serving, body.model ?? undefined);
  c.set("fields", { model: model.id, ...serving.log.said({ said: JSON.stringify(body.prompt) }) });
  const phi = await model.phi();
  const top = body.logprobs ?? undefined;
  const head = {
    id: `cmpl-${randomUUID()}`,
    object: "text_completion",
    created: Math.floor(Date.now() / 1000),
    model: model.id,
  };
  const system = { system_fingerprint: `piphi-${serving.version}` };
  const asks = prompts.flatMap((prompt) => {
    return Array.from({ length: body.n ?? 1 }, (_, choice) => ({ prompt, options: optionsOf(body, choice, signal) }));
  });
  if (body.stream) {
    const usages: Parameters<typeof usageOf>[0][number][] = [];
    const each = asks.map(({ prompt, options }, i) => {
      return chunks(
        () => phi.generate(prompt, options),
        i,
        top,
        (usage) => usages.push(usage),
      );
    });
    const values = async function* () {
      for await (const choice of merged(each)) yield { ...head, ...system, choices: [choice] };
      if (body.stream_options?.include_usage) yield { ...head, ...system, choices: [], usage: usageOf(usages) };
    };
    return streamed(values(), EVENTS);
  }
  const onlyEcho = body.echo && body.max_tokens === 0;
  const results = await answeredAll(asks, ({ prompt, options }) => {
    return onlyEcho ? echoOnly(phi, prompt, options) : phi.generate(prompt, options);
  });
  for (const result of results) serving.metrics.answered(result);
  const choices = results.map(({ text, logprobs, stopReason }, index) => ({
    index,
    text,
    logprobs: top === undefined || logprobs === undefined ? null : chancesOf(logprobs, top),
    finish_reason: finishReason(stopReason),
  }));
  return c.json({ ...head, ...system, choices, usage: usageOf(results) });
}
