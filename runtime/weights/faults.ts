/** The errors that every reader of model files shares, and how text from a file may appear in them. */

import { type ErrorDetails, PiPhiError } from "../errors.ts";

const QUOTED_LENGTH = 80;

/** Text from a file, fit for a message: short, in quotes, and without characters that steer a terminal. */
export function quote(text: string): string {
  return `"${printable(text, QUOTED_LENGTH)}"`;
}

/** `text` without control and bidirectional formatting characters, cut to `length` UTF-16 units. */
export function printable(text: string, length: number): string {
  const cut = text.slice(0, length).replace(/[\p{Cc}\p{Cf}\p{Cs}\u2028\u2029]/gu, "\ufffd");
  return text.length > length ? `${cut}…` : cut;
}

/** E_FILE_CORRUPT: the file contradicts itself. `what` completes "is damaged:". */
export function damaged(
  file: string,
  what: string,
  details: ErrorDetails = {},
  remedy = "Download or convert it again.",
): PiPhiError {
  return new PiPhiError("E_FILE_CORRUPT", `${file} is damaged: ${what}. ${remedy}`, { file, ...details });
}

/** E_FILE_TRUNCATED: the file has `size` bytes, but what it promises needs `needed`. */
export function truncated(file: string, size: number, needed: number, remedy = "Download it again."): PiPhiError {
  const message = `${file} is incomplete: it has ${size} bytes, but at least ${needed} are needed. ${remedy}`;
  return new PiPhiError("E_FILE_TRUNCATED", message, { file, size, needed });
}
