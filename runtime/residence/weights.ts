/** Where the forward pass finds its weights: one thread's view of the units that stay and of those that stream by. */

import type { Layout } from "../plan/layout.ts";
import type { Unit } from "../weights/units.ts";
import { StreamOnDemand, type WeightFile } from "./on-demand.ts";
import { type Stream, StreamConsumer, type StreamPlace } from "./stream.ts";

/** Through which memory the stream of a layout's weights passes. */
export function streamPlace({ stream, units, ring }: Layout, buffer: ArrayBufferLike): StreamPlace {
  return { buffer, words: stream, units, ...ring };
}

export class Weights {
  private readonly stream: Stream | undefined;

  constructor(
    private readonly layout: Layout,
    private readonly buffer: ArrayBufferLike,
    private readonly leads: boolean,
    /** Leader, where weights are streamed: the embedding's rows come from here. */
    private readonly file?: WeightFile,
  ) {
    if (layout.mode !== "streamed") return;
    const place = streamPlace(layout, buffer);
    // Without shared memory there is nobody to read ahead.
    if (buffer instanceof ArrayBuffer) this.stream = new StreamOnDemand(place, file!);
    else this.stream = new StreamConsumer(place);
  }

  /** Whether a unit comes from storage in this pass. */
  streams(index: number): boolean {
    return this.stream?.carries(index) === true;
  }

  /**
   * Waits for a unit; returns the base to which the offsets of the matrices in it are to be added. Throws StreamFault.
   */
  acquire(index: number): number {
    const { address, offset } = this.layout.units[index];
    return (this.streams(index) ? this.stream!.acquire(index) : address) - offset;
  }

  /** The team is through with a unit. */
  release(index: number): void {
    if (this.leads && this.streams(index)) this.stream?.release(index);
  }

  /** A pass has used (or released) all units. */
  endPass(): void {
    if (this.leads) this.stream?.endPass();
  }

  /** Leader: a pass was cut short. */
  restart(): void {
    this.stream?.restart();
  }

  /** Leader, before an answer: what failed to be read ahead is tried again. */
  retry(): void {
    this.stream?.retry();
  }

  /** Weight bytes that a pass takes from storage now. */
  get streamedBytes(): number {
    return this.stream?.passingBytes ?? 0;
  }

  /** Leader, between passes: see StreamConsumer; there is nothing to give where nothing streams. */
  letGo(bytes: number, giveBack: (unit: Unit) => boolean): number {
    return this.stream?.letGo(bytes, giveBack) ?? 0;
  }

  /** Leader: bytes of the next unit that could have its place again. */
  get returnableBytes(): number {
    return this.stream?.returnableBytes ?? 0;
  }

  /** Leader, between passes: that unit returns with the next pass. */
  takeBack(): void {
    this.stream?.takeBack();
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
