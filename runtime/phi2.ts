/**
 * Phi-1, Phi-1.5 and Phi-2 (https://huggingface.co/microsoft/phi-2): the forward pass. Its sizes are `Phi2Config`.
 *
 *   for each layer:  h = layer_norm(x)                  one norm feeds both branches
 *                    x = x + attention(h) + mlp(h)      parallel residual; biases everywhere
 *   logits = lm_head(layer_norm(x))                     untied, with bias
 *
 * Every thread of the team runs `forward` on the same batch; `team.run` gives each its items of the operations and
 * returns when all are done. Layers are outside and tokens inside: a batch touches each weight once, be it a prompt, one
 * token, drafts to verify or several conversations.
 */

import type { DotForm, Kernels } from "./compute/kernels.ts";
import { Operations } from "./compute/operations.ts";
import type { Team } from "./compute/team.ts";
import type { Layout } from "./plan/layout.ts";
import type { Weights } from "./residence/weights.ts";

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
    const { layout, operations: op, team } = this;
    const { hidden, ffn, qkv, x } = layout;
    const wide = layout.config.hiddenSize * 4;
    const inner = layout.config.intermediateSize * 4;

    team.run(op.embed(tokens)); // x [tokens, d]
    layout.shape.layers.forEach((layer, index) => {
      // h = layer_norm(x) [tokens, d]
      team.run(op.normalize(layer.attnNorm, 0, tokens, [layer.qkv, layer.ffnUp]));
      // q, k, v = h Wqkv + b [tokens, 3d] and u = h Wup + b [tokens, ff]
      this.withUnit(2 * index, (base) => {
        team.run(
          op.multiply(tokens, { linear: layer.qkv, base, input: hidden, out: qkv, outStride: 3 * wide }),
          op.multiply(tokens, { linear: layer.ffnUp, base, input: hidden, out: ffn.plain, outStride: inner }),
        );
      });
      // a = attention(q, k, v) [tokens, d] in place of h, and u = gelu(u) [tokens, ff]
      team.run(op.attend(index, tokens, layer.attnOutput), op.activate(tokens, layer.ffnDown));
      // x = x + (a Wo + b) + (u Wdown + b) [tokens, d]
      this.withUnit(2 * index + 1, (base) => {
        const attnOutput = { linear: layer.attnOutput, base, input: hidden, out: x, outStride: wide };
        const ffnDown = { linear: layer.ffnDown, base, input: ffn, out: x, outStride: wide };
        team.run(op.addProducts(tokens, [attnOutput, ffnDown]));
      });
    });
    this.head(tokens, logitsFrom);
    this.weights.endPass();
  }

  /** logits = lm_head(layer_norm(x)) [rows, vocab] of tokens [from, tokens) */
  private head(tokens: number, from: number): void {
    const { layout, operations: op, team } = this;
    const { hidden, logits, logitsStride, shape, headPieces } = layout;
    const rows = tokens - from;
    if (rows > 0) team.run(op.normalize(shape.outputNorm, from, tokens, [shape.output]));
    headPieces.forEach(({ fromGroup, toGroup }, i) => {
      this.withUnit(2 * shape.layers.length + i, (base) => {
        if (rows === 0) return team.meet(); // or a slow thread would look for it in the next pass
        const product = { linear: shape.output, base, input: hidden, out: logits, outStride: logitsStride };
        team.run(op.multiply(rows, product, fromGroup, toGroup));
      });
    });
  }

  /** `work` gets the base of a unit's matrices and ends at a barrier, after which the unit is not needed any more. */
  private withUnit(index: number, work: (base: number) => void): void {
    const acquire = () => this.weights.acquire(index);
    work(this.weights.streams(index) ? this.team.timed("storage", acquire) : acquire());
    this.weights.release(index);
  }
}
