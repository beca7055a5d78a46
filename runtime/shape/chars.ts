/**
 * Texts that meet several conditions at once: what a pattern, a format and limits of length leave over together. Each is a
 * net over characters; the nets are walked side by side.
 */

import { shapeError } from "./network.ts";
import { type NetEdge, type Part, set } from "./part.ts";
import { intersection, type Points, pointsOf } from "./points.ts";

/** States from 0; an edge without points takes nothing. */
interface CharNet {
  edges: { points: Points | undefined; to: number }[][];
  first: number;
  last: number;
}

const MOST_STATES = 200_000;

/** A part that all of these meet. They must not call rules. Has no end where they contradict each other. */
export function meetsAll(parts: readonly Part[]): Part {
  if (parts.length === 1) return parts[0];
  return parts.slice(1).reduce((met, part) => asPart(product(charNet(met), charNet(part))), parts[0]);
}

/** Whether nothing meets the part, which calls no rules. */
export function isImpossible(part: Part): boolean {
  const net = charNet(part);
  const seen = new Set([net.first]);
  for (const state of seen) for (const { to } of net.edges[state]) seen.add(to);
  return !seen.has(net.last);
}

/** The part with each of its characters written otherwise. */
export function mapCharacters(part: Part, write: (points: Points) => Part): Part {
  return written(charNet(part), write);
}

/** Nets begin at node 0, hence one more in front. */
function written({ edges, first, last }: CharNet, write: (points: Points) => Part): Part {
  const list: NetEdge[] = [{ from: 0, part: undefined, to: first + 1 }];
  edges.forEach((out, from) => {
    for (const { points, to } of out) list.push({ from: from + 1, part: points && write(points), to: to + 1 });
  });
  return { kind: "net", nodes: edges.length + 1, edges: list, ends: [last + 1] };
}

function asPart(net: CharNet): Part {
  return written(net, set);
}

class CharNetBuilder {
  readonly edges: CharNet["edges"] = [];

  state(): number {
    if (this.edges.length >= MOST_STATES)
      throw shapeError(`A text needs more than ${MOST_STATES} states. Make its lengths or repetitions smaller.`);
    return this.edges.push([]) - 1;
  }

  edge(from: number, points: Points | undefined, to: number): void {
    this.edges[from].push({ points, to });
  }

  add(from: number, part: Part, to: number): void {
    if (part.kind === "set") {
      if (part.points.length > 0) this.edge(from, part.points, to);
    } else if (part.kind === "text") this.sequence(from, [...part.text].map(characterOf), to);
    else if (part.kind === "sequence") this.sequence(from, part.parts, to);
    else if (part.kind === "either") for (const one of part.parts) this.add(from, one, to);
    else if (part.kind === "repeat") this.repeat(from, part, to);
    else if (part.kind === "net") {
      const states = Array.from({ length: part.nodes }, () => this.state());
      this.edge(from, undefined, states[0]);
      for (const { from: source, part: inner, to: target } of part.edges) {
        if (inner) this.add(states[source], inner, states[target]);
        else this.edge(states[source], undefined, states[target]);
      }
      for (const end of part.ends) this.edge(states[end], undefined, to);
    } else throw new Error("texts call no rules");
  }

  private sequence(from: number, parts: readonly Part[], to: number): void {
    let at = from;
    for (const part of parts) {
      const next = this.state();
      this.add(at, part, next);
      at = next;
    }
    this.edge(at, undefined, to);
  }

  private repeat(from: number, { part, least, most }: Part & { kind: "repeat" }, to: number): void {
    let at = from;
    for (let i = 0; i < (most === Infinity ? least : most); i++) {
      if (i >= least) this.edge(at, undefined, to);
      const next = this.state();
      this.add(at, part, next);
      at = next;
    }
    if (most === Infinity) {
      const loop = this.state();
      this.edge(at, undefined, loop);
      this.add(loop, part, loop);
      at = loop;
    }
    this.edge(at, undefined, to);
  }
}

function characterOf(one: string): Part {
  const point = one.codePointAt(0)!;
  return set(pointsOf([[point, point]]));
}

function charNet(part: Part): CharNet {
  const builder = new CharNetBuilder();
  const [first, last] = [builder.state(), builder.state()];
  builder.add(first, part, last);
  return { edges: builder.edges, first, last };
}

/** Both at once: a state is a pair, and a character must suit both. */
function product(a: CharNet, b: CharNet): CharNet {
  const builder = new CharNetBuilder();
  const pairs = new Map<number, number>();
  const todo: [number, number, number][] = [];
  const pair = (x: number, y: number): number => {
    const key = x * b.edges.length + y;
    let state = pairs.get(key);
    if (state === undefined) {
      pairs.set(key, (state = builder.state()));
      todo.push([x, y, state]);
    }
    return state;
  };
  const first = pair(a.first, b.first);
  for (let next = todo.pop(); next; next = todo.pop()) {
    const [x, y, state] = next;
    for (const { points, to } of a.edges[x]) if (!points) builder.edge(state, undefined, pair(to, y));
    for (const { points, to } of b.edges[y]) if (!points) builder.edge(state, undefined, pair(x, to));
    for (const one of a.edges[x]) {
      for (const other of b.edges[y]) {
        if (!one.points || !other.points) continue;
        const common = intersection(one.points, other.points);
        if (common.length > 0) builder.edge(state, common, pair(one.to, other.to));
      }
    }
  }
  const last = pairs.get(a.last * b.edges.length + b.last) ?? builder.state();
  return { edges: builder.edges, first, last };
}
