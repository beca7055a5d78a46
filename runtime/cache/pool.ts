/**
 * Who has which of the engine's sequences, and what is kept of texts that were read before.
 *
 * A request gets a sequence for as long as it runs. Its prompt is compared with all that is cached: sequences, running or not,
 * caches that were put aside, and those on disk. The longest beginning that they share is copied, which takes a hundredth of
 * the time of reading it (1,000 tokens of Phi-2 are 170 MB). Nothing is shared by reference: attention reads each token's
 * cache in one stretch, and a copy may roll or be forgotten without a thought of others.
 *
 * Sessions keep their sequence between requests; the one that was longest without work goes, and its cache is put aside in
 * memory as far as there is room, or only its tokens stay, to be read again. What requests without a session leave behind
 * is put aside as well, in what room sessions leave, and the oldest of it goes first.
 */

import { TILE } from "../plan/cache-size.ts";
import type { Sequence } from "./sequence.ts";
import type { Saved } from "./session-file.ts";

/** What a session has while it has no sequence. */
interface Luggage {
  tokens: readonly number[];
  dropped: number;
  /** The cache's pieces, or undefined where there was no room for them. */
  cache?: Uint8Array;
}

const NOTHING: Luggage = { tokens: [], dropped: 0 };

/** A session, as far as the pool is concerned. */
export class Tenant {
  luggage: Luggage = NOTHING;
}

/** A cache that belongs to nobody any more. */
interface Kept {
  tokens: readonly number[];
  cache: Uint8Array;
  used: number;
}

interface Place {
  sequence: Sequence;
  /** Undefined: what it holds belongs to nobody, and may go. */
  tenant: Tenant | undefined;
  /** Whether a request runs in it. */
  busy: boolean;
  /** When it was last given out. */
  used: number;
}

/** Who asks for a sequence, and for what. */
export interface Ask {
  tenant?: Tenant;
  /** What is to be read. */
  ids: readonly number[];
  /** Whether the text may not depend on what the sequence has read before (Window.rewind). */
  exact: boolean;
  /** Whether all must be computed anew, since its logits are wanted. */
  anew?: boolean;
  /** Whether nothing must be computed where all is cached; else the last token always is, for its logits. */
  whole?: boolean;
}

/** A beginning that some cache shares with a prompt, and how it gets into a sequence. */
export interface Found {
  length: number;
  fill(sequence: Sequence): void;
}

/** Caches on disk. */
export interface Shelf {
  /** The longest beginning of `ids` that is there, if it has at least so many tokens. */
  find(ids: readonly number[], atLeast: number): Found | undefined;
}

/** No token's id: what ends so shares all that comes before. */
const NO_TOKEN = -1;
/** Caches that hold less than this beyond what is needed are not worth a copy. */
export const WORTH_TOKENS = TILE;

export class Pool {
  private readonly places: readonly Place[];
  private clock = 0;
  /** Of sessions, and of nobody's caches, put aside. */
  private sessionBytes = 0;
  private keptSum = 0;
  /** Those whose caches were put aside. */
  private readonly aside = new Set<Tenant>();
  /** Of nobody, put aside. */
  private kept: Kept[] = [];
  /** Caches on disk, once it is known what is there. */
  shelf: Shelf | undefined;

  constructor(
    sequences: readonly Sequence[],
    /** Bytes that may be put aside, and of them those of nobody. */
    private readonly roomBytes: number,
    private readonly keptBytes = roomBytes,
  ) {
    this.places = sequences.map((sequence) => ({ sequence, tenant: undefined, busy: false, used: 0 }));
  }

  /**
   * A sequence that holds as much of the prompt's beginning as is cached anywhere, for a request that runs until `release`;
   * others may lose theirs. Undefined where none is free.
   */
  take({ tenant, ids: asked, exact, anew = false, whole = false }: Ask): Sequence | undefined {
    const ids = whole ? [...asked, NO_TOKEN] : asked;
    const own = tenant && this.places.find((place) => place.tenant === tenant);
    const place = own ?? this.choose(tenant, ids);
    if (!place || place.busy) return undefined;
    const { sequence } = place;
    if (!own) this.vacate(place, tenant ? [] : ids);
    place.used = ++this.clock;
    place.busy = true;
    if (tenant && !own) {
      sequence.truncate(0);
      place.tenant = tenant;
      this.unpack(tenant, sequence);
    }
    if (anew) sequence.truncate(0);
    else this.fill(sequence, ids, exact);
    return sequence;
  }

