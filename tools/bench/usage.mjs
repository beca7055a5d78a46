/** What the benchmarks' command lines share. */

/** A mistake in what was asked for; ends with the remedy. */
export class UsageError extends Error {}

/** @param {string} text */
export function wholeNumber(name, text, least, most) {
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most && text !== "") return value;
  throw new UsageError(`--${name} takes whole numbers from ${least} to ${most}.`);
}

/** The last word of a benchmark that failed: exit code 2 for wrong usage, 1 for anything else. */
export function failWith(error) {
  console.error(`error: ${error.message}`);
  process.exitCode = error instanceof UsageError || error.code?.startsWith?.("ERR_PARSE_ARGS") ? 2 : 1;
}
