/**
 * Walks through a network, byte by byte. A place holds all ways in which the bytes so far can be read: states, each with the
 * calls it has to return from. Ways that have come to the same state are followed as one, so that a text that can be read in
 * ever more ways takes no more time. Places are made when they are reached and remembered, so that going on is a look-up.
 */

import type { Network } from "./network.ts";

/** Where a call goes on when its rule has ended, and then in turn. */
interface Frame {
  readonly id: number;
  readonly state: number;
  readonly below: Stacks;
}

/** All the calls that a state can be in, the innermost of each; undefined for being in none. */
interface Stacks {
  readonly id: number;
  readonly tops: ReadonlySet<Frame | undefined>;
}

/** Made by a Walk only. */
export interface Place {
  readonly states: readonly number[];
  readonly stacks: readonly Stacks[];
  /** Whether an answer may end here. */
  readonly accepts: boolean;
  /** Whether a byte may follow. */
  readonly continues: boolean;
  /** The places after each byte, as far as they are known; null where it cannot follow. */
  readonly next: (Place | null | undefined)[];
  readonly generation: number;
}

/** What a state reaches within its rule without a byte: states that take bytes, calls as pairs (rule, to), the rule's end. */
interface Reach {
  taking: number[];
  calls: number[];
  ends: boolean;
}

/** A call that is begun at the place that is being made, by all states that begin it there. */
interface Call {
  readonly state: number;
  readonly callers: Set<Entry>;
  frame?: Frame;
}

/** A state that is entered at the place that is being made: in calls of before, and in those that are begun there. */
interface Entry {
  readonly tops: Set<Frame | undefined>;
  readonly calls: Set<Call>;
  stacks?: Stacks;
}

/** Places that are remembered, each with up to 2 KB of what follows. */
const MOST_PLACES = 8192;

export class Walk {
  readonly start: Place;
  private places = new Map<string, Place>();
  private frames = new Map<string, Frame>();
  private stacks = new Map<string, Stacks>();
  /** Of frames and stacks; those that were forgotten keep theirs. */
  private ids = 0;
  private generation = 0;
  private readonly lasts: ReadonlySet<number>;
  private readonly reaches: Reach[] = [];

  constructor(private readonly network: Network) {
    this.lasts = new Set(network.lasts);
    this.start = this.placeOf([network.firsts[0]], [this.stacksOf(new Set([undefined]))]);
  }

  /** The place after a byte; undefined where it cannot follow. */
  step(place: Place, byte: number): Place | undefined {
    const known = place.next[byte];
    if (known !== undefined && place.generation === this.generation) return known ?? undefined;
    const { states } = this.network;
    const heads: number[] = [];
    const stacks: Stacks[] = [];
    place.states.forEach((state, i) => {
      const { bytes } = states[state];
      for (let edge = 0; edge < bytes.length; edge += 3) {
        if (byte < bytes[edge] || byte > bytes[edge + 1]) continue;
        heads.push(bytes[edge + 2]);
        stacks.push(place.stacks[i]);
      }
    });
    const next = heads.length === 0 ? undefined : this.placeOf(heads, stacks);
    if (place.generation === this.generation) place.next[byte] = next ?? null;
    return next;
  }

