import type { GenerateResult, Phi } from "../../devices/node/index.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { formatStats, noteCut, printAnswer } from "../answer.ts";
import {
  ANSWER_FLAGS,
  JSON_FLAG,
  LOAD_FLAGS,
  MODEL_FLAG,
  readTemplate,
  TEMPLATE_FLAG,
  toGenerateOptions,
  toLoadOptions,
} from "../flags.ts";
import { readText, splitModel } from "../input.ts";
import { withModel } from "../model.ts";
import { defineCommand, text, toggle, usageError } from "../options.ts";
import { writeJson } from "../output.ts";
import { heldToCommand } from "../shape-flags.ts";

async function toDocument(phi: Phi, result: GenerateResult, trim: boolean) {
  const { text: answer, ...rest } = result;
  const memory = await phi.memory();
  return {
    model: phi.info.name,
    text: trim ? answer.trimStart() : answer,
    ...rest,
    memory,
    kernel: phi.info.kernel,
    threads: memory.pressure?.threads ?? phi.info.threads,
  };
}

export const run = defineCommand({
  usage: "[MODEL] [PROMPT…]",
  notes: [
    "The first argument is the model if it ends in .gguf or is a file; otherwise the embedded model answers.",
    'Without a prompt, it is read from standard input; a last argument "-" appends standard input to the prompt.',
    "Ctrl-C ends the answer; a second one ends the process.",
  ],
  options: {
    ...MODEL_FLAG,
    prompt: text("TEXT", "the prompt, instead of PROMPT…", "p"),
    raw: toggle("continue the text as it is, without the model's prompt format"),
    special: toggle("with --raw: names of control tokens in the text, such as <|endoftext|>, stand for these"),
    ...TEMPLATE_FLAG,
    ...ANSWER_FLAGS,
    ...LOAD_FLAGS,
    stats: toggle("print timings and memory to stderr"),
    ...JSON_FLAG,
  },
  examples: [
    ['piphi run "turn on the kitchen lights"', "the embedded model"],
    ["piphi run phi-2.Q4_0.gguf -n 100 Why is the sky blue?", "a model of your own"],
    ['piphi run phi-2.Q4_0.gguf --raw -p "Once upon a time" --temp 0.8 --seed 7', "continue a text"],
    ['piphi run phi-2.Q4_0.gguf "Summarize this:" - < notes.txt', "a prompt and a file"],
    ['piphi run --schema weather.json "The weather in Oslo"', "a JSON document that meets a schema"],
    ['piphi run --json "good night" | jq .text', "for scripts"],
  ],

  async run(values, words, context) {
    const split = splitModel(values.model, words, values.prompt !== undefined);
    const given = await readText(split, values.prompt, context);
    // The line break that `echo` ends its line with is no part of the prompt.
    const prompt = given.replace(/\r?\n$/, "");
    if (prompt === "")
      throw new PiPhiError("E_PROMPT_EMPTY", "The prompt is empty. Give it as an argument or pipe it in.");

    const { raw = false, special } = values;
    if (special && !raw)
      throw usageError("--special is for --raw: prompt formats write their control tokens themselves. Add --raw.");
    const template = readTemplate(values.template);
    await withModel(context, split.model, { ...toLoadOptions(values), template }, async (phi) => {
      const trim = !raw;
      const given = { ...toGenerateOptions(values), special, signal: context.signal };
      const options = split.model === undefined && trim ? await heldToCommand(given, context) : given;
      const generation = trim ? phi.chat([{ role: "user", content: prompt }], options) : phi.generate(prompt, options);
      const result = values.json ? await generation : await printAnswer(generation, context.stdout, trim);
      if (values.json) writeJson(context.stdout, await toDocument(phi, result, trim));
      noteCut(result, options, context.stderr);
      if (values.stats) context.stderr.write(formatStats(result, phi.info, await phi.memory()));
    });
  },
});
