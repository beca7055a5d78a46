/** The vocabulary as a trie of bytes, and which of its tokens can follow at a place of a network. */

import type { Tokenizer } from "../text/tokenizer.ts";
import type { Place, Walk } from "./walk.ts";

/** What a trie is made of. */
export type Spelling = Pick<Tokenizer, "vocabSize" | "bytes" | "eosIds" | "encode">;

/**
 * The trie in preorder: node i has byte `bytes[i]` at depth `depths[i]` (from 1), those below it end before `ends[i]`, and
 * `ids[i]` is its token or -1. Tokens of the same bytes follow one another by `twins`.
 */
export class Vocabulary {
  readonly bytes: Uint8Array;
  readonly depths: Uint16Array;
  readonly ends: Int32Array;
  readonly ids: Int32Array;
  /** From a token to another of the same bytes. */
  private readonly twins = new Map<number, number>();
  /** Places after each byte of the way from the root to a node. */
  private readonly way: (Place | undefined)[] = [];

  constructor(readonly spelling: Spelling) {
    const { vocabSize } = spelling;
    const spelled = Array.from({ length: vocabSize }, (_, id) => ({ id, bytes: spelling.bytes(id) }))
      .filter(({ bytes }) => bytes.length > 0)
      .sort((a, b) => compareBytes(a.bytes, b.bytes));
    const most = spelled.reduce((sum, { bytes }) => sum + bytes.length, 0);
    const [bytes, depths] = [new Uint8Array(most), new Uint16Array(most)];
    const [ends, ids] = [new Int32Array(most), new Int32Array(most).fill(-1)];
    const path: number[] = [];
    let before: Uint8Array = new Uint8Array();
    let nodes = 0;
    const closeTo = (depth: number) => {
      while (path.length > depth) ends[path.pop()!] = nodes;
    };
    for (const token of spelled) {
      const shared = sharedBytes(before, token.bytes);
      closeTo(shared);
      for (let at = shared; at < token.bytes.length; at++) {
        path.push(nodes);
        bytes[nodes] = token.bytes[at];
        depths[nodes++] = at + 1;
      }
      const node = path[token.bytes.length - 1];
      if (ids[node] >= 0) this.twins.set(token.id, ids[node]);
      ids[node] = token.id;
      before = token.bytes;
    }
    closeTo(0);
    this.bytes = bytes.slice(0, nodes);
    this.depths = depths.slice(0, nodes);
    this.ends = ends.slice(0, nodes);
    this.ids = ids.slice(0, nodes);
  }

  /** One bit for each token that can follow, and for those that end a text where the answer may end. */
  mask(walk: Walk, from: Place): Uint32Array {
    const mask = new Uint32Array((this.spelling.vocabSize + 31) >> 5);
    const set = (id: number) => {
      mask[id >> 5] |= 1 << (id & 31);
    };
    if (from.accepts) for (const id of this.spelling.eosIds) set(id);
    this.visit(walk, from, 0, this.bytes.length, (id) => {
      for (let one: number | undefined = id; one !== undefined; one = this.twins.get(one)) set(one);
      return false;
    });
    return mask;
  }

  /** Whether a token that is longer than these bytes, and begins with them, can follow. */
  canBeLonger(walk: Walk, from: Place, bytes: Uint8Array): boolean {
    let first = 0;
    let end = this.bytes.length;
    let place: Place | undefined = from;
    for (const byte of bytes) {
      while (first < end && this.bytes[first] !== byte) first = this.ends[first];
      if (first >= end) return false;
      end = this.ends[first++];
      place = place && walk.step(place, byte);
    }
    if (!place) return false;
    return this.visit(walk, place, first, end, () => true);
  }

  /** Tells of each token under some nodes that can follow; ends when `found` says true. */
  private visit(walk: Walk, from: Place, first: number, end: number, found: (id: number) => boolean): boolean {
    if (first >= end) return false;
    const { bytes, depths, ends, ids, way } = this;
    const above = depths[first] - 1;
    way[0] = from;
    for (let node = first; node < end; ) {
      const depth = depths[node] - above;
      const place = walk.step(way[depth - 1]!, bytes[node]);
      if (!place) {
        node = ends[node];
        continue;
      }
      if (ids[node] >= 0 && found(ids[node])) return true;
      way[depth] = place;
      node++;
    }
    return false;
  }
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const shared = sharedBytes(a, b);
  return (a[shared] ?? -1) - (b[shared] ?? -1);
}

function sharedBytes(a: Uint8Array, b: Uint8Array): number {
  let shared = 0;
  while (shared < a.length && shared < b.length && a[shared] === b[shared]) shared++;
  return shared;
}
