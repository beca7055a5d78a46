/** The weights as the forward pass goes through them, and where each piece is found. */

import type { Span } from "./shape.ts";

/** A unit of weights: what one step of the forward pass reads. */
export interface Unit extends Span {
  /** Where it stays, or 0 if it is streamed. */
  address: number;
  /** Its place among the streamed units, or -1. */
  streamIndex: number;
}

/** Rows of the head that are computed in one step. */
export interface HeadPiece {
  fromGroup: number;
  toGroup: number;
}

/** A circle of buffers through which streamed units pass. */
export interface Ring {
  address: number;
  slots: number;
  slotBytes: number;
}
