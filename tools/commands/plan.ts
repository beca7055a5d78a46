import type { DeviceEstimate, Estimate } from "../../devices/node/index.ts";
import type { Context } from "../context.ts";
import { JSON_FLAG, LOAD_FLAGS, MODEL_FLAG, toLoadOptions } from "../flags.ts";
import { onlyModel } from "../input.ts";
import { defineCommand, text, usageError, type Values } from "../options.ts";
import { columns, formatBytes, formatSpeed, plural, writeJson } from "../output.ts";
import { withFlags } from "../report.ts";
import { didYouMean } from "../suggest.ts";

const OPTIONS = {
  ...MODEL_FLAG,
  device: text("ID", 'plan for another device, such as pi-4-1gb; "all" compares them; without a MODEL: Phi-2 in Q4_0'),
  ...LOAD_FLAGS,
  ...JSON_FLAG,
};

const PREDICTION = "Speeds are predictions from published figures of memory, storage and cores, not measurements.";

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
    ...(plan.predictedTokensPerSecond === null
      ? []
      : [
          ["decode", `${formatSpeed(plan.predictedTokensPerSecond)} tok/s, predicted and not measured`],
          ["predicted from", `${plan.predictedFrom}`],
        ]),
  ];
  return `${columns(rows)}${plan.remedy === undefined ? "" : `\n${withFlags(plan.remedy)}\n`}`;
}

function formatOne({ device, deviceName, model, ramBytes, threads, ...plan }: DeviceEstimate): string {
  const rows = [
    ["device", `${deviceName} (${device}), ${formatRam(ramBytes)}`],
    ["model", model],
    ["threads", `${threads}`],
  ];
  return `${columns(rows)}\n${format(plan)}`;
}

/** Memory is sold in binary units. */
function formatRam(bytes: number): string {
  return bytes < 2 ** 30 ? `${bytes / 2 ** 20} MB` : `${bytes / 2 ** 30} GB`;
}

function formatTable(plans: readonly DeviceEstimate[]): string {
  const rows = plans.map((plan) => {
    const { device, ramBytes, fits, mode, layers, predictedTokensPerSecond: speed } = plan;
    const start = [device, formatRam(ramBytes), `${plan.threads}`];
    if (!fits) return [...start, "no", "-", "-", "-", "-"];
    const figures = [`${layers.pinned}`, `${layers.streamed}`, speed === null ? "-" : formatSpeed(speed)];
    return [...start, mode, ...figures, plural(plan.contextLength, "token")];
  });
  const head = ["device", "RAM", "threads", "mode", "pinned", "streamed", "tok/s", "context"];
  const reasons = plans.flatMap(({ device, remedy }) => (remedy === undefined ? [] : [[device, withFlags(remedy)]]));
  return [
    `Plans for ${plans[0].model}\n`,
    columns([head, ...rows], "lrrlrrrl"),
    ...(reasons.length > 0 ? [`Why not\n${columns(reasons)}`] : []),
    `${PREDICTION}\n`,
  ].join("\n");
}

async function planDevice(
  device: string,
  values: Values<typeof OPTIONS>,
  words: string[],
  context: Context,
): Promise<void> {
  const { estimateOn, DEVICE_IDS, TARGETS } = await context.api();
  if (device !== "all" && !DEVICE_IDS.includes(device)) {
    const hint = didYouMean(device, [...DEVICE_IDS, "all"]) || ` Choose one of ${DEVICE_IDS.join(", ")}, or all.`;
    throw usageError(`Unknown device "${device}".${hint}`);
  }
  const model = onlyModel(values.model, words);
  const { pack: _, ...options } = toLoadOptions(values);
  const ids = device === "all" ? TARGETS.map(({ id }) => id) : [device];
  const plans: DeviceEstimate[] = [];
  for (const id of ids) plans.push(await estimateOn(id, model, options));
  if (values.json) writeJson(context.stdout, device === "all" ? { model: plans[0].model, devices: plans } : plans[0]);
  else context.stdout.write(device === "all" ? formatTable(plans) : formatOne(plans[0]));
}

export const plan = defineCommand({
  usage: "[MODEL]",
  notes: [
    "Only the file's header is read, and a moment's worth more where weights would be streamed, to see how fast that is.",
    "A model that is no pack yet is planned as the pack that `piphi run` would make.",
    PREDICTION,
  ],
  options: OPTIONS,
  examples: [
    ["piphi plan phi-2.Q4_0.gguf", "on this machine, as it is now"],
    ["piphi plan phi-2.Q4_0.gguf --ram 1G --ctx 512", "with a gigabyte"],
    ["piphi plan --device pi-4-1gb", "Phi-2 on a Raspberry Pi 4 with a gigabyte"],
    ["piphi plan --device all", "Phi-2 on every device that is known"],
  ],

  async run(values, words, context) {
    if (values.device !== undefined) return planDevice(values.device, values, words, context);
    const { estimate } = await context.api();
    const result = await estimate(onlyModel(values.model, words), toLoadOptions(values));
    if (values.json) writeJson(context.stdout, result);
    else context.stdout.write(format(result));
  },
});
