/**
 * What holds an answer to a shape while it is generated. `runtime/shape` makes constraints of schemas, expressions, grammars
 * and choices; the sampler and the answer know only this.
 *
 * An answer asks in this order, over and over: `complete` (then it ends), `forced` (then it takes those tokens without
 * sampling, and pushes each), else `allowed` (then it samples one that is set, and pushes it). A token that ends the text
 * is never forced and never pushed: it is set in `allowed` where the answer may end, and nothing is asked after it.
 */

export interface Constraint {
  /**
   * One bit for each id of the vocabulary, id i in bit i % 32 of word i >> 5: the tokens that may come next. The ids that end
   * a text are set where the answer may end here. At least one bit is set unless `complete`. Valid until the next push.
   */
  allowed(): Uint32Array;
  /** Tokens that must come next whatever the model says, in order; often none. They are computed in one pass. */
  forced(): readonly number[];
  /** Takes the next token; throws E_ENGINE where it was not allowed. */
  push(id: number): void;
  /** Nothing may follow: the answer is complete. */
  readonly complete: boolean;
}
