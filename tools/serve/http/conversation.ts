/** One turn of a conversation, whichever API asks: by a model, or by the one that understands home commands. */

import { PiPhiError } from "../../../runtime/errors.ts";
import type { Serving } from "../door.ts";
import { answerAsHome } from "./home-turn.ts";
import { ANY_OBJECT, AnswerReader, answerSchema, readAnswer, type Tool, withTools } from "./tools.ts";
import type { Ask, Turn } from "./turn.ts";

/** Throws what `chat` throws; a client that has left ends it with "cancelled". */
export async function* converse(serving: Serving, ask: Ask): Turn {
  const { model, options } = ask;
  const phi = await model.phi();
  options.signal?.throwIfAborted();
  if (model.embedded) return yield* answerAsHome(serving, phi, ask);
  const usesTools = ask.tools.length > 0 && ask.choice !== "none";
  if (!usesTools) {
    const answer = phi.chat(withTools(ask.messages, [], "none"), options);
    for await (const { text, tokens } of answer) yield { text, tokens };
    const result = await answer;
    serving.metrics.answered(result);
    return { ...result, calls: 0 };
  }
  return yield* converseWithTools(serving, ask);
}

async function* converseWithTools(serving: Serving, ask: Ask): Turn {
  const { model, messages, tools, choice } = ask;
  const phi = await model.phi();
  const { schema: wanted, ...options } = ask.options;
  const conversation = withTools(messages, tools, choice);
  const begin = (known: readonly Tool[]) => {
    const schema = answerSchema(known, choice, wanted === undefined ? undefined : (wanted as Record<string, unknown>));
    return phi.chat(conversation, { ...options, schema });
  };
  const reader = new AnswerReader();
  let streamed = "";
  let answer = begin(tools);
  try {
    for await (const { text, tokens } of answer) {
      const said = reader.push(text);
      streamed += said;
      if (said !== "") yield { text: said, tokens };
    }
  } catch (error) {
    // A tool's schema that no answer can be held to is no reason to refuse the request: its arguments may be any object.
    if (!(error instanceof PiPhiError) || error.code !== "E_SHAPE" || streamed !== "") throw error;
    answer = begin(tools.map(({ name, description }) => ({ name, description, parameters: ANY_OBJECT })));
  }
  const result = await answer;
  serving.metrics.answered(result);
  const { said, calls } = readAnswer(result.text);
  if (said.length > streamed.length) yield { text: said.slice(streamed.length), tokens: [] };
  for (const call of calls) yield { call };
  return { ...result, calls: calls.length };
}
