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

/** Places that are remembered, each with up to 2 KB of what follows. */
const MOST_PLACES = 8192;

export class Walk {
  readonly start: Place;
  private places = new Map<string, Place>();
  private above = new Map<number, Frame>();
  private frames = 0;
  private generation = 0;

  constructor(private readonly network: Network) {
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
  private placeOf(heads: readonly [number, Frame | undefined][]): Place {
    const { states: all, lasts, firsts } = this.network;
    const states: number[] = [];
    const frames: (Frame | undefined)[] = [];
    const keys: string[] = [];
    const seen = new Set<string>();
    let accepts = false;
    const todo = [...heads];
    for (let head = todo.pop(); head; head = todo.pop()) {
      const [state, frame] = head;
      const key = `${state}.${frame?.id ?? ""}`;
      if (seen.has(key)) continue;
      seen.add(key);
      const { bytes, empty, calls } = all[state];
      for (const to of empty) todo.push([to, frame]);
      for (let i = 0; i < calls.length; i += 2) todo.push([firsts[calls[i]], this.frameOf(calls[i + 1], frame)]);
      if (this.isLast(state, lasts)) {
        if (frame) todo.push([frame.state, frame.parent]);
        else accepts = true;
      }
      if (bytes.length === 0) continue;
      states.push(state);
      frames.push(frame);
      keys.push(key);
    }
    return this.remember(`${keys.sort().join()}${accepts ? "!" : ""}`, states, frames, accepts);
  }

  private remember(key: string, states: number[], frames: (Frame | undefined)[], accepts: boolean): Place {
    const known = this.places.get(key);
    if (known) return known;
    if (this.places.size >= MOST_PLACES) this.forget();
    const { generation } = this;
    const place = { states, frames, accepts, continues: states.length > 0, next: [], generation };
    this.places.set(key, place);
    return place;
  }

  /** Old places still work, for those who are there, but lead into new ones. */
  private forget(): void {
    this.places = new Map();
    this.above = new Map();
    this.generation++;
  }

  private readonly lastStates = new Set<number>();

  private isLast(state: number, lasts: readonly number[]): boolean {
    if (this.lastStates.size === 0) for (const last of lasts) this.lastStates.add(last);
    return this.lastStates.has(state);
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
    const { lasts, states } = this.network;
    const { bytes, calls, empty } = states[state];
    if (bytes.length > 0 || calls.length > 0) return false;
    if (this.isLast(state, lasts)) return empty.length === 0;
    return empty.length === 1 && this.onlyReturns(empty[0]);
  }
}
