/** What callers ask of an answer. */

export interface SamplingOptions {
  /** 0 = greedy (default). */
  temperature?: number;
  /** Keep the k most likely tokens; 0 = all (default 40, used only when temperature > 0). */
  topK?: number;
  /** Nucleus: keep the most likely tokens whose probabilities sum to p; 1 = all (default 0.95). */
  topP?: number;
  /** Drop tokens less likely than minP times the most likely one; 0 = none (default 0.05). */
  minP?: number;
  /** Divides the positive logits of the last 64 tokens (multiplies negative ones); 1 = off (default). */
  repeatPenalty?: number;
  /** Same seed, prompt and options: same text, on any number of threads. Default: random. */
  seed?: number;
}

/**
 * What an answer is held to: one of these at most. An answer that is complete meets it; one that `maxTokens`, the context or a
 * stop text has cut may not, and says so by its `stopReason`. Cannot go with `ignoreEos`. What is wrong with them is told
 * before anything is computed: E_SHAPE, with the place.
 */
export interface ShapeOptions {
  /** JSON Schema, draft 2020-12: the answer is a JSON document that meets it. docs/library.md lists the keywords. */
  schema?: Record<string, unknown> | boolean;
  /** A regular expression in JavaScript's notation (flag `u`) that the whole answer matches. */
  regex?: string;
  /** A grammar in llama.cpp's GBNF; answers begin with its rule `root`. */
  grammar?: string;
  /** The answer is one of these texts. */
  choices?: readonly string[];
}

export interface GenerateOptions extends SamplingOptions, ShapeOptions {
  /** Default: until the context is full; where it rolls, as many tokens as it holds. */
  maxTokens?: number;
  /**
   * What happens when the context is full: the answer ends with "length" (default), or the oldest tokens go, but for the
   * first 32, and the text goes on ("roll": needs a context of at least 96 tokens; prompts may be longer than it).
   */
  overflow?: "roll" | "stop";
  /** Texts that end the answer and are not part of it. */
  stop?: string[];
  /**
   * Whether `chat` also ends where the model goes on with a turn of its own, as "\nUser:" (default, but not for answers that
   * are held to a shape); `show` lists these texts.
   */
  formatStops?: boolean;
  /** As for `load`, of one `chat`. */
  template?: string;
  /** In `generate`, names of control tokens in the prompt stand for these. Not for text of others. */
  special?: boolean;
  /**
   * Ends a running answer, which then resolves with what there is and `stopReason: "cancelled"`; a request that still
   * waits for its turn is rejected with E_CANCELLED.
   */
  signal?: AbortSignal;
  /** Go on after the end-of-text token (benchmarks). */
  ignoreEos?: boolean;
  /**
   * Tokens to guess from the context and verify in one pass over the weights; the text is the same. 0 = none. Default: 7
   * where weights are streamed, none elsewhere.
   */
  drafts?: number;
  /**
   * How likely each token was: its log-probability over the whole vocabulary, before penalties and temperature, and those of
   * the so many most likely ones. They come with the deltas and with the result.
   */
  logprobs?: number;
  /** Begin the answer with the prompt: its text and tokens, with `logprobs` also how likely those were. */
  echo?: boolean;
  /** Tokens that the answer is held to; ends where the automaton does. */
  automaton?: TokenAutomaton;
  /** Measure where the time goes; costs a few percent. Of passes shared with other requests, all of it. */
  profile?: boolean;
}

/**
 * A finite automaton over token ids that an answer is held to, for callers that know the tokens they expect, such as the
 * understanding of homes. Plain arrays, so that it crosses threads; "runtime/text/automaton" puts one together.
 */
export interface TokenAutomaton {
  /** The edges of state s are those from `offsets[s]` up to `offsets[s + 1]`; state 0 is the first. */
  offsets: Uint32Array;
  /** The token of each edge; a state has one edge a token at the most. */
  ids: Uint32Array;
  /** Where each edge leads. */
  targets: Uint32Array;
  /** 1 where the answer may end. */
  accepting: Uint8Array;
}

export interface ChatMessage {
  role: "system" | "user" | "assistant";
  content: string;
}
