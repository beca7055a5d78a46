import type { Estimate } from "../../devices/node/index.ts";
import { JSON_FLAG, LOAD_FLAGS, MODEL_FLAG, toLoadOptions } from "../flags.ts";
import { onlyModel } from "../input.ts";
import { defineCommand } from "../options.ts";
import { columns, formatBytes, plural, writeJson } from "../output.ts";

function format({ fits, mode, layers, bytes, contextLength, ...plan }: Estimate): string {
  const rows = [
    ["fits", fits ? "yes" : "no"],
    ["mode", mode],
    ["layers", `${layers.pinned} stay in memory, ${layers.streamed} are streamed`],
    ["context", plural(contextLength, "token")],
    ["weights in memory", formatBytes(bytes.weights)],
    ["key/value cache", formatBytes(bytes.kv)],
    ["scratch", formatBytes(bytes.scratch)],
    ["ring", formatBytes(bytes.slots)],
    ["all", formatBytes(bytes.total)],
    ["streamed a token", formatBytes(plan.streamedBytesPerToken)],
  ];
  return `${columns(rows)}${plan.remedy === undefined ? "" : `\n${plan.remedy}\n`}`;
}

export const plan = defineCommand({
  usage: "[MODEL]",
  notes: [
    "Only the file's header is read. A model that is no pack yet is planned as the pack that `piphi run` would make.",
  ],
  options: { ...MODEL_FLAG, ...LOAD_FLAGS, ...JSON_FLAG },
  examples: [
    ["piphi plan phi-2.Q4_0.gguf", "on this machine, as it is now"],
    ["piphi plan phi-2.Q4_0.gguf --ram 1G --ctx 512", "with a gigabyte"],
  ],

  async run(values, words, context) {
    const { estimate } = await context.api();
    const result = await estimate(onlyModel(values.model, words), toLoadOptions(values));
    if (values.json) writeJson(context.stdout, result);
    else context.stdout.write(format(result));
  },
});
