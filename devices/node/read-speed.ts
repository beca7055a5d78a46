/** How fast a file is read from where it lies. */

import fs from "node:fs";
import { READ_ALIGNMENT } from "../../runtime/plan/layout.ts";
import { openAhead } from "./direct.ts";

const READ_BYTES = 1 << 20;
const DEPTH = 4;

export interface ReadSpeed {
  bytesPerSecond: number;
  /** Whether the reads went past the page cache. */
  direct: boolean;
}

/**
 * Reads a file from its beginning as streaming does: direct, in large pieces, several at once, for at most `ms`. Throws
 * what reading throws.
 */
export async function readSpeed(file: string, sample: { bytes: number; ms: number }): Promise<ReadSpeed> {
  const source = openAhead(file);
  try {
    const pieces = Math.floor(Math.min(fs.statSync(file).size, sample.bytes) / READ_BYTES);
    const start = performance.now();
    let next = 0;
    let bytes = 0;
    const reader = async () => {
      const into = alignedBuffer(READ_BYTES);
      while (next < pieces && performance.now() - start < sample.ms) {
        await source.read(next++ * READ_BYTES, into);
        bytes += READ_BYTES;
      }
    };
    await Promise.all(Array.from({ length: DEPTH }, reader));
    return { bytesPerSecond: (bytes * 1000) / (performance.now() - start), direct: source.direct() };
  } finally {
    source.close();
  }
}

/** Memory that begins where direct reads want it: a WebAssembly page. */
function alignedBuffer(bytes: number): Uint8Array {
  const pages = Math.ceil(bytes / 65536);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages });
  return new Uint8Array(memory.buffer, 0, Math.floor(bytes / READ_ALIGNMENT) * READ_ALIGNMENT);
}
