/** Compares the tensors of a pack with their checksums. */

import { PiPhiError } from "../errors.ts";
import type { Pack } from "./pack.ts";
import { HASHED_BYTES, TensorHash } from "./tensor-hash.ts";

/** Reads all of a pack; throws E_FILE_CORRUPT with the tensor's name, and what reading throws. */
export async function verifyPack(
  pack: Pack,
  onProgress: (readBytes: number, totalBytes: number) => void,
): Promise<void> {
  const { tensors, checksums, source, dataOffset } = pack;
  const totalBytes = tensors.reduce((sum, { span }) => sum + span.bytes, 0);
  const buffer = new Uint8Array(HASHED_BYTES);
  let readBytes = 0;
  for (const { name, span } of tensors) {
    const hash = new TensorHash();
    for (let at = 0; at < span.bytes; at += HASHED_BYTES) {
      const part = buffer.subarray(0, Math.min(HASHED_BYTES, span.bytes - at));
      source.read(dataOffset + span.offset + at, part);
      await hash.push(part);
      onProgress((readBytes += part.length), totalBytes);
    }
    if ((await hash.digest()) === checksums.get(name)) continue;
    throw new PiPhiError(
      "E_FILE_CORRUPT",
      `${source.name} is damaged: the tensor ${name} does not match its checksum. Delete the file and pack the model again.`,
      { file: source.name, tensor: name },
    );
  }
}
