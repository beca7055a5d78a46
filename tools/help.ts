/** Help texts, derived from the tables of commands and options. */

import { type Command, flagLabel, type OptionTable, toggle } from "./options.ts";
import { columns } from "./output.ts";

/** Options that every command has. */
export const COMMON_OPTIONS = { help: toggle("show this help", "h") } satisfies OptionTable;

function optionRows(table: OptionTable): string[][] {
  return Object.entries(table).map(([name, option]) => {
    const label = flagLabel(name, option).padStart(option.short ? 0 : name.length + 6);
    return [option.placeholder ? `${label} ${option.placeholder}` : label, option.help];
  });
}

function section(title: string, rows: string[][]): string {
  return `${title}\n${columns(rows)}`;
}

export function commandHelp(name: string, summary: string, command: Command): string {
  const invocation = ["piphi", name, command.usage, "[options]"].filter(Boolean).join(" ");
  return [
    `piphi ${name}: ${summary}\n`,
    section("Usage", [[invocation]]),
    ...(command.notes ? [`${command.notes.join("\n")}\n`] : []),
    section("Options", optionRows({ ...command.options, ...COMMON_OPTIONS })),
    section(
      "Examples",
      command.examples.map(([line, does]) => [line, `# ${does}`]),
    ),
  ].join("\n");
}

/** `summaries` in the order to be shown. */
export function generalHelp(version: string, summaries: readonly (readonly [name: string, summary: string])[]): string {
  return [
    `piphi ${version}: Phi-2 on this machine, without a cloud or a GPU\n`,
    section("Usage", [["piphi COMMAND [arguments] [options]"]]),
    section(
      "Commands",
      summaries.map(([name, summary]) => [name, summary]),
    ),
    section("Everywhere", [
      ["piphi help COMMAND", "options and examples of a command"],
      ["piphi --version", "the version"],
      ["PIPHI_DEBUG=1", "show where an error came from"],
      ["NO_COLOR=1", "no colours"],
    ]),
    section("Examples", [
      ['piphi run "turn on the kitchen lights"', "# one answer from the embedded model, offline"],
      ["piphi chat phi-2.Q4_0.gguf", "# a conversation with a model of your own"],
      ["piphi doctor", "# what this machine can do"],
    ]),
  ].join("\n");
}
