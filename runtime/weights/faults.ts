/** The errors that every reader of model files shares, and how text from a file may appear in them. */

import type { ByteSource } from "../device.ts";
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

/** Throws E_PACK_CHANGED where a file that is being read is not what it was when it was opened. */
export function refuseChanged(sources: readonly ByteSource[]): void {
  const changed = sources.find((source) => source.unchanged?.() === false);
  if (!changed) return;
  throw new PiPhiError(
    "E_PACK_CHANGED",
    `${changed.name} was changed while it was in use. Load the model again. To replace a model, rename the new file over the old one.`,
    { file: changed.name },
  );
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

/** How files are cut into pieces for a server that takes no larger ones: `.part1of2`, `.part-a`, `-split-b`, `.gguf.001`. */
const CUT_PIECE = /(\.part[-_]?(\d+(of\d+)?|[a-z]{1,2})|[-.]split[-_]?[a-z]{1,2}|\.gguf\.\d{1,3})$/i;
const JOIN_PIECES =
  "Join all pieces in their order into one file (cat on Linux and macOS, copy /b on Windows), and give that one.";

/** Whether a file's name says that it is a piece of a larger file, which is no GGUF by itself. */
export function isCutPiece(file: string): boolean {
  return CUT_PIECE.test(file);
}

/** E_FILE_TRUNCATED: the file is a piece of another one, by its name. */
export function cutPiece(file: string, size: number): PiPhiError {
  const message = `${file} is a piece of a file that was cut into several. ${JOIN_PIECES}`;
  return new PiPhiError("E_FILE_TRUNCATED", message, { file, size });
}

/** E_FILE_TRUNCATED: the file has `size` bytes, but what it promises needs `needed`. */
export function truncated(file: string, size: number, needed: number, remedy = "Download it again."): PiPhiError {
  if (isCutPiece(file)) return cutPiece(file, size);
  const message = `${file} is incomplete: it has ${size} bytes, but at least ${needed} are needed. ${remedy}`;
  return new PiPhiError("E_FILE_TRUNCATED", message, { file, size, needed });
}
