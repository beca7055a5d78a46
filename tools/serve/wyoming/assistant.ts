/** What answers sentences: commands by the embedded model in the light of the house, the rest by a model that converses. */

import { areaCalled, type Home } from "../../../devices/node/home/index.ts";
import type { ChatMessage, GenerateResult, Phi } from "../../../devices/node/index.ts";
import { PiPhiError } from "../../../runtime/errors.ts";
import { housePrompt } from "../house-prompt.ts";
import type { Message } from "./history.ts";
import type { Assistant } from "./turn.ts";

export interface AssistantParts {
  /** The house, with the model that understands commands in it; absent where nobody told of one. */
  home?: () => Promise<Home>;
  /** A model that converses; absent where there is only the embedded one. */
  talk?: () => Promise<Pick<Phi, "chat">>;
  /** An answer may take so long. Default: 600. */
  seconds?: number;
  /** Called with what an answer took. */
  onAnswer?(result: GenerateResult): void;
}

/** An answer is listened to: about half a minute of speech. */
const MOST_TOKENS = 160;

/** The area of the first id that the house knows: Home Assistant names satellites and devices, not where they stand. */
const areaOf = ({ house }: Home, place: readonly string[]) =>
  place.map((id) => areaCalled(house, id)).find((area) => area !== undefined)?.id;

/** Where a conversation does not fit into the context, its oldest turns are left out. */
async function* converse(
  talk: Pick<Phi, "chat">,
  home: Home | undefined,
  messages: readonly Message[],
  gone: AbortSignal,
  { seconds = 600, onAnswer }: Pick<AssistantParts, "seconds" | "onAnswer">,
): AsyncGenerator<string, void> {
  const signal = AbortSignal.any([gone, AbortSignal.timeout(seconds * 1000)]);
  const system: ChatMessage = { role: "system", content: housePrompt(home, messages.at(-1)!.content) };
  for (let from = 0; ; from += 2) {
    try {
      const answer = talk.chat([system, ...messages.slice(from)], { maxTokens: MOST_TOKENS, signal });
      for await (const { text } of answer) if (text !== "") yield text;
      gone.throwIfAborted();
      onAnswer?.(await answer);
      return;
    } catch (error) {
      const tooLong = error instanceof PiPhiError && error.code === "E_PROMPT_TOO_LONG";
      if (!tooLong || from + 2 >= messages.length) throw error;
    }
  }
}

export function assistantOf(parts: AssistantParts): Assistant {
  const { home, talk } = parts;
  return {
    knowsHouse: home !== undefined,
    async ready() {
      await Promise.all([home?.(), talk?.()]);
    },
    async understand(text, place, signal) {
      const opened = await home!();
      const area = areaOf(opened, place);
      return (await opened.understand(text, { area, speech: "template", signal })).intents;
    },
    ...(talk && {
      async *converse(messages: readonly Message[], signal: AbortSignal) {
        yield* converse(await talk(), await home?.(), messages, signal, parts);
      },
    }),
  };
}
