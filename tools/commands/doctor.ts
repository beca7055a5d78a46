import type { Diagnosis } from "../../devices/node/index.ts";
import type { Context } from "../context.ts";
import { JSON_FLAG } from "../flags.ts";
import { refuseWords } from "../input.ts";
import { defineCommand } from "../options.ts";
import { columns, formatRate, palette, printable, writeJson } from "../output.ts";

function print({ stdout, env }: Context, { checks, kernels }: Diagnosis): void {
  const { bold, dim, green, red } = palette(stdout, env);
  const mark = (ok: boolean) => (ok ? green("✓") : red("✗"));
  const checkRows = checks.flatMap(({ name, ok, value, advice }) => [
    [mark(ok), printable(name), printable(value)],
    ...(advice ? [["", "", dim(printable(advice))]] : []),
  ]);
  const kernelRows = kernels.map(({ name, ok, gigabytesPerSecond }) => {
    return [mark(ok), name, ok ? `${formatRate(gigabytesPerSecond)} GB/s` : "failed its self-test"];
  });
  stdout.write(`${bold("This machine")}\n${columns(checkRows)}\n`);
  stdout.write(`${bold("Kernels")}\n${columns(kernelRows)}`);
}

export const doctor = defineCommand({
  usage: "",
  notes: [
    "Checks the engine, the processor and its heat, memory and its limits, the store's storage (reads a pack of it, or a",
    "temporary file of 32 MiB that is removed), and every build of the kernels.",
  ],
  options: { ...JSON_FLAG },
  examples: [
    ["piphi doctor", "what works here, and what to change"],
    ["piphi doctor --json", "to attach to a bug report"],
  ],

  async run(values, words, context) {
    refuseWords(words);
    const { diagnose } = await context.api();
    const diagnosis = await diagnose();
    if (values.json) writeJson(context.stdout, diagnosis);
    else print(context, diagnosis);
  },
});
