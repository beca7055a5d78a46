/** What the benchmarks' command lines share. */

import { parseArgs } from "node:util";

/** A mistake in what was asked for; ends with the remedy. */
export class UsageError extends Error {}

/** @param {string} text */
export function wholeNumber(name, text, least, most) {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most && text !== "") return value;
  throw new UsageError(`--${name} takes whole numbers from ${least} to ${most}.`);
}

/**
 * A command line whose options are whole numbers for the most part.
 * @param numbers by name: default, least, most
 * @param others further options, as parseArgs takes them
 * @returns {{values: object, numbers: Record<string, number>}}
 */
export function parseOptions(args, numbers, others) {
  const entries = Object.entries(numbers);
  const counts = entries.map(([name, [usual]]) => [name, { type: "string", default: `${usual}` }]);
  const { values } = parseArgs({ args, options: { ...Object.fromEntries(counts), ...others } });
  const read = entries.map(([name, [, least, most]]) => [name, wholeNumber(name, values[name], least, most)]);
  return { values, numbers: Object.fromEntries(read) };
}

/** The last word of a benchmark that failed: exit code 2 for wrong usage, 1 for anything else. */
export function failWith(error) {
  console.error(`error: ${error.message}`);
  process.exitCode = error instanceof UsageError || error.code?.startsWith?.("ERR_PARSE_ARGS") ? 2 : 1;
}
