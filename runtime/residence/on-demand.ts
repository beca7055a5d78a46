/**
 * Weights that do not fit, on the only thread there is: a unit is read when it is used. Nothing can be read ahead, so that one
 * slot is enough, and the rest of the memory keeps units.
 */

import type { ByteSource } from "../device.ts";
import type { Unit } from "../weights/units.ts";
import { type Stream, StreamFault, type StreamPlace } from "./stream.ts";

/** The pack file that weights are read from while the model runs, and where they begin in it. */
export interface WeightFile {
  source: ByteSource;
  dataOffset: number;
  /** Gets the error of a read that failed in a pass, where there is no reader to tell of it. */
  onFault(error: unknown): void;
}

export class StreamOnDemand implements Stream {
  readonly passingBytes: number;
  /** Nothing loses its place here: there is nobody who could read it again in time. */
  readonly returnableBytes = 0;

  constructor(
    private readonly place: StreamPlace,
    private readonly file: WeightFile,
  ) {
    const passing = place.units.filter(({ address }) => address === 0);
    this.passingBytes = passing.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  carries(index: number): boolean {
    return this.place.units[index].address === 0;
  }

  /** Reads a unit; its address. Throws StreamFault. */
  acquire(index: number): number {
    const { place, file } = this;
    const { offset, bytes } = place.units[index];
    try {
      file.source.read(file.dataOffset + offset, new Uint8Array(place.buffer, place.address, bytes));
    } catch (error) {
      file.onFault(error);
      throw new StreamFault();
    }
    return place.address;
  }

  letGo(_bytes: number, _giveBack: (unit: Unit) => boolean): number {
    return 0;
  }

  release(): void {}

  endPass(): void {}

  takeBack(): void {}

  restart(): void {}

  retry(): void {}

  close(): void {}
}
