/**
 * How fast a layout will decode, before anything is loaded: a prediction from what a machine can read and compute.
 *
 *   work     all weights once from memory (streamed ones twice: the storage writes them there first) and the cache of
 *            PREDICTED_POSITIONS positions, or the arithmetic, whichever takes longer
 *   storage  the streamed weights once from storage. The reader works while the team computes, but during the units that
 *            stay it can only fill the ring
 *
 *   seconds a token = fixed + max(storage, work on units that stay + max(storage - filling the ring, work on streamed units))
 */

import type { MachineSpeed } from "../device.ts";
import { groupsOf, type Linear, matrixBytes } from "../weights/shape.ts";
import { TILE_ROWS, type TileKind } from "../weights/tiles.ts";
import type { Layout } from "./layout.ts";

/** Share of the memory's bandwidth that decode has been seen to reach: the rest goes to what lies between products. */
const REACHED_SHARE = 0.85;
/** Positions in the cache at the token that is predicted: a short prompt and its answer. */
const PREDICTED_POSITIONS = 256;

/** Of one thread for each token, whatever the model: sampling, text, messages between threads. */
const FIXED_INSTRUCTIONS = 6e6;

/** Tokens a second of one sequence, without guesses; finite and positive. */
export function predictTokensPerSecond(layout: Layout, speed: MachineSpeed): number {
  const threads = Math.min(layout.threads, speed.cores);
  const streamed = layout.streamedBytesPerToken;
  const read = matrixBytes(layout.shape) + streamed + cacheBytes(layout);
  const bandwidth = REACHED_SHARE * Math.min(threads * speed.memoryBytes.one, speed.memoryBytes.all);
  const work = Math.max(read / bandwidth, instructionsOf(layout, speed) / (threads * speed.instructions));
  const fixed = FIXED_INSTRUCTIONS / speed.instructions;
  if (streamed === 0) return 1 / (fixed + work);
  const share = streamed / layout.units.reduce((sum, { bytes }) => sum + bytes, 0);
  const storageBytes = speed.storageBytes ?? Number.MIN_VALUE;
  const storage = streamed / storageBytes;
  const ahead = (layout.ring.slots * layout.ring.slotBytes) / storageBytes;
  return 1 / (fixed + Math.max(storage, work * (1 - share) + Math.max(storage - ahead, work * share)));
}

/** Bytes of keys and values that a token reads. */
function cacheBytes({ kvLayerBytes, config, cachePositions }: Layout): number {
  return (kvLayerBytes * config.layers * Math.min(PREDICTED_POSITIONS, cachePositions)) / cachePositions;
}

function instructionsOf({ shape }: Layout, { instructionsPerWeight }: MachineSpeed): number {
  const each = (kind: TileKind) => (kind === "q4" || kind === "q4m" ? "int4" : "int8");
  const cost = (linear: Linear) => {
    const rows = groupsOf(linear) * TILE_ROWS;
    return rows * linear.k * instructionsPerWeight[each(linear.parts[0].kind)];
  };
  return shape.layers.reduce(
    (sum, { qkv, attnOutput, ffnUp, ffnDown }) => sum + cost(qkv) + cost(attnOutput) + cost(ffnUp) + cost(ffnDown),
    cost(shape.output),
  );
}
