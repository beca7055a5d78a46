/**
 * Phi-1, Phi-1.5 and Phi-2 (https://huggingface.co/microsoft/phi-2): the forward pass. Its sizes are `Phi2Config`.
 *
 *   for each layer:  h = layer_norm(x)                  one norm feeds both branches
 *                    x = x + attention(h) + mlp(h)      parallel residual; biases everywhere
 *   logits = lm_head(layer_norm(x))                     untied, with bias
 *
 * Every thread of the team runs `forward` on the same batch; `team.run` gives each its items of the operations and
 * returns when all are done. Layers are outside and tokens inside: a batch touches each weight once, be it a prompt, one
 * token, drafts to verify or several conversations. Where no memory is shared, shards/exchange.ts goes through the same steps.
 */

import type { DotForm, Kernels } from "./compute/kernels.ts";
import { Operations } from "./compute/operations.ts";
import type { Operation, Team } from "./compute/team.ts";
import type { Layout } from "./plan/layout.ts";
import type { Weights } from "./residence/weights.ts";
import type { Linear, WeightShape } from "./weights/shape.ts";

/** Rows of numbers, one for each token: their address, and how far they are apart. */
export interface Rows {
  at: number;
  stride: number;
  count: number;
}

/** What is done between two barriers of a team, or between two messages of shards. */
export interface Step {
  /** What only the one with the caches and the embedding can do. */
  lead?: readonly Operation[];
  /** What all do: of matrices the rows that they have, of anything else all of it. */
  operations: readonly Operation[];
  /** What comes of `lead` and all need; `finish` makes of it what the leader has made of it already. */
  led?: { rows: Rows; finish?: Operation };
  /** What comes of matrices, each having made the columns that are their rows in it; who needs the others'. */
  made?: readonly { rows: Rows; linear: (shape: WeightShape) => Linear; for: "leader" | "all" }[];
}

export class Phi2 {
  private readonly operations: Operations;

  constructor(
    kernels: Kernels,
    form: DotForm,
    private readonly layout: Layout,
    private readonly team: Team,
    private readonly weights: Weights,
    buffer: ArrayBufferLike,
  ) {
    this.operations = new Operations(kernels, form, layout, buffer, team.index);
  }

  /**
   * Computes `tokens` tokens whose ids, positions and caches lie at layout.{ids, positions, caches}; leaves the
   * logits of tokens [logitsFrom, tokens) in the rows at layout.logits. Throws Stopped where the team was asked to stop,
   * and StreamFault where weights could not be read.
   */
  forward(tokens: number, logitsFrom: number): void {
    for (const { lead = [], operations } of this.steps(tokens, logitsFrom)) this.team.run(...lead, ...operations);
  }

  /** The steps of `forward`, each to be done before the next is asked for. */
  *steps(tokens: number, logitsFrom: number): Generator<Step, void> {
    const { layout, operations: op } = this;
    const { hidden, ffn, qkv, x } = layout;
    const wide = layout.config.hiddenSize * 4;
    const inner = layout.config.intermediateSize * 4;
    const rows = (at: number, stride: number): Rows => ({ at, stride, count: tokens });

    yield { lead: [op.embed(tokens)], operations: [], led: { rows: rows(x, wide) } }; // x [tokens, d]
    for (const [index, layer] of layout.shape.layers.entries()) {
      // h = layer_norm(x) [tokens, d]
      yield { operations: [op.normalize(layer.attnNorm, 0, tokens, [layer.qkv, layer.ffnUp])] };
      // q, k, v = h Wqkv + b [tokens, 3d] and u = h Wup + b [tokens, ff]
      yield* this.withUnit(2 * index, (base) => ({
        operations: [
          op.multiply(tokens, { linear: layer.qkv, base, input: hidden, out: qkv, outStride: 3 * wide }),
          op.multiply(tokens, { linear: layer.ffnUp, base, input: hidden, out: ffn.plain, outStride: inner }),
        ],
        made: [
          { rows: rows(qkv, 3 * wide), linear: ({ layers }) => layers[index].qkv, for: "leader" },
          { rows: rows(ffn.plain, inner), linear: ({ layers }) => layers[index].ffnUp, for: "all" },
        ],
      }));
      // a = attention(q, k, v) [tokens, d] in place of h, and u = gelu(u) [tokens, ff]
      yield {
        lead: [op.attend(index, tokens, layer.attnOutput)],
        operations: [op.activate(tokens, layer.ffnDown)],
        led: { rows: rows(hidden.plain, wide), finish: op.quantizeRows(tokens, layer.attnOutput) },
      };
      // x = x + (a Wo + b) + (u Wdown + b) [tokens, d]
      yield* this.withUnit(2 * index + 1, (base) => {
        const attnOutput = { linear: layer.attnOutput, base, input: hidden, out: x, outStride: wide };
        const ffnDown = { linear: layer.ffnDown, base, input: ffn, out: x, outStride: wide };
        return {
          operations: [op.addProducts(tokens, [attnOutput, ffnDown])],
          made: [{ rows: rows(x, wide), linear: ({ layers }) => layers[index].ffnDown, for: "all" }],
        };
      });
    }
    yield* this.head(tokens, logitsFrom);
    this.weights.endPass();
  }

  /** logits = lm_head(layer_norm(x)) [rows, vocab] of tokens [from, tokens) */
  private *head(tokens: number, from: number): Generator<Step, void> {
    const { layout, operations: op } = this;
    const { hidden, logits, logitsStride, shape, headPieces } = layout;
    const count = tokens - from;
    if (count > 0) yield { operations: [op.normalize(shape.outputNorm, from, tokens, [shape.output])] };
    for (const [i, { fromGroup, toGroup }] of headPieces.entries()) {
      const last = i === headPieces.length - 1;
      yield* this.withUnit(2 * shape.layers.length + i, (base): Step => {
        // Nothing to do but to meet, or a slow thread would look for the unit in the next pass.
        if (count === 0) return { operations: [] };
        const product = { linear: shape.output, base, input: hidden, out: logits, outStride: logitsStride };
        const rows = { at: logits, stride: logitsStride, count };
        return {
          operations: [op.multiply(count, product, fromGroup, toGroup)],
          made: last ? [{ rows, linear: ({ output }) => output, for: "leader" }] : [],
        };
      });
    }
  }

  /** A step that needs a unit, whose base it gets; after it the unit is not needed any more. */
  private *withUnit(index: number, step: (base: number) => Step): Generator<Step, void> {
    const acquire = () => this.weights.acquire(index);
    yield step(this.weights.streams(index) ? this.team.timed("storage", acquire) : acquire());
    this.weights.release(index);
  }
}
