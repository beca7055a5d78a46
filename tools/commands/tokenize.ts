import { JSON_FLAG, MODEL_FLAG } from "../flags.ts";
import { readText, splitModel } from "../input.ts";
import { withModel } from "../model.ts";
import { defineCommand } from "../options.ts";
import { printable, writeJson } from "../output.ts";

export const tokenize = defineCommand({
  usage: "[MODEL] [TEXT…]",
  notes: ["Without a text, standard input is read, to the last line break."],
  options: { ...MODEL_FLAG, ...JSON_FLAG },
  examples: [
    ['piphi tokenize "turn on the lights"', "a line a token: id, tab, text"],
    ['piphi tokenize phi-2.Q4_0.gguf "  Hello" --json', "with the vocabulary of a model"],
    ["piphi tokenize < notes.txt | wc -l", "count the tokens of a file"],
  ],

  async run(values, words, context) {
    const split = splitModel(values.model, words);
    const text = await readText(split, undefined, context);
    await withModel(context, split.model, { threads: 1 }, async (phi) => {
      const tokens = await phi.tokenize(text);
      if (values.json) {
        writeJson(context.stdout, tokens);
        return;
      }
      const lines = tokens.ids.map((id, i) => `${id}\t${printable(JSON.stringify(tokens.pieces[i]))}\n`);
      context.stdout.write(lines.join(""));
    });
  },
});
