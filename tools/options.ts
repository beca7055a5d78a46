/** Options as data: one table a command, from which parsing, checking and the help text are derived. */

import { type ParseArgsConfig, parseArgs } from "node:util";
import { PiPhiError } from "../runtime/errors.ts";
import type { Context } from "./context.ts";
import { didYouMean } from "./suggest.ts";

export interface Option<T> {
  readonly help: string;
  /** One letter. */
  readonly short?: string;
  /** Name of the value in the help text; absent for a switch. */
  readonly placeholder?: string;
  /** Completes "--flag must be …". */
  readonly expected: string;
  /** The value from all occurrences of the flag, or undefined if it is not what is expected. */
  read(texts: readonly string[]): T | undefined;
}

export type OptionTable = Readonly<Record<string, Option<unknown>>>;
/** The values that a table's flags were given. */
export type Values<Table extends OptionTable> = {
  [Name in keyof Table]?: Table[Name] extends Option<infer T> ? T : never;
};

export interface Command<Table extends OptionTable = OptionTable> {
  /** What follows the command's name, e.g. "[MODEL] [PROMPT…]". */
  readonly usage: string;
  /** Paragraphs that the table of options cannot say. */
  readonly notes?: readonly string[];
  readonly options: Table;
  /** It runs until a signal tells it to end, which is no failure then. */
  readonly untilInterrupted?: boolean;
  readonly examples: readonly (readonly [line: string, does: string])[];
  run(values: Values<Table>, words: string[], context: Context): Promise<void>;
}

/** Keeps the table's exact type. */
export function defineCommand<const Table extends OptionTable>(command: Command<Table>): Command<Table> {
  return command;
}

/** Wrong usage: exit code 2. */
export function usageError(message: string): PiPhiError {
  return new PiPhiError("E_USAGE", message);
}

export function toggle(help: string, short?: string): Option<boolean> {
  return { help, short, expected: "given without a value", read: () => true };
}

export function text(placeholder: string, help: string, short?: string): Option<string> {
  return { help, short, placeholder, expected: "a text", read: (texts) => texts.at(-1) };
}

/** A flag that may be given several times. */
export function texts(placeholder: string, help: string): Option<string[]> {
  return {
    help,
    placeholder,
    expected: "a text that is not empty",
    read: (all) => (all.includes("") ? undefined : [...all]),
  };
}

const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t", "\\": "\\" };

/** Like `texts`; a backslash begins \n, \r, \t or \\. */
export function stopTexts(placeholder: string, help: string): Option<string[]> {
  const plain = texts(placeholder, help);
  return {
    ...plain,
    expected: `${plain.expected}, whose backslashes begin \\n, \\r, \\t or \\\\`,
    read(all) {
      if (all.some((text) => !/^([^\\]|\\[nrt\\])*$/.test(text))) return undefined;
      return plain.read(all)?.map((text) => text.replace(/\\(.)/g, (_, letter: string) => ESCAPES[letter]));
    },
  };
}

export function choice<const T extends string>(choices: readonly T[], help: string): Option<T> {
  return {
    help,
    placeholder: choices.join("|"),
    expected: choices.map((one) => `"${one}"`).join(" or "),
    read: (all) => choices.find((one) => one === all.at(-1)),
  };
}

const DECIMAL = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

export function number(placeholder: string, [min, max]: [number, number], help: string): Option<number> {
  return {
    help,
    placeholder,
    expected: `a number from ${min} to ${max}`,
    read(all) {
      const value = DECIMAL.test(all.at(-1)!) ? Number(all.at(-1)) : Number.NaN;
      return value >= min && value <= max ? value : undefined;
    },
  };
}

export function integer(placeholder: string, range: [number, number], help: string, short?: string): Option<number> {
  const { read } = number(placeholder, range, help);
  return {
    help,
    short,
    placeholder,
    expected: `a whole number from ${range[0]} to ${range[1]}`,
    read(all) {
      const value = read(all);
      return Number.isInteger(value) ? value : undefined;
    },
  };
}

/** A memory size; left to the library to interpret, so that both read "1G" the same way. */
export function size(placeholder: string, help: string): Option<string> {
  return {
    help,
    placeholder,
    expected: "a size in bytes or such as 512M or 1G",
    read(all) {
      const value = all.at(-1)!;
      return /^\d+(\.\d+)?[kmg]?(i?b)?$/i.test(value) && Number.parseFloat(value) > 0 ? value : undefined;
    },
  };
}