  /** The request that had it has ended. */
  release(sequence: Sequence): void {
    const place = this.places.find((one) => one.sequence === sequence);
    if (place) place.busy = false;
  }

  /** How many tokens of a prompt's beginning some cache in memory holds. */
  longest(ids: readonly number[]): number {
    return this.find(ids, undefined).length;
  }

  /** Sequences that no request has. */
  get free(): number {
    return this.places.filter(({ busy }) => !busy).length;
  }

  /** Caches that are kept for requests to come, with their bytes: those in sequences, and those put aside. */
  status(): { sequences: number; aside: number; asideBytes: number } {
    const sequences = this.places.filter(({ busy, sequence }) => !busy && sequence.length > 0).length;
    return { sequences, aside: this.aside.size + this.kept.length, asideBytes: this.sessionBytes + this.keptSum };
  }

  /** What requests that have ended left behind, in sequences and aside, the newest first. */
  finished(): Saved[] {
    const left = this.places.filter(({ busy, tenant, sequence }) => !busy && !tenant && sequence.length > 0);
    const inPlaces = left.map(({ sequence, used }) => ({ saved: sequence as Saved, used }));
    const aside = this.kept.map(({ tokens, cache, used }) => {
      return { saved: { tokens, dropped: 0, cacheBytes: () => cache.length, pieces: () => [cache] }, used };
    });
    return [...inPlaces, ...aside].sort((a, b) => b.used - a.used).map(({ saved }) => saved);
  }

  /** All tokens of a tenant, wherever they are. */
  tokensOf(tenant: Tenant): readonly number[] {
    const sequence = this.places.find((place) => place.tenant === tenant)?.sequence;
    return sequence && sequence.length > 0 ? sequence.tokens : tenant.luggage.tokens;
  }

  /** What a tenant's sequence holds is not all that it should: its tokens, if they are known, will be read again. */
  spoil(tenant: Tenant): void {
    this.places.find((one) => one.tenant === tenant)?.sequence.truncate(0);
  }

  /** Frees what a tenant has. */
  leave(tenant: Tenant): void {
    const place = this.places.find((one) => one.tenant === tenant);
    place?.sequence.truncate(0);
    if (place) place.tenant = undefined;
    this.drop(tenant);
  }

  /** Lets go of all caches that were put aside: their texts will be read again. Returns their bytes. */
  giveBack(): number {
    const bytes = this.sessionBytes + this.keptSum;
    for (const tenant of this.aside) {
      const { tokens, dropped } = tenant.luggage;
      this.drop(tenant);
      tenant.luggage = { tokens, dropped };
    }
    this.forgetKept(0);
    return bytes;
  }

  /** The free sequence whose loss costs least: nobody's with the fewest tokens that `ids` does not share, then the oldest. */
  private choose(tenant: Tenant | undefined, ids: readonly number[]): Place | undefined {
    const loss = ({ sequence, tenant: owner }: Place) => {
      if (owner) return Number.POSITIVE_INFINITY;
      const shared = tenant ? 0 : sharedStart(sequence.tokens, ids);
      return sequence.length - shared < WORTH_TOKENS ? -shared : 1;
    };
    const free = this.places.filter(({ busy }) => !busy);
    return free.toSorted((a, b) => compare(loss(a), loss(b)) || a.used - b.used)[0];
  }

  /** Keeps what a sequence shares with `ids`, or fills it with a longer beginning that is cached elsewhere. */
  private fill(sequence: Sequence, ids: readonly number[], exact: boolean): void {
    const own = sequence.rewind(ids, exact);
    const found = this.find(ids, sequence);
    const onDisk = this.shelf?.find(ids, Math.max(own, found.length) + WORTH_TOKENS);
    if (onDisk) onDisk.fill(sequence);
    else if (found.length >= own + WORTH_TOKENS) found.fill(sequence);
    sequence.rewind(ids, exact);
  }

