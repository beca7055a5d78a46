/** Files on servers: their addresses, and what answers say of them. */

import { PiPhiError } from "../../runtime/errors.ts";
import { notGguf } from "../../runtime/weights/foreign.ts";

const PART_NAME = /-\d{5}-of-(\d{5})\.gguf$/i;

/** A file to download, and what messages call it: its address without query, which may hold a secret. */
export interface Remote {
  url: string;
  name: string;
}

/** The file at `url` first, then the other files of the split model whose part it is by its name. */
export function remotesOf(url: URL): Remote[] {
  const [ending, total] = PART_NAME.exec(url.pathname) ?? ["", "1"];
  const count = Number(total);
  const digits = (part: number) => String(part).padStart(5, "0");
  const asked = remoteOf(url);
  if (count < 2) return [asked];
  const parts = Array.from({ length: count }, (_, i) => {
    const part = new URL(url);
    part.pathname = `${url.pathname.slice(0, -ending.length)}-${digits(i + 1)}-of-${digits(count)}${ending.slice(-5)}`;
    return remoteOf(part);
  });
  return [asked, ...parts.filter(({ name }) => name !== asked.name)];
}

function remoteOf(url: URL): Remote {
  const plain = new URL(url);
  plain.search = plain.hash = "";
  return { url: url.href, name: plain.href };
}

/** Bytes of the body, 0 where that is not known: the header counts the bytes of a compressed transfer. */
export function contentLength({ headers }: Response): number {
  return headers.has("content-encoding") ? 0 : Number(headers.get("content-length") ?? 0);
}

/** An answer that is no file. */
export function refusal(name: string, status: number): PiPhiError {
  const details = { file: name, status };
  if (status === 404 || status === 410) {
    return new PiPhiError(
      "E_NOT_FOUND",
      `There is no file ${name} (HTTP ${status}). Check the address, or leave the model out to use the embedded one.`,
      details,
    );
  }
  const message = `The server refused ${name} (HTTP ${status}). Check that it can be downloaded without signing in, or try again later.`;
  return new PiPhiError("E_FILE_READ", message, details);
}

/** Whether a file can be a GGUF whose first bytes these are. */
export function isGguf(chunk: Uint8Array): boolean {
  return "GGUF".startsWith(String.fromCharCode(...chunk.subarray(0, 4)));
}

/** E_NOT_GGUF, before all of a wrong file is downloaded. */
export function foreign(name: string, head: Uint8Array, fileBytes: number): PiPhiError {
  const read = (offset: number, into: Uint8Array) => into.set(head.subarray(offset, offset + into.length));
  return notGguf({ name, size: Math.max(head.length, fileBytes), read, close: () => {} });
}