/** Token ids, separated by commas. */
export function ids(placeholder: string, help: string): Option<number[]> {
  return {
    help,
    placeholder,
    expected: "whole numbers separated by commas",
    read(all) {
      const parts = all
        .at(-1)!
        .split(",")
        .map((part) => part.trim());
      return parts.every((part) => /^\d{1,9}$/.test(part)) ? parts.map(Number) : undefined;
    },
  };
}

/** How a flag is written in messages and in the help text. */
export function flagLabel(name: string, option: Option<unknown>): string {
  return option.short ? `-${option.short}, --${name}` : `--${name}`;
}

type ParserOptions = NonNullable<ParseArgsConfig["options"]>;

/** What other programs call these. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  "-t": "--threads",
  "-c": "--ctx",
  "-s": "--seed",
  "--temperature": "--temp",
  "--ctx-size": "--ctx",
  "--context": "--ctx",
  "--n-predict": "--max-tokens",
  "--system-prompt": "--system",
  "--chat-template": "--template",
};

/** "--seed -1" as "--seed=-1": a value that is a negative number is checked like any other. */
function joinNegatives(args: readonly string[], options: ParserOptions): string[] {
  const valued = Object.entries(options).filter(([, { type }]) => type === "string");
  const flags = valued.flatMap(([name, { short }]) => [`--${name}`, ...(short ? [`-${short}`] : [])]);
  const joined: string[] = [];
  for (let i = 0; i < args.length; i++) {
    if (args[i] === "--") return [...joined, ...args.slice(i)];
    const negative = flags.includes(args[i]) && /^-\.?\d/.test(args[i + 1] ?? "");
    joined.push(negative ? args[i] + (args[i].startsWith("--") ? "=" : "") + args[++i] : args[i]);
  }
  return joined;
}

/** Refuses flags that there are not, that lack their value, or that have one and take none. */
function refuseWrong(args: string[], options: ParserOptions, table: OptionTable): void {
  const { tokens } = parseArgs({ args, options, strict: false, tokens: true });
  const flags = Object.keys(options).map((name) => `--${name}`);
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    const { name, rawName, value, inlineValue } = token;
    if (!Object.hasOwn(options, name)) {
      const elsewhere = flags.find((flag) => flag === ELSEWHERE[rawName]);
      const named = elsewhere && ` Did you mean "${elsewhere}"?`;
      const hint = named || didYouMean(rawName, flags) || " Put -- before text that begins with a dash.";
      throw usageError(`Unknown option "${rawName}".${hint}`);
    }
    const { placeholder } = table[name];
    const label = flagLabel(name, table[name]);
    if (placeholder === undefined && value !== undefined) {
      throw usageError(`${label} takes no value. Leave out "${value}".`);
    }
    if (
      placeholder !== undefined &&
      (value === undefined || (inlineValue === false && value.startsWith("-") && value !== "-"))
    ) {
      throw usageError(
        `${label} needs a value: --${name} ${placeholder}. One that begins with a dash is given as --${name}=VALUE.`,
      );
    }
  }
}

/**
 * Checks and converts a command's arguments; throws E_USAGE.
 * `words` are the arguments that belong to no flag.
 */
export function parseOptions<Table extends OptionTable>(
  given: string[],
  table: Table,
): { values: Values<Table>; words: string[] } {
  const options: ParserOptions = {};
  for (const [name, option] of Object.entries(table)) {
    const type = option.placeholder ? "string" : "boolean";
    options[name] = { type, multiple: true, ...(option.short && { short: option.short }) };
  }
  const args = joinNegatives(given, options);
  refuseWrong(args, options, table);
  const parsed = parseArgs({ args, options, strict: true, allowPositionals: true });
  const values: Record<string, unknown> = {};
  for (const [name, given] of Object.entries(parsed.values)) {
    const option = table[name];
    const all = (given as unknown[]).map(String);
    values[name] = option.read(all);
    if (values[name] === undefined) {
      throw usageError(`${flagLabel(name, option)} must be ${option.expected}, not "${all.at(-1)}".`);
    }
  }
  return { values: values as Values<Table>, words: parsed.positionals };
}
