/** Bytes that users hand over as text: UTF-8, or UTF-16 with its mark, as Windows' shells write it. */

import { readFileSync } from "node:fs";
import type { Readable } from "node:stream";
import { PiPhiError } from "../runtime/errors.ts";

const MARKS: readonly [encoding: string, mark: readonly number[]][] = [
  ["utf-8", [0xef, 0xbb, 0xbf]],
  ["utf-16le", [0xff, 0xfe]],
  ["utf-16be", [0xfe, 0xff]],
];
const LONGEST_MARK = 3;

/**
 * A decoder for bytes that begin like these; it leaves the mark out.
 * @throws PiPhiError E_USAGE for what looks like UTF-16 without a mark
 */
function decoderFor(start: Uint8Array, what: string): TextDecoder {
  const [encoding = "utf-8"] = MARKS.find(([, mark]) => mark.every((byte, i) => start[i] === byte)) ?? [];
  if (encoding === "utf-8" && start.length >= 2 && (start[0] === 0) !== (start[1] === 0)) {
    throw new PiPhiError("E_USAGE", `${what} looks like UTF-16 without its mark. Save or send it as UTF-8.`);
  }
  return new TextDecoder(encoding);
}

/** Throws E_USAGE for what looks like UTF-16 without a mark. */
export function decodeText(bytes: Uint8Array, what: string): string {
  return decoderFor(bytes, what).decode(bytes);
}

/** The text of a file that a flag names; throws E_NOT_FOUND and E_USAGE. */
export function readTextFile(file: string, flag: string): string {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    const message = `The file ${file} of ${flag} cannot be read (${(error as Error).message}). Check its path.`;
    throw new PiPhiError("E_NOT_FOUND", message, { file });
  }
  return decodeText(bytes, `The file ${file} of ${flag}`);
}

/**
 * The lines of a stream that ends, as they come. A line ends at \n, \r\n or \r and nowhere else: U+2028 is part of a text, other than
 * for Node's readline.
 */
export async function* linesOf(stream: Readable): AsyncGenerator<string> {
  let decoder: TextDecoder | undefined;
  let start = new Uint8Array();
  let rest = "";
  const complete = function* (text: string) {
    rest += text;
    for (let end = /\r\n|\n|\r(?!$)/.exec(rest); end; end = /\r\n|\n|\r(?!$)/.exec(rest)) {
      yield rest.slice(0, end.index);
      rest = rest.slice(end.index + end[0].length);
    }
  };
  const decode = (chunk: Uint8Array, last: boolean): string => {
    if (decoder) return decoder.decode(chunk, { stream: !last });
    start = Buffer.concat([start, chunk]);
    if (!last && start.length < LONGEST_MARK) return "";
    decoder = decoderFor(start, "Standard input");
    return decoder.decode(start, { stream: !last });
  };
  for await (const chunk of stream) {
    yield* complete(decode(typeof chunk === "string" ? Buffer.from(chunk) : (chunk as Uint8Array), false));
  }
  yield* complete(decode(new Uint8Array(), true));
  if (rest !== "") yield rest.replace(/\r$/, "");
}
