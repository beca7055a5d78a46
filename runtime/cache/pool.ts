/**
 * Who has which of the engine's sequences. Sessions take one when they are to say something; the one that was longest
 * without work goes, and its cache is put aside in memory as far as there is room. Where there is none, only its tokens
 * stay, and it has to read them again.
 */

import type { Sequence } from "./sequence.ts";

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

interface Place {
  sequence: Sequence;
  /** Undefined: what it holds belongs to nobody, and may go. */
  tenant: Tenant | undefined;
  /** When it was last given out. */
  used: number;
}

export class Pool {
  private readonly places: readonly Place[];
  private clock = 0;
  private asideBytes = 0;
  /** Those whose caches were put aside. */
  private readonly aside = new Set<Tenant>();

  constructor(
    sequences: readonly Sequence[],
    /** Bytes that may be put aside. */
    private readonly roomBytes: number,
  ) {
    this.places = sequences.map((sequence) => ({ sequence, tenant: undefined, used: 0 }));
  }

  /** The tenant's sequence, or, for nobody, the one that nobody's requests had before. Others may lose theirs. */
  take(tenant?: Tenant): Sequence {
    const own = this.places.find((place) => place.tenant === tenant && (tenant || place.used > 0));
    const place = own ?? this.places.toSorted((a, b) => a.used - b.used)[0];
    place.used = ++this.clock;
    if (place.tenant === tenant) return place.sequence;
    this.vacate(place);
    if (tenant) {
      place.sequence.truncate(0);
      place.tenant = tenant;
      this.unpack(tenant, place.sequence);
    }
    return place.sequence;
  }

  /** As many sequences as there are, at most `count`, for nobody. */
  takeSeveral(count: number): Sequence[] {
    const idleFirst = this.places.toSorted((a, b) => (a.tenant ? a.used : 0) - (b.tenant ? b.used : 0));
    return idleFirst.slice(0, Math.max(1, count)).map((place) => {
      this.vacate(place);
      place.used = ++this.clock;
      return place.sequence;
    });
  }

  /** All tokens of a tenant, wherever they are. */
  tokensOf(tenant: Tenant): readonly number[] {
    const sequence = this.places.find((place) => place.tenant === tenant)?.sequence;
    return sequence && sequence.length > 0 ? sequence.tokens : tenant.luggage.tokens;
  }

  /** Frees what a tenant has. */
  leave(tenant: Tenant): void {
    const place = this.places.find((one) => one.tenant === tenant);
    place?.sequence.truncate(0);
    if (place) place.tenant = undefined;
    this.drop(tenant);
  }

  /** Lets go of all caches that were put aside: their sessions will read their tokens again. Returns their bytes. */
  giveBack(): number {
    const bytes = this.asideBytes;
    for (const tenant of this.aside) {
      const { tokens, dropped } = tenant.luggage;
      this.drop(tenant);
      tenant.luggage = { tokens, dropped };
    }
    return bytes;
  }

  private vacate(place: Place): void {
    const { tenant, sequence } = place;
    if (tenant === undefined) return;
    // One that had to be read again, and was not, still has its tokens.
    if (sequence.length > 0) {
      const { tokens, dropped } = sequence;
      const cache = this.pack(sequence);
      tenant.luggage = { tokens: [...tokens], dropped, cache };
      if (cache) this.aside.add(tenant);
    }
    sequence.truncate(0);
    place.tenant = undefined;
  }

  private pack(sequence: Sequence): Uint8Array | undefined {
    const bytes = sequence.cacheBytes();
    if (this.asideBytes + bytes > this.roomBytes) return undefined;
    let cache: Uint8Array;
    try {
      cache = new Uint8Array(bytes);
    } catch {
      return undefined; // the machine has less than was thought
    }
    let at = 0;
    for (const piece of sequence.pieces()) {
      cache.set(piece, at);
      at += piece.length;
    }
    this.asideBytes += bytes;
    return cache;
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
    this.asideBytes -= tenant.luggage.cache?.length ?? 0;
    tenant.luggage = NOTHING;
    this.aside.delete(tenant);
  }
}
