/**
 * Answers held to a finite automaton over token ids: for callers that know the tokens they expect, such as the understanding
 * of homes. States and edges are plain arrays, so that they cross threads.
 */

import type { TokenAutomaton } from "../api.ts";
import { PiPhiError } from "../errors.ts";
import type { Constraint } from "./constraint.ts";

/** Throws E_USAGE where the automaton's arrays contradict each other or name a token that is not there. */
export function automatonConstraint(
  automaton: TokenAutomaton,
  vocabSize: number,
  eosIds: ReadonlySet<number>,
): Constraint {
  const { offsets, ids, targets, accepting } = automaton;
  const states = offsets.length - 1;
  const sound =
    states > 0 &&
    accepting.length === states &&
    ids.length === targets.length &&
    offsets[states] === ids.length &&
    offsets.every((offset, s) => s === 0 || offset >= offsets[s - 1]) &&
    ids.every((id) => id < vocabSize) &&
    targets.every((state) => state < states);
  if (!sound)
    throw new PiPhiError("E_USAGE", "The automaton's states, edges and tokens do not fit together. Build it anew.");
  return new AutomatonConstraint(automaton, vocabSize, eosIds);
}

class AutomatonConstraint implements Constraint {
  private state = 0;
  private readonly mask: Uint32Array;

  constructor(
    private readonly automaton: TokenAutomaton,
    vocabSize: number,
    private readonly eosIds: ReadonlySet<number>,
  ) {
    this.mask = new Uint32Array((vocabSize + 31) >> 5);
  }

  get complete(): boolean {
    const { offsets } = this.automaton;
    return offsets[this.state] === offsets[this.state + 1];
  }

  allowed(): Uint32Array {
    const { offsets, ids, accepting } = this.automaton;
    this.mask.fill(0);
    const set = (id: number) => {
      this.mask[id >> 5] |= 1 << (id & 31);
    };
    for (let edge = offsets[this.state]; edge < offsets[this.state + 1]; edge++) set(ids[edge]);
    if (accepting[this.state]) for (const id of this.eosIds) set(id);
    return this.mask;
  }

  forced(): readonly number[] {
    const { offsets, ids, targets, accepting } = this.automaton;
    const forced: number[] = [];
    for (
      let at = this.state;
      !accepting[at] && offsets[at + 1] - offsets[at] === 1 && forced.length < 16;
      at = targets[offsets[at]]
    ) {
      forced.push(ids[offsets[at]]);
    }
    return forced;
  }

  push(id: number): void {
    const { offsets, ids, targets } = this.automaton;
    for (let edge = offsets[this.state]; edge < offsets[this.state + 1]; edge++) {
      if (ids[edge] !== id) continue;
      this.state = targets[edge];
      return;
    }
    throw new PiPhiError("E_ENGINE", `Token ${id} is not allowed here. This is a bug in PiPhi. Please report it.`, {
      id,
    });
  }
}

/** Puts an automaton together. */
export class AutomatonBuilder {
  private readonly edges: Map<number, number>[] = [];
  private readonly ends: boolean[] = [];

  state(accepting = false): number {
    this.edges.push(new Map());
    this.ends.push(accepting);
    return this.edges.length - 1;
  }

  accept(state: number): void {
    this.ends[state] = true;
  }

  /** An edge that is there already stays. */
  edge(from: number, id: number, to: number): void {
    if (!this.edges[from].has(id)) this.edges[from].set(id, to);
  }

  target(from: number, id: number): number | undefined {
    return this.edges[from].get(id);
  }

  isEmpty(state: number): boolean {
    return this.edges[state].size === 0;
  }

  build(): TokenAutomaton {
    const count = this.edges.reduce((sum, { size }) => sum + size, 0);
    const offsets = new Uint32Array(this.edges.length + 1);
    const ids = new Uint32Array(count);
    const targets = new Uint32Array(count);
    let at = 0;
    this.edges.forEach((edges, state) => {
      offsets[state] = at;
      for (const [id, target] of edges) {
        ids[at] = id;
        targets[at++] = target;
      }
    });
    offsets[this.edges.length] = at;
    return { offsets, ids, targets, accepting: Uint8Array.from(this.ends, Number) };
  }
}
