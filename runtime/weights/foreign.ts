/** What a file is that should have been a GGUF. */

import type { ByteSource } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import { cutPiece, isCutPiece } from "./faults.ts";

const SNIFF_BYTES = 256;
const ANOTHER_FILE = "Use the model's GGUF file";

interface Kind {
  what: string;
  remedy: string;
  matches(head: Head): boolean;
}

/** The first bytes of a file, also as Latin-1 text. */
interface Head {
  bytes: Uint8Array;
  text: string;
  fileBytes: number;
}

const startsWith = (...starts: string[]) => {
  return ({ text }: Head) => starts.some((start) => text.startsWith(start));
};

const KINDS: Kind[] = [
  {
    what: "a Git LFS pointer, not the file it stands for",
    remedy: "Run `git lfs pull`, or download the file itself",
    matches: startsWith("version https://git-lfs.github.com/spec"),
  },
  {
    what: "an HTML page that was saved instead of the file",
    remedy: "Use the download link of the file, not the address of its page",
    matches: ({ text }) => /^\s*<(!doctype html|html|head)/i.test(text.replace(/^\xef\xbb\xbf/, "")),
  },
  {
    what: "a safetensors file",
    remedy: "Convert it with llama.cpp's convert_hf_to_gguf.py, or download the model's GGUF file",
    matches: isSafetensors,
  },
  {
    what: "a zip archive, perhaps a PyTorch checkpoint",
    remedy: `Unpack it if a GGUF is inside. ${ANOTHER_FILE}`,
    matches: startsWith("PK\x03\x04"),
  },
  { what: "gzip-compressed", remedy: "Unpack it with gunzip", matches: startsWith("\x1f\x8b") },
  { what: "a PyTorch checkpoint", remedy: ANOTHER_FILE, matches: startsWith("\x80\x02", "\x80\x04") },
  {
    what: "of llama.cpp's format from before GGUF (August 2023)",
    remedy: "Download a newer conversion of the model",
    matches: startsWith("lmgg", "fmgg", "tjgg", "algg"),
  },
  {
    what: "JSON text, perhaps the error message of a server",
    remedy: ANOTHER_FILE,
    matches: ({ text }) => /^\s*[{[]\s*["{[}\]]/.test(text),
  },
  {
    what: "filled with zeros, as interrupted downloads are",
    remedy: "Download it again",
    matches: ({ bytes }) => bytes.every((byte) => byte === 0),
  },
];

/** E_NOT_GGUF for a file without GGUF's magic, with what it seems to be; E_FILE_TRUNCATED for a piece of a file. */
export function notGguf(source: ByteSource): PiPhiError {
  const { name: file, size } = source;
  if (size === 0) return new PiPhiError("E_NOT_GGUF", `${file} is empty. Download it again.`, { file, size });
  if (isCutPiece(file)) return cutPiece(file, size);
  const bytes = new Uint8Array(Math.min(SNIFF_BYTES, size));
  source.read(0, bytes);
  const head = { bytes, text: String.fromCharCode(...bytes), fileBytes: size };
  const kind = KINDS.find((candidate) => candidate.matches(head));
  const what = kind ? `it is ${kind.what}` : "it does not begin with the letters GGUF";
  const remedy = kind?.remedy ?? ANOTHER_FILE;
  return new PiPhiError("E_NOT_GGUF", `${file} is not a GGUF file: ${what}. ${remedy}.`, { file, size });
}

/** A u64 length of a JSON object, then the object. */
function isSafetensors({ bytes, text, fileBytes }: Head): boolean {
  if (bytes.length < 10) return false;
  const view = new DataView(bytes.buffer);
  const headerBytes = view.getUint32(0, true) + view.getUint32(4, true) * 2 ** 32;
  return headerBytes <= fileBytes - 8 && /^\{\s*["}]/.test(text.slice(8));
}
