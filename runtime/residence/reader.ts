/** The thread that reads streamed weights: first the units that stay, then the ring, always ahead of the team. */

import type { AheadSource, Device } from "../device.ts";
import { PiPhiError, type SerializedError } from "../errors.ts";
import { type Layout, READ_ALIGNMENT } from "../plan/layout.ts";
import { roundUp } from "../weights/shape.ts";
import { type ReadPattern, type ReadSpan, StreamFiller } from "./stream.ts";
import { streamPlace } from "./weights.ts";

/** What the reader gets to know; sent as a message. */
export interface ReaderTask {
  memory: WebAssembly.Memory;
  layout: Layout;
  /** The pack, and where the weights begin in it. */
  file: string;
  dataOffset: number;
}

export type FromReader =
  | { type: "progress"; loadedBytes: number }
  | { type: "ready"; pattern: ReadPattern; bytesPerSecond: number }
  | { type: "fault"; error: SerializedError };

/** Tried on the units that stay; the last is used where there are too few of them to try. */
const PATTERNS: readonly ReadPattern[] = [
  { readBytes: 1 << 20, depth: 1 },
  { readBytes: 1 << 20, depth: 4 },
  { readBytes: 4 << 20, depth: 1 },
  { readBytes: 4 << 20, depth: 4 },
  { readBytes: 2 << 20, depth: 4 },
];

/** The life of a reader; ends when the stream is closed. */
export async function serveReader(device: Device, task: ReaderTask, post: (message: FromReader) => void) {
  const { memory, layout, dataOffset } = task;
  const fault = (error: unknown) => post({ type: "fault", error: PiPhiError.from(error).toJSON() });
  let source: AheadSource | undefined;
  try {
    const opened = device.openAhead!(task.file);
    source = opened;
    const read: ReadSpan = (offset, address, bytes) => {
      return opened.read(dataOffset + offset, new Uint8Array(memory.buffer, address, bytes));
    };
    const { pattern, bytesPerSecond } = await readStaying(layout, read, (loadedBytes) => {
      post({ type: "progress", loadedBytes });
    });
    post({ type: "ready", pattern, bytesPerSecond });
    await new StreamFiller(streamPlace(layout, memory.buffer), read, pattern).run(fault);
  } catch (error) {
    fault(error);
  } finally {
    source?.close();
  }
}

/** Reads the vectors and the units that stay, each unit with another pattern; returns the fastest. */
export async function readStaying(layout: Layout, read: ReadSpan, onBytes: (bytes: number) => void) {
  const { shape, units, vectors } = layout;
  const pinned = units.filter(({ address }) => address > 0);
  const vectorBytes = roundUp(shape.vectors.bytes, READ_ALIGNMENT);
  await readWith(PATTERNS[0], read, { offset: shape.vectors.offset, address: vectors, bytes: vectorBytes });
  let loaded = vectorBytes;
  let fastest = { pattern: PATTERNS[PATTERNS.length - 1], bytesPerSecond: 0 };
  for (const [i, unit] of pinned.entries()) {
    const pattern = i < PATTERNS.length ? PATTERNS[i] : fastest.pattern;
    const start = performance.now();
    await readWith(pattern, read, unit);
    const bytesPerSecond = (unit.bytes * 1000) / Math.max(0.001, performance.now() - start);
    if (i < PATTERNS.length && bytesPerSecond > fastest.bytesPerSecond) fastest = { pattern, bytesPerSecond };
    onBytes((loaded += unit.bytes));
  }
  return fastest;
}

async function readWith(
  { readBytes, depth }: ReadPattern,
  read: ReadSpan,
  { offset, address, bytes }: { offset: number; address: number; bytes: number },
): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < bytes) {
      const at = next;
      next += readBytes;
      await read(offset + at, address + at, Math.min(readBytes, bytes - at));
    }
  };
  await Promise.all(Array.from({ length: depth }, worker));
}
