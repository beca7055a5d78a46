/** Standard input, a line at a time, as it comes. */

import { addAbortSignal, type Readable } from "node:stream";
import { PiPhiError } from "../runtime/errors.ts";
import type { Context } from "./context.ts";

/** A line longer than this is none. */
const LONGEST_BYTES = 2 ** 20;

/** Without their line breaks (\n or \r\n), and without a mark of UTF-8 at the beginning; throws E_USAGE for an endless line. */
export async function* linesOf({ stdin, signal }: Pick<Context, "stdin" | "signal">): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of addAbortSignal(signal, stdin as Readable)) {
    rest += typeof chunk === "string" ? chunk : decoder.decode(chunk as Uint8Array, { stream: true });
    const lines = rest.split("\n");
    rest = lines.pop()!;
    for (const line of lines) yield line.replace(/\r$/, "");
    if (rest.length > LONGEST_BYTES) {
      const message = `A line is longer than ${LONGEST_BYTES} bytes. End each text with a line break.`;
      throw new PiPhiError("E_USAGE", message, { limitBytes: LONGEST_BYTES });
    }
  }
  rest += decoder.decode();
  if (rest !== "") yield rest;
}