  private find(ids: readonly number[], except: Sequence | undefined): Found {
    let best: Found = { length: 0, fill: () => {} };
    const offer = (tokens: readonly number[], dropped: number, fill: (sequence: Sequence, length: number) => void) => {
      const length = dropped > 0 ? 0 : Math.min(sharedStart(tokens, ids), ids.length - 1);
      if (length > best.length) best = { length, fill: (sequence) => fill(sequence, length) };
    };
    for (const { sequence } of this.places) {
      if (sequence === except) continue;
      offer(sequence.tokens, sequence.dropped, (to, length) => to.copyStart(sequence, length));
    }
    for (const one of this.kept) {
      offer(one.tokens, 0, (to, length) => {
        one.used = ++this.clock;
        to.restoreStart(one.tokens, length, one.cache);
      });
    }
    for (const { luggage } of this.aside) {
      const { tokens, dropped, cache } = luggage;
      if (cache) offer(tokens, dropped, (to, length) => to.restoreStart(tokens, length, cache));
    }
    return best;
  }

  /** Empties a place for another who shares its beginning with `ids`; what is lost is put aside as far as there is room. */
  private vacate(place: Place, ids: readonly number[]): void {
    const { tenant, sequence } = place;
    if (tenant === undefined) {
      if (sequence.length - sharedStart(sequence.tokens, ids) >= WORTH_TOKENS) this.keep(sequence);
      return;
    }
    // One that had to be read again, and was not, still has its tokens.
    if (sequence.length > 0) {
      const { tokens, dropped } = sequence;
      const bytes = sequence.cacheBytes();
      const cache = this.sessionBytes + bytes <= this.roomBytes ? pack(sequence) : undefined;
      if (cache) {
        this.sessionBytes += bytes;
        this.forgetKept(this.roomBytes - this.sessionBytes);
        this.aside.add(tenant);
      }
      tenant.luggage = { tokens: [...tokens], dropped, cache };
    }
    sequence.truncate(0);
    place.tenant = undefined;
  }

  /** Puts nobody's cache aside, unless another holds all of it. */
  private keep(sequence: Sequence): void {
    const { tokens, dropped } = sequence;
    if (dropped > 0 || this.find([...tokens, NO_TOKEN], sequence).length === tokens.length) return;
    const room = Math.min(this.keptBytes, this.roomBytes - this.sessionBytes) - sequence.cacheBytes();
    const cache = room >= 0 ? pack(sequence) : undefined;
    if (!cache) return;
    const beyond = this.kept.filter((one) => sharedStart(one.tokens, tokens) < one.tokens.length);
    this.setKept(beyond);
    this.forgetKept(room);
    this.setKept([...this.kept, { tokens: [...tokens], cache, used: ++this.clock }]);
  }

  /** Lets the oldest of nobody's caches go until all of them take at most so many bytes. */
  private forgetKept(mostBytes: number): void {
    let bytes = 0;
    const newestFirst = this.kept.toSorted((a, b) => b.used - a.used);
    this.setKept(newestFirst.filter(({ cache }) => (bytes += cache.length) <= mostBytes));
  }

  private setKept(kept: Kept[]): void {
    this.kept = kept;
    this.keptSum = kept.reduce((sum, { cache }) => sum + cache.length, 0);
  }

  private unpack(tenant: Tenant, sequence: Sequence): void {
    const { tokens, dropped, cache } = tenant.luggage;
    if (!cache) return;
    let at = 0;
    sequence.restore(tokens, dropped, (into) => {
      into.set(cache.subarray(at, at + into.length));
      at += into.length;
    });
    this.drop(tenant);
  }

  private drop(tenant: Tenant): void {
    this.sessionBytes -= tenant.luggage.cache?.length ?? 0;
    tenant.luggage = NOTHING;
    this.aside.delete(tenant);
  }
}

/** Of how many tokens both begin alike. */
export function sharedStart(a: readonly number[], b: readonly number[]): number {
  const most = Math.min(a.length, b.length);
  let same = 0;
  while (same < most && a[same] === b[same]) same++;
  return same;
}

function compare(a: number, b: number): number {
  return a === b ? 0 : a - b;
}

/** A sequence's pieces in one; undefined where the machine has less memory than was thought. */
function pack(sequence: Sequence): Uint8Array | undefined {
  let cache: Uint8Array;
  try {
    cache = new Uint8Array(sequence.cacheBytes());
  } catch {
    return undefined;
  }
  let at = 0;
  for (const piece of sequence.pieces()) {
    cache.set(piece, at);
    at += piece.length;
  }
  return cache;
}
