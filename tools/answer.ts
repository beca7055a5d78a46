/** A generation on its way to the user. */

import type {
  GenerateOptions,
  GenerateResult,
  Generation,
  MemoryUse,
  ModelInfo,
  StopReason,
} from "../devices/node/index.ts";
import type { Output } from "./context.ts";
import { describeMemory } from "./model.ts";
import { columns, formatBytes, formatCount, formatMs, formatRate, plural, printable } from "./output.ts";

/**
 * Writes the text as it comes, ending with a line break. `trim` drops the blanks before the first word, which the
 * prompt templates leave to the model.
 */
export async function printAnswer(generation: Generation, stdout: Output, trim: boolean): Promise<GenerateResult> {
  let started = !trim;
  let last = "\n";
  try {
    for await (const delta of generation) {
      const text = started ? delta.text : delta.text.trimStart();
      if (text === "") continue;
      started = true;
      last = text[text.length - 1];
      stdout.write(stdout.isTTY ? printable(text) : text);
    }
  } finally {
    if (last !== "\n") stdout.write("\n");
  }
  return await generation;
}

/** Says on stderr that an answer was cut, and by what. */
export function noteCut(result: GenerateResult, { maxTokens }: GenerateOptions, stderr: Output): void {
  if (result.stopReason !== "length") return;
  const tokens = plural(result.generatedTokens, "token");
  const byLimit = maxTokens !== undefined && result.generatedTokens >= maxTokens;
  const why = byLimit
    ? "that is what -n allows. Give a larger -n for more."
    : "the context is full. Give a larger --ctx, or --ctx-overflow roll.";
  stderr.write(`note: the answer was cut after ${tokens}: ${why}\n`);
}

const ENDINGS: Record<StopReason, string> = {
  eos: "ended by the model",
  stop: "ended by a stop text",
  length: "ended by the length limit",
  cancelled: "cancelled",
};

function describeDrafts({ passes, proposed, accepted }: NonNullable<GenerateResult["drafts"]>): string {
  return `${formatCount(accepted)} of ${formatCount(proposed)} right, weights read ${formatCount(passes)} times`;
}

/** "120 MB of weights, 1 of 4 threads now (memory was short: 12 MiB left; cpu-thermal is at 85 °C)" */
function describePressure({ releasedBytes, threads, reasons }: NonNullable<MemoryUse["pressure"]>, of: number): string {
  const parts = [
    ...(releasedBytes > 0 ? [`${formatBytes(releasedBytes)} of weights`] : []),
    ...(threads < of ? [`${threads} of ${plural(of, "thread")} now`] : []),
  ];
  return `${parts.length > 0 ? parts.join(", ") : "nothing now"} (${printable(reasons.join("; "))})`;
}

/** The table of `--stats` and `/stats`. */
export function formatStats(result: GenerateResult, info: ModelInfo, memory: MemoryUse): string {
  const { timings } = result;
  const cached = result.cachedTokens > 0 ? ` (${formatCount(result.cachedTokens)} from the cache)` : "";
  return columns([
    ["model", printable(`${info.name}, ${info.quantization}, context ${formatCount(info.contextLength)}`)],
    ["load", formatMs(timings.loadMs)],
    [
      "prompt",
      `${plural(result.promptTokens, "token")}${cached} in ${formatMs(timings.prefillMs)}, ` +
        `${formatRate(timings.prefillTokensPerSecond)} tok/s, first token after ${formatMs(timings.firstTokenMs)}`,
    ],
    [
      "answer",
      `${plural(result.generatedTokens, "token")} in ${formatMs(timings.decodeMs)}, ` +
        `${formatRate(timings.decodeTokensPerSecond)} tok/s, ${ENDINGS[result.stopReason]}`,
    ],
    ...(result.rolledTokens === undefined
      ? []
      : [["rolled", `the oldest ${plural(result.rolledTokens, "token")} left the context`]]),
    ...(result.drafts === undefined ? [] : [["guesses", describeDrafts(result.drafts)]]),
    ["memory", describeMemory(memory)],
    ...(memory.pressure === undefined ? [] : [["gave way", describePressure(memory.pressure, info.threads)]]),
    ["kernel", `${info.kernel}, ${plural(info.threads, "thread")}, ${info.kv} cache`],
  ]);
}
