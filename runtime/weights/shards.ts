/**
 * Models split over several files, as llama.cpp's gguf-split writes them: `name-00001-of-00003.gguf` holds all metadata,
 * every part its own tensors and split.no (from 0), split.count and split.tensors.count (of all parts).
 */

import type { ByteSource } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import { damaged, quote } from "./faults.ts";
import { type GgufFile, type GgufTensor, type Inspect, MAGIC, readGguf } from "./gguf.ts";
import type { Metadata } from "./metadata.ts";

/** The parts of a model, or its only file, as one. */
export interface Gguf {
  metadata: Metadata;
  tensors: GgufTensor[];
  /** In the parts' order. */
  sources: ByteSource[];
}

const PART_NAME = /-(\d{5})-of-(\d{5})(\.gguf)$/i;

/**
 * Opens the file `name` and, if it is any one of several parts, all the others beside it. `inspect` sees the metadata
 * of the model. Throws what `open` and readGguf throw, E_NOT_FOUND for a missing part and E_FILE_CORRUPT for parts
 * that do not belong together; then everything opened is closed again.
 */
export function openShards(open: (name: string) => ByteSource, name: string, inspect: Inspect = () => {}): Gguf {
  const opened: ByteSource[] = [];
  const read = (part: string): GgufFile => {
    const source = open(part);
    opened.push(source);
    return readGguf(source, (metadata) => {
      if ((metadata.optionalInteger("split.no") ?? 0) === 0) inspect(metadata);
    });
  };
  try {
    const named = read(name);
    const count = named.metadata.optionalInteger("split.count") ?? 1;
    const files = count > 1 ? readParts(named, name, count, read) : [named];
    const tensors = files.flatMap((file) => file.tensors);
    if (files.length > 1) checkTensors(files[0].metadata, tensors);
    return { metadata: files[0].metadata, tensors, sources: files.map((file) => file.source) };
  } catch (error) {
    for (const source of opened) source.close();
    throw error;
  }
}

/** All parts in order; `named` is one of them and was read already. */
function readParts(named: GgufFile, name: string, count: number, read: (part: string) => GgufFile): GgufFile[] {
  refuseJoined(named, count);
  const match = PART_NAME.exec(name);
  if (!match || Number(match[2]) !== count) {
    throw new PiPhiError(
      "E_NOT_FOUND",
      `${name} is one of ${count} parts, but its name does not say where the others are. Name the parts …-00001-of-${digits(count)}.gguf and so on.`,
      { file: name, parts: count },
    );
  }
  const files: GgufFile[] = [];
  for (let i = 0; i < count; i++) {
    const part = name.replace(PART_NAME, `-${digits(i + 1)}-of-${digits(count)}${match[3]}`);
    const file = part === name ? named : readPart(part, count, read);
    const { metadata } = file;
    if (metadata.optionalInteger("split.no") !== i || metadata.optionalInteger("split.count") !== count) {
      throw damaged(part, `it does not state that it is part ${i + 1} of ${count}`, { part: i + 1, parts: count });
    }
    files.push(file);
  }
  return files;
}

/** Throws E_FILE_CORRUPT where another part follows in the same file: `cat` joins bytes, and not parts. */
function refuseJoined({ source, end, alignment }: GgufFile, count: number): void {
  const magic = new Uint32Array(1);
  for (const at of new Set([end, Math.ceil(end / alignment) * alignment])) {
    if (at === 0 || at + 4 > source.size) continue;
    source.read(at, new Uint8Array(magic.buffer));
    if (magic[0] !== MAGIC) continue;
    throw new PiPhiError(
      "E_FILE_CORRUPT",
      `${source.name} is ${count} parts of a model, one after another in one file, and each is a GGUF file of its own. Keep them as files, or join them with llama-gguf-split --merge.`,
      { file: source.name, parts: count },
    );
  }
}

function readPart(part: string, count: number, read: (part: string) => GgufFile): GgufFile {
  try {
    return read(part);
  } catch (error) {
    if (!(error instanceof PiPhiError) || error.code !== "E_NOT_FOUND" || "target" in error.details) throw error;
    const message = `${part} is missing. The model has ${count} parts: download it into the folder of the others.`;
    throw new PiPhiError("E_NOT_FOUND", message, { file: part, parts: count });
  }
}

function checkTensors(metadata: Metadata, tensors: readonly GgufTensor[]): void {
  const expected = metadata.optionalInteger("split.tensors.count") ?? tensors.length;
  if (tensors.length !== expected) {
    throw damaged(metadata.file, `its parts hold ${tensors.length} tensors instead of ${expected}`, {
      expected,
      found: tensors.length,
    });
  }
  const names = new Set<string>();
  for (const { name, source } of tensors) {
    if (names.has(name))
      throw damaged(source.name, `the tensor ${quote(name)} is in another part, too`, { tensor: name });
    names.add(name);
  }
}

function digits(part: number): string {
  return String(part).padStart(5, "0");
}
