import { JSON_FLAG, MODEL_FLAG } from "../flags.ts";
import { readText, splitModel } from "../input.ts";
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
    const api = await context.api();
    const { ids, pieces } = await api.tokenize(text, split.model);
    if (values.json) writeJson(context.stdout, { ids, pieces });
    else context.stdout.write(ids.map((id, i) => `${id}\t${printable(JSON.stringify(pieces[i]))}\n`).join(""));
  },
});
