/**
 * What to give up while the model runs: memory when the system runs short of it, before it ends the process, and threads
 * when the processor is too hot for all of them. Pure: what was seen in, what to do out; steward.ts does it.
 */

import type { Pressure } from "../device.ts";

/** What the policy remembers from one sample to the next. */
export interface PressureState {
  /** Threads that take part. */
  threads: number;
  availableBytes: number;
  ownBytes: number;
  /** When memory was short last, when the processor began to be too hot or cool, and when the threads last changed; ms. */
  shortMs: number;
  hotMs: number | undefined;
  coolMs: number | undefined;
  changedMs: number;
}

/** What there is to give. */
export interface Holdings {
  threads: number;
  /** Of the unit that could return to memory; 0 if there is none. */
  returnableBytes: number;
}

export interface Response {
  state: PressureState;
  /** Bytes of memory to be given back now; 0 = memory is not short. */
  letGoBytes: number;
  /** Whether the unit may return. */
  takeBack: boolean;
}

const MIB = 1 << 20;
/** Less than this is short, and then this much is made free. Below it Linux ends processes, or every page that is read costs another. */
const SHORT_BYTES = 24 * MIB;
const FREE_BYTES = 64 * MIB;
/** Something waits for memory in more than this share of the time, and there is not plenty: that is short, too. */
const STALLED_SHARE = 0.2;
const PLENTY_BYTES = 128 * MIB;
/** Of what others take between two samples, this much may be taken again until the next. */
const MOST_TAKEN_BYTES = 256 * MIB;
/** What was given back returns after so long without need. */
const CALM_MS = 30_000;
/** A thread goes after so long of heat, and after so long again the next; they return more slowly. */
const HOT_MS = 3_000;
const COOL_MS = 20_000;

export function initialState(threads: number): PressureState {
  const never = Number.NEGATIVE_INFINITY;
  return {
    threads,
    availableBytes: Number.POSITIVE_INFINITY,
    ownBytes: 0,
    shortMs: never,
    hotMs: undefined,
    coolMs: undefined,
    changedMs: never,
  };
}

/** The response to a sample taken at `nowMs`. */
export function respond(before: PressureState, sample: Pressure, holdings: Holdings, nowMs: number): Response {
  const { availableBytes = Number.POSITIVE_INFINITY, ownBytes = 0 } = sample;
  const letGoBytes = bytesToLetGo(before, sample);
  const shortMs = letGoBytes > 0 ? nowMs : before.shortMs;
  const room = availableBytes - holdings.returnableBytes;
  const calm = nowMs - shortMs >= CALM_MS && room >= 2 * FREE_BYTES && room < Number.POSITIVE_INFINITY;
  const state = {
    ...before,
    ...adaptThreads(before, sample, holdings.threads, nowMs),
    availableBytes,
    ownBytes,
    shortMs,
  };
  return { state, letGoBytes, takeBack: holdings.returnableBytes > 0 && calm };
}

/** Memory that others take goes on being taken: as much again, within reason, may be gone before the next sample. */
function bytesToLetGo(before: PressureState, { availableBytes, ownBytes = 0, stalledShare = 0 }: Pressure): number {
  if (availableBytes === undefined) return 0;
  const less = Number.isFinite(before.availableBytes) ? before.availableBytes - availableBytes : 0;
  const taken = Math.max(0, less - Math.max(0, ownBytes - before.ownBytes));
  const expected = availableBytes - Math.min(taken, MOST_TAKEN_BYTES);
  const stalled = stalledShare > STALLED_SHARE && availableBytes < PLENTY_BYTES;
  if (expected >= SHORT_BYTES && !stalled) return 0;
  return Math.max(SHORT_BYTES, FREE_BYTES - expected);
}

function adaptThreads(
  { threads, hotMs, coolMs, changedMs }: PressureState,
  { throttled }: Pressure,
  most: number,
  nowMs: number,
): Pick<PressureState, "threads" | "hotMs" | "coolMs" | "changedMs"> {
  const since = throttled === undefined ? (coolMs ?? nowMs) : (hotMs ?? nowMs);
  const seen = throttled === undefined ? { hotMs: undefined, coolMs: since } : { hotMs: since, coolMs: undefined };
  const [patienceMs, step] = throttled === undefined ? [COOL_MS, 1] : [HOT_MS, -1];
  const next = Math.min(most, Math.max(1, threads + step));
  if (next === threads || nowMs - Math.max(since, changedMs) < patienceMs) return { ...seen, threads, changedMs };
  return { ...seen, threads: next, changedMs: nowMs };
}
