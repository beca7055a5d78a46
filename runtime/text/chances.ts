/** How likely tokens are, as callers get to know it. */

import type { AnswerToken, TokenChance } from "../api.ts";
import { PiPhiError } from "../errors.ts";
import { logSoftmaxTop, logSumExp } from "./sampler.ts";
import type { Tokenizer } from "./tokenizer.ts";

export class Chances {
  private readonly utf8 = new TextDecoder("utf-8", { ignoreBOM: true });

  /** With the `most` most likely tokens beside the chosen one; throws E_USAGE. */
  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly most: number,
  ) {
    if (Number.isSafeInteger(most) && most >= 0) return;
    throw new PiPhiError("E_USAGE", `logprobs must be a whole number, at least 0, not ${most}.`);
  }

  /** Of a token that was chosen at these logits, before penalties and temperature. Throws E_NUMERIC. */
  of(logits: Float32Array, id: number): AnswerToken {
    const chosen = this.tokenChance(id, logits[id] - logSumExp(logits));
    if (this.most === 0) return chosen;
    return {
      ...chosen,
      top: logSoftmaxTop(logits, this.most).map(([other, logprob]) => this.tokenChance(other, logprob)),
    };
  }

  /** Of a token before which there is nothing. */
  unknown(id: number): AnswerToken {
    const bytes = this.tokenizer.bytes(id);
    return { id, text: this.utf8.decode(bytes), bytes: [...bytes] };
  }

  private tokenChance(id: number, logprob: number): TokenChance {
    return { ...(this.unknown(id) as Omit<TokenChance, "logprob">), logprob };
  }
}
