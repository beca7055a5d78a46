/** What a user reads when something went wrong, and the exit code that goes with it. */

import { type ErrorDetails, PiPhiError } from "../runtime/errors.ts";
import type { Host } from "./context.ts";
import { palette, printable, writeJson } from "./output.ts";

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

/** What the library calls an option, and what the command calls it. */
const FLAGS: Record<string, string> = { contextLength: "--ctx", kv: "--kv", ram: "--ram", threads: "--threads" };

/** A remedy of the library's with the command's options: "(contextLength: 512)" becomes "(--ctx 512)". */
export function withFlags(text: string): string {
  return text.replace(/\((\w+)(?:: (\w+))?\)/g, (all, option: string, value?: string) => {
    if (!Object.hasOwn(FLAGS, option)) return all;
    return value === undefined ? `(${FLAGS[option]})` : `(${FLAGS[option]} ${value})`;
  });
}

/** By name and not by class: errors cross threads and bundles. */
function asPiPhiError(error: unknown): PiPhiError {
  if (error instanceof Error && error.name === "PiPhiError") return error as PiPhiError;
  return new PiPhiError("E_ENGINE", error instanceof Error ? error.message : String(error));
}

/** The document of `--json` in place of a result. */
export function errorDocument(
  error: unknown,
  debug = false,
): { error: { code: string; message: string; details: ErrorDetails } } {
  const { code, message, details } = asPiPhiError(error);
  const { stack: _, ...quiet }: ErrorDetails = details;
  return { error: { code, message: withFlags(message), details: debug ? details : quiet } };
}

/** One line, or one JSON document; where the error came from only with PIPHI_DEBUG=1. Returns the exit code. */
export function reportError(
  error: unknown,
  json: boolean,
  { stdout, stderr, env }: Pick<Host, "stdout" | "stderr" | "env">,
): number {
  const { code, message, details } = asPiPhiError(error);
  const debug = env.PIPHI_DEBUG === "1";
  if (json) {
    writeJson(stdout, errorDocument(error, debug));
  } else {
    const { red } = palette(stderr, env);
    stderr.write(`${red("error:")} ${printable(withFlags(message)).replace(/\s+/g, " ").trim()} [${code}]\n`);
  }
  if (debug && error instanceof Error) stderr.write(`${details.stack ?? error.stack}\n`);
  return code === "E_USAGE" ? EXIT_USAGE : EXIT_FAILED;
}
