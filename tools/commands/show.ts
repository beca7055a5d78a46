import type { Inspection } from "../../devices/node/index.ts";
import type { Context } from "../context.ts";
import { JSON_FLAG, MODEL_FLAG, readTemplate, TEMPLATE_FLAG } from "../flags.ts";
import { onlyModel } from "../input.ts";
import { defineCommand, toggle } from "../options.ts";
import { columns, formatBytes, formatCount, palette, plural, printable, writeJson } from "../output.ts";

function factRows({ config, vocabulary, ...model }: Inspection): string[][] {
  const files = model.shards > 1 ? ` in ${plural(model.shards, "file")}` : "";
  return [
    ["path", model.path],
    ["architecture", model.architecture],
    ["quantization", model.quantization],
    ["parameters", formatCount(model.parameters)],
    ["size", `${formatBytes(model.fileBytes)}${files}`],
    ["layers", `${config.layers}`],
    ["width", `${formatCount(config.hiddenSize)}, inner ${formatCount(config.intermediateSize)}`],
    ["heads", `${config.heads} of ${config.headDim}, ${config.rotaryDim} rotated`],
    ["context", plural(config.contextLength, "token")],
    [
      "vocabulary",
      `${plural(vocabulary.size, "token")}, ${plural(vocabulary.merges, "merge")}, ends at ${vocabulary.eos}`,
    ],
    ["prompt format", `${model.promptFormat}: ${model.prompt.reason}`],
  ];
}

/** One row a block type: how many tensors, how many bytes. */
function typeRows(tensors: Inspection["tensors"]): string[][] {
  const byType = new Map<string, { count: number; bytes: number }>();
  for (const { type, bytes } of tensors) {
    const { count, bytes: sum } = byType.get(type) ?? { count: 0, bytes: 0 };
    byType.set(type, { count: count + 1, bytes: sum + bytes });
  }
  const rows = [...byType].sort(([, a], [, b]) => b.bytes - a.bytes);
  return rows.map(([type, { count, bytes }]) => [type, plural(count, "tensor"), formatBytes(bytes)]);
}

function tensorRows(tensors: Inspection["tensors"]): string[][] {
  return tensors.map(({ name, type, shape, bytes }) => [name, type, shape.join(" x "), formatBytes(bytes)]);
}

const harmless = (rows: string[][]) => rows.map((row) => row.map(printable));

function print({ stdout, env }: Context, model: Inspection, everyTensor: boolean): void {
  const { bold } = palette(stdout, env);
  stdout.write(`${bold(printable(model.name))}\n${columns(harmless(factRows(model)))}\n`);
  const [rows, align] = everyTensor ? [tensorRows(model.tensors), "lllr"] : [typeRows(model.tensors), "lrr"];
  const { example, error, stops } = model.prompt;
  const lines = (example ?? error ?? "").split("\n").map((line) => [line]);
  stdout.write(`${bold("A conversation, as the model reads it")}\n${columns(harmless(lines))}`);
  stdout.write(`${columns(harmless([["answers end at", stops.map((stop) => JSON.stringify(stop)).join(" ")]]))}\n`);
  stdout.write(`${bold("Weights")}\n${columns(harmless(rows), align)}`);
}

export const show = defineCommand({
  usage: "[MODEL]",
  notes: ["Only the file's header is read."],
  options: {
    ...MODEL_FLAG,
    ...TEMPLATE_FLAG,
    tensors: toggle("list every tensor"),
    ...JSON_FLAG,
  },
  examples: [
    ["piphi show", "the embedded model"],
    ["piphi show phi-2.Q4_K_M.gguf --tensors", "with every tensor"],
    ["piphi show phi-2.Q4_0.gguf --json | jq .config", "for scripts"],
  ],

  async run(values, words, context) {
    const model = onlyModel(values.model, words);
    const { inspect } = await context.api();
    const inspection = await inspect(model, readTemplate(values.template));
    if (values.json) writeJson(context.stdout, inspection);
    else print(context, inspection, values.tensors ?? false);
  },
});
