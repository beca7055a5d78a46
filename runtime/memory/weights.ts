/** Where the forward pass finds its weights: one thread's view of the units that stay and of those that stream by. */

import type { ByteSource } from "../device.ts";
import type { Layout } from "./layout.ts";
import { StreamConsumer, type StreamPlace } from "./stream.ts";

/** The pack file that weights are read from while the model runs, and where they begin in it. */
export interface WeightFile {
  source: ByteSource;
  dataOffset: number;
}

/** What the stream of a layout's weights carries, and through which memory. */
export function streamPlace(layout: Layout, buffer: ArrayBufferLike): StreamPlace {
  const units = layout.units.filter(({ streamIndex }) => streamIndex >= 0);
  return { buffer, words: layout.stream, units, ...layout.ring };
}

export class Weights {
  private readonly stream: StreamConsumer | undefined;

  constructor(
    private readonly layout: Layout,
    private readonly buffer: ArrayBufferLike,
    private readonly leads: boolean,
    /** Leader, where weights are streamed: the embedding's rows come from here. */
    private readonly file?: WeightFile,
  ) {
    if (layout.mode === "streamed") this.stream = new StreamConsumer(streamPlace(layout, buffer));
  }

  /**
   * Waits for a unit; returns the base to which the offsets of the matrices in it are to be added. Throws StreamFault.
   */
  acquire(index: number): number {
    const unit = this.layout.units[index];
    const address = unit.address > 0 || !this.stream ? unit.address : this.stream.acquire(unit);
    return address - unit.offset;
  }

  /** The team is through with a unit. */
  release(index: number): void {
    const unit = this.layout.units[index];
    if (this.leads && unit.streamIndex >= 0) this.stream?.release(unit);
  }

  /** A pass has used (or released) all units. */
  endPass(): void {
    if (this.leads) this.stream?.endPass();
  }

  /** Leader: a pass was cut short. */
  restart(): void {
    this.stream?.restart();
  }

  /** Leader: ends the stream's reader. */
  close(): void {
    this.stream?.close();
  }

  /** Leader: reads a batch's rows of the embedding where they do not stay in memory; throws E_FILE_READ. */
  fetchEmbedding(ids: readonly number[]): void {
    if (!this.file || this.layout.mode !== "streamed") return;
    const { embedding, shape } = this.layout;
    const { offset, rowBytes } = shape.embedding;
    const { source, dataOffset } = this.file;
    ids.forEach((id, t) => {
      source.read(dataOffset + offset + id * rowBytes, new Uint8Array(this.buffer, embedding + t * rowBytes, rowBytes));
    });
  }
}
