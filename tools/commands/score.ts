import type { Phi, Score } from "../../devices/node/index.ts";
import { JSON_FLAG, LOAD_FLAGS, MODEL_FLAG, toLoadOptions } from "../flags.ts";
import { onlyModel, readText, splitModel } from "../input.ts";
import { withModel } from "../model.ts";
import { defineCommand, ids, integer } from "../options.ts";
import { columns, printable, writeJson } from "../output.ts";

const DEFAULT_TOP = 5;

/** One line a position: its token, then the likeliest next tokens with their log-probabilities. */
async function formatScore(phi: Phi, { positions }: Score): Promise<string> {
  const pieces = new Map<number, string>();
  const used = positions.flatMap(({ id, top }) => [id, ...top.map(([next]) => next)]);
  for (const id of new Set(used)) pieces.set(id, printable(JSON.stringify(await phi.detokenize([id]))));
  const rows = positions.map(({ id, top }, position) => [
    `${position}`,
    `${id}`,
    pieces.get(id)!,
    ...top.flatMap(([next, logprob]) => [pieces.get(next)!, logprob.toFixed(3)]),
  ]);
  const likeliest = Array.from({ length: positions[0]?.top.length ?? 0 }, (_, rank) => [`${rank + 1}.`, ""]).flat();
  const align = `rrl${"lr".repeat(likeliest.length / 2)}`;
  return columns([["", "id", "token", ...likeliest], ...rows], align);
}

export const score = defineCommand({
  usage: "[MODEL] [TEXT…]",
  notes: [
    "Each position shows what may follow the text up to and including its token (natural logarithms).",
    "Without a text or --ids, standard input is read.",
  ],
  options: {
    ...MODEL_FLAG,
    ids: ids("ID,ID,…", "token ids, instead of TEXT"),
    top: integer("K", [1, 1_000_000], `next tokens shown at each position; default: ${DEFAULT_TOP}`),
    ...LOAD_FLAGS,
    ...JSON_FLAG,
  },
  examples: [
    ['piphi score "turn on the"', "the embedded model"],
    ["piphi score phi-2.Q8_0.gguf --ids 1212,318,281 --top 3", "token ids"],
    ['piphi score phi-2.Q8_0.gguf "This is a" --json | jq .positions[-1].top', "for scripts"],
  ],

  async run(values, words, context) {
    const split = values.ids ? { model: onlyModel(values.model, words), words: [] } : splitModel(values.model, words);
    const input = values.ids ?? (await readText(split, undefined, context));
    await withModel(context, split.model, toLoadOptions(values), async (phi) => {
      const result = await phi.score(input, { top: values.top ?? DEFAULT_TOP, signal: context.signal });
      if (values.json) writeJson(context.stdout, { model: phi.info.name, ...result });
      else context.stdout.write(await formatScore(phi, result));
    });
  },
});
