/**
 * Walks through a network, byte by byte. A place holds all ways in which the bytes so far can be read: states, each with the
 * calls it has to return from. Places are made when they are reached and remembered, so that going on is a look-up.
 */

import type { Network } from "./network.ts";

/** Where a call goes on when its rule has ended; shared by all that are in the same calls. */
interface Frame {
  readonly id: number;
  readonly state: number;
  readonly parent: Frame | undefined;
  /** Frames on top of this one, by their state. */
  readonly above: Map<number, Frame>;
}

/** Made by a Walk only. */
export interface Place {
  readonly states: readonly number[];
  readonly frames: readonly (Frame | undefined)[];
  /** Whether an answer may end here. */
  readonly accepts: boolean;
  /** Whether a byte may follow. */
  readonly continues: boolean;
  /** The places after each byte, as far as they are known; null where it cannot follow. */
  readonly next: (Place | null | undefined)[];
  readonly generation: number;
}

/** States that take bytes, calls as pairs (rule, to), and whether the rule's end is among what is reached. */
interface Reach {
  taking: number[];
  calls: number[];
  ends: boolean;
}

/** Places that are remembered, each with up to 2 KB of what follows. */
const MOST_PLACES = 8192;

export class Walk {
  readonly start: Place;
  private places = new Map<string, Place>();
  private above = new Map<number, Frame>();
  private frames = 0;
  private generation = 0;
  private readonly lasts: ReadonlySet<number>;
  private readonly reaches: Reach[] = [];

  constructor(private readonly network: Network) {
    this.lasts = new Set(network.lasts);
    this.start = this.placeOf([[network.firsts[0], undefined]])!;
  }

  /** The place after a byte; undefined where it cannot follow. */
  step(place: Place, byte: number): Place | undefined {
    const known = place.next[byte];
    if (known !== undefined && place.generation === this.generation) return known ?? undefined;
    const { states } = this.network;
    const heads: [number, Frame | undefined][] = [];
    place.states.forEach((state, i) => {
      const { bytes } = states[state];
      for (let edge = 0; edge < bytes.length; edge += 3) {
        if (byte >= bytes[edge] && byte <= bytes[edge + 1]) heads.push([bytes[edge + 2], place.frames[i]]);
      }
    });
    const next = heads.length === 0 ? undefined : this.placeOf(heads);
    if (place.generation === this.generation) place.next[byte] = next ?? null;
    return next;
  }

  /** The only byte that can follow; undefined where there are several, or the answer may end. */
  onlyByte({ states, accepts }: Place): number | undefined {
    if (accepts) return undefined;
    let only: number | undefined;
    for (const state of states) {
      const { bytes } = this.network.states[state];
      for (let edge = 0; edge < bytes.length; edge += 3) {
        if (bytes[edge] !== bytes[edge + 1] || (only !== undefined && only !== bytes[edge])) return undefined;
        only = bytes[edge];
      }
    }
    return only;
  }

  /** What can be reached from some states without a byte. */
  private placeOf(heads: [number, Frame | undefined][]): Place {
    const { firsts } = this.network;
    const states: number[] = [];
    const frames: (Frame | undefined)[] = [];
    const keys: number[] = [];
    const seen = new Set<number>();
    let accepts = false;
    for (let head = heads.pop(); head; head = heads.pop()) {
      const [from, frame] = head;
      const { taking, calls, ends } = this.reachOf(from);
      for (const state of taking) {
        const key = keyOf(state, frame);
        if (seen.has(key)) continue;
        seen.add(key);
        states.push(state);
        frames.push(frame);
        keys.push(key);
      }
      for (let i = 0; i < calls.length; i += 2) {
        const called = this.frameOf(calls[i + 1], frame);
        const first = firsts[calls[i]];
        const key = -keyOf(first, called);
        if (seen.has(key)) continue;
        seen.add(key);
        heads.push([first, called]);
      }
      if (!ends) continue;
      if (frame) heads.push([frame.state, frame.parent]);
      else accepts = true;
    }
    return this.remember(keys, states, frames, accepts);
  }

  private remember(keys: number[], states: number[], frames: (Frame | undefined)[], accepts: boolean): Place {
    const key = `${keys.length === 1 ? keys[0] : keys.sort((a, b) => a - b).join()}${accepts ? "!" : ""}`;
    const known = this.places.get(key);
    if (known) return known;
    if (this.places.size >= MOST_PLACES) this.forget();
    const { generation } = this;
    const place = { states, frames, accepts, continues: states.length > 0, next: [], generation };
    this.places.set(key, place);
    return place;
  }

  /** Where a state leads within its rule without a byte. */
  private reachOf(from: number): Reach {
    const known = this.reaches[from];
    if (known) return known;
    const { states } = this.network;
    const seen = new Set([from]);
    const reach: Reach = { taking: [], calls: [], ends: false };
    for (const state of seen) {
      const { bytes, empty, calls } = states[state];
      for (const to of empty) seen.add(to);
      reach.calls.push(...calls);
      if (bytes.length > 0) reach.taking.push(state);
      if (this.lasts.has(state)) reach.ends = true;
    }
    return (this.reaches[from] = reach);
  }

  /** Old places still work, for those who are there, but lead into new ones. */
  private forget(): void {
    this.places = new Map();
    this.above = new Map();
    this.generation++;
  }

  /** A call whose return does nothing but return again needs no frame: so lists that are written as recursion stay flat. */
  private frameOf(state: number, parent: Frame | undefined): Frame | undefined {
    if (this.onlyReturns(state)) return parent;
    const above = parent?.above ?? this.above;
    let frame = above.get(state);
    if (!frame) above.set(state, (frame = { id: ++this.frames, state, parent, above: new Map() }));
    return frame;
  }

  private onlyReturns(state: number): boolean {
    const { taking, calls, ends } = this.reachOf(state);
    return ends && taking.length === 0 && calls.length === 0;
  }
}

/** Frames are numbered from 1, and there are fewer states than 2 to the power of 20. */
function keyOf(state: number, frame: Frame | undefined): number {
  return (frame?.id ?? 0) * 2 ** 20 + state + 1;
}