  /** Whether an answer may be this text. */
  accepts(text: string): boolean {
    let place: Place | undefined = this.start;
    for (const byte of new TextEncoder().encode(text)) place &&= this.step(place, byte);
    return place?.accepts === true;
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

  /** What can be reached from some states without a byte, each in the calls beside it. */
  private placeOf(heads: readonly number[], stacks: readonly Stacks[]): Place {
    if (heads.length === 1) {
      const { taking, calls, ends } = this.reachOf(heads[0]);
      if (calls.length === 0 && !ends) return this.remember(taking, Array(taking.length).fill(stacks[0]), false);
    }
    const { entries, accepts } = this.enterAll(heads, stacks);
    const byState = new Map<number, Entry[]>();
    for (const [from, entry] of entries) {
      for (const state of this.reachOf(from).taking) {
        const others = byState.get(state);
        if (others) others.push(entry);
        else byState.set(state, [entry]);
      }
    }
    const all = [...byState.values()].map((some) => this.stacksOfAll(some));
    return this.remember([...byState.keys()], all, accepts);
  }

  /** All states that are entered without a byte, by calls and by returns. */
  private enterAll(heads: readonly number[], stacks: readonly Stacks[]) {
    const entries = new Map<number, Entry>();
    const begun = new Map<number, Call>();
    const todo = new Set<number>();
    let accepts = false;
    const enter = (state: number, tops: Iterable<Frame | undefined>, calls: Iterable<Call>) => {
      let entry = entries.get(state);
      if (!entry) {
        entries.set(state, (entry = { tops: new Set(), calls: new Set() }));
        todo.add(state);
      }
      const before = entry.tops.size + entry.calls.size;
      for (const top of tops) entry.tops.add(top);
      for (const call of calls) entry.calls.add(call);
      if (entry.tops.size + entry.calls.size > before) todo.add(state);
    };
    heads.forEach((state, i) => {
      enter(state, stacks[i].tops, []);
    });
    for (const from of todo) {
      todo.delete(from);
      const entry = entries.get(from)!;
      const { calls, ends } = this.reachOf(from);
      for (let i = 0; i < calls.length; i += 2) this.begin(calls[i], calls[i + 1], entry, begun, enter);
      if (!ends) continue;
      // Calls that are begun here and end here are passed over in `reachOf`.
      for (const top of entry.tops) {
        if (top) enter(top.state, top.below.tops, []);
        else accepts = true;
      }
    }
    return { entries, accepts };
  }

  private begin(
    rule: number,
    to: number,
    caller: Entry,
    begun: Map<number, Call>,
    enter: (state: number, tops: Iterable<Frame | undefined>, calls: Iterable<Call>) => void,
  ): void {
    const first = this.network.firsts[rule];
    // Nothing but a return is to be done after it: so lists that are written as recursion stay flat.
    if (this.onlyReturns(to)) enter(first, caller.tops, caller.calls);
    else {
      const key = rule * 2 ** 20 + to;
      let call = begun.get(key);
      if (!call) begun.set(key, (call = { state: to, callers: new Set() }));
      call.callers.add(caller);
      enter(first, [], [call]);
    }
  }

  private stacksOfAll(entries: readonly Entry[]): Stacks {
    if (entries.length > 1) return this.stacksOf(new Set(entries.flatMap((one) => [...this.stacksOfAll([one]).tops])));
    const [entry] = entries;
    entry.stacks ??= this.stacksOf(new Set([...entry.tops, ...[...entry.calls].map((call) => this.frameOf(call))]));
    return entry.stacks;
  }

  /** Ends, as no rule calls itself before it has taken a byte. */
  private frameOf(call: Call): Frame {
    if (call.frame) return call.frame;
    const below = this.stacksOfAll([...call.callers]);
    const key = `${call.state}.${below.id}`;
    let frame = this.frames.get(key);
    if (!frame) this.frames.set(key, (frame = { id: ++this.ids, state: call.state, below }));
    return (call.frame = frame);
  }

  private stacksOf(tops: ReadonlySet<Frame | undefined>): Stacks {
    const key = Array.from(tops, (top) => top?.id ?? 0)
      .sort((a, b) => a - b)
      .join();
    let stacks = this.stacks.get(key);
    if (!stacks) this.stacks.set(key, (stacks = { id: ++this.ids, tops }));
    return stacks;
  }

  private remember(states: number[], stacks: Stacks[], accepts: boolean): Place {
    const keys = states.map((state, i) => keyOf(state, stacks[i]));
    const key = `${keys.length === 1 ? keys[0] : keys.sort((a, b) => a - b).join()}${accepts ? "!" : ""}`;
    const known = this.places.get(key);
    if (known) return known;
    if (this.places.size >= MOST_PLACES) this.forget();
    const { generation } = this;
    const place = { states, stacks, accepts, continues: states.length > 0, next: [], generation };
    this.places.set(key, place);
    return place;
  }

  /** Where a state leads within its rule without a byte. */
  private reachOf(from: number): Reach {
    const known = this.reaches[from];
    if (known) return known;
    const { states, nullable } = this.network;
    const seen = new Set([from]);
    const reach: Reach = { taking: [], calls: [], ends: false };
    for (const state of seen) {
      const { bytes, empty, calls } = states[state];
      for (const to of empty) seen.add(to);
      for (let i = 0; i < calls.length; i += 2) if (nullable[calls[i]]) seen.add(calls[i + 1]);
      reach.calls.push(...calls);
      if (bytes.length > 0) reach.taking.push(state);
      if (this.lasts.has(state)) reach.ends = true;
    }
    return (this.reaches[from] = reach);
  }

  /** Old places still work, for those who are there, but lead into new ones. */
  private forget(): void {
    this.places = new Map();
    this.frames = new Map();
    this.stacks = new Map();
    this.generation++;
  }

  private onlyReturns(state: number): boolean {
    const { taking, calls, ends } = this.reachOf(state);
    return ends && taking.length === 0 && calls.length === 0;
  }
}

/** Stacks are numbered from 1, and there are fewer states than 2 to the power of 20. */
function keyOf(state: number, stacks: Stacks): number {
  return stacks.id * 2 ** 20 + state;
}
