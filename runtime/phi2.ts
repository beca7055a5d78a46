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
import type { Layout } from "./memory/plan.ts";

export class Phi2 {
  private readonly operations: Operations;

  constructor(
    kernels: Kernels,
    form: DotForm,
    private readonly layout: Layout,
    private readonly team: Team,
    buffer: ArrayBufferLike,
  ) {
    this.operations = new Operations(kernels, form, layout, buffer, team.index);
  }

  /**
   * Computes `tokens` tokens whose ids, positions and caches lie at layout.{ids, positions, caches}; leaves the
   * logits of tokens [logitsFrom, tokens) in the rows at layout.logits. Throws Stopped where the team was asked to stop.
   */
  forward(tokens: number, logitsFrom: number): void {
    const { layout, operations: op, team } = this;
    const { hidden, ffn, qkv, x, logits, logitsStride } = layout;
    const wide = layout.config.hiddenSize * 4;
    const inner = layout.config.intermediateSize * 4;

    team.run(op.embed(tokens)); // x [tokens, d]
    layout.layers.forEach((layer, index) => {
      // h = layer_norm(x) [tokens, d]
      team.run(op.normalize(layer.attnNorm, 0, tokens, [layer.qkv, layer.ffnUp]));
      // q, k, v = h Wqkv + b [tokens, 3d] and u = h Wup + b [tokens, ff]
      team.run(
        op.multiply(tokens, { linear: layer.qkv, input: hidden, out: qkv, outStride: 3 * wide }),
        op.multiply(tokens, { linear: layer.ffnUp, input: hidden, out: ffn.plain, outStride: inner }),
      );
      // a = attention(q, k, v) [tokens, d] in place of h, and u = gelu(u) [tokens, ff]
      team.run(op.attend(index, tokens, layer.attnOutput), op.activate(tokens, layer.ffnDown));
      // x = x + (a Wo + b) + (u Wdown + b) [tokens, d]
      const attnOutput = { linear: layer.attnOutput, input: hidden, out: x, outStride: wide };
      const ffnDown = { linear: layer.ffnDown, input: ffn, out: x, outStride: wide };
      team.run(op.addProducts(tokens, [attnOutput, ffnDown]));
    });
    const rows = tokens - logitsFrom;
    if (rows === 0) return;
    team.run(op.normalize(layout.outputNorm, logitsFrom, tokens, [layout.output]));
    // logits [rows, vocab]
    team.run(op.multiply(rows, { linear: layout.output, input: hidden, out: logits, outStride: logitsStride }));
  }
}
