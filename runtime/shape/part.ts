/** The language that schemas, expressions, grammars and choices are all written in before they become a network of bytes. */

import { ANY, type Points, pointsOf } from "./points.ts";

export type Part =
  /** One character of a set. */
  | { kind: "set"; points: Points }
  | { kind: "text"; text: string }
  | { kind: "sequence"; parts: readonly Part[] }
  /** One of them; none at all can never be met. */
  | { kind: "either"; parts: readonly Part[] }
  /** `most` may be Infinity. */
  | { kind: "repeat"; part: Part; least: number; most: number }
  /** What the rule of that name says. */
  | { kind: "rule"; name: string }
  /** A net of its own: nodes from 0, which is the first, and edges between them. */
  | { kind: "net"; nodes: number; edges: readonly NetEdge[]; ends: readonly number[] };

/** `part: undefined` takes nothing. */
export interface NetEdge {
  from: number;
  part: Part | undefined;
  to: number;
}

/** Rules by name; `root` is where an answer begins. */
export interface Rules {
  root: string;
  rules: ReadonlyMap<string, Part>;
}

export const EMPTY: Part = { kind: "sequence", parts: [] };
export const NEVER: Part = { kind: "either", parts: [] };

export function set(points: Points): Part {
  return { kind: "set", points };
}

/** One character from `first` to `last`. */
export function range(first: string, last: string): Part {
  return set(pointsOf([[first.codePointAt(0)!, last.codePointAt(0)!]]));
}

export function text(text: string): Part {
  return { kind: "text", text };
}

export function sequence(...parts: Part[]): Part {
  return parts.length === 1 ? parts[0] : { kind: "sequence", parts };
}

export function either(...parts: Part[]): Part {
  return parts.length === 1 ? parts[0] : { kind: "either", parts };
}

export function repeat(part: Part, least: number, most = Infinity): Part {
  return { kind: "repeat", part, least, most };
}

export function optional(part: Part): Part {
  return repeat(part, 0, 1);
}

export function rule(name: string): Part {
  return { kind: "rule", name };
}

export const ANYTHING = repeat(set(ANY), 0);

/** One of many texts, as a trie: where they begin alike, they are followed together. */
export function words(texts: Iterable<string>): Part {
  const edges: NetEdge[] = [];
  const ends = new Set<number>();
  const next: Map<string, number>[] = [new Map()];
  for (const one of texts) {
    let node = 0;
    for (const character of one) {
      let to = next[node].get(character);
      if (to === undefined) {
        to = next.length;
        next.push(new Map());
        next[node].set(character, to);
        edges.push({ from: node, part: text(character), to });
      }
      node = to;
    }
    ends.add(node);
  }
  return { kind: "net", nodes: next.length, edges, ends: [...ends] };
}
