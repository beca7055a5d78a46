/**
 * Rules as a network of bytes: states with edges that take a byte of a range, take nothing, or call another rule and go on
 * where it ends. States from which no end can be reached are cut off, so that whatever has begun can be completed.
 */

import type { ErrorDetails } from "../errors.ts";
import { PiPhiError } from "../errors.ts";
import type { NetEdge, Part, Rules } from "./part.ts";
import { utf8Runs } from "./points.ts";

/** Bounds memory and the time of compiling; the schema of a home of 500 names has some 20,000. */
const MOST_STATES = 250_000;

/** Rules that begin with one another: those who walk through them follow them all at once. */
const MOST_CALLS = 1000;

/** Throws for what no answer can be held to. */
export function shapeError(message: string, details: ErrorDetails = {}): PiPhiError {
  return new PiPhiError("E_SHAPE", message, details);
}

/** A state's edges: bytes as triples (low, high, to), calls as pairs (rule, to). */
export interface State {
  bytes: number[];
  empty: number[];
  calls: number[];
}

export interface Network {
  states: readonly State[];
  /** First and last state of each rule; the root is rule 0. */
  firsts: readonly number[];
  lasts: readonly number[];
  /** 1 for each rule that an empty text meets. */
  nullable: Uint8Array;
}

/** Throws E_SHAPE for rules without end, rules that call themselves before they take a byte, and too many states. */
export function compileNetwork({ root, rules }: Rules): Network {
  const names = [root, ...[...rules.keys()].filter((name) => name !== root)];
  const builder = new Builder(new Map(names.map((name, i) => [name, i])));
  const firsts: number[] = [];
  const lasts: number[] = [];
  for (const name of names) {
    const [first, last] = [builder.state(), builder.state()];
    firsts.push(first);
    lasts.push(last);
    builder.add(first, rules.get(name)!, last);
  }
  const network = { states: builder.states, firsts, lasts, nullable: new Uint8Array(firsts.length) };
  prune(network, names);
  refuseLoops(network, names);
  return network;
}

class Builder {
  readonly states: State[] = [];
  /** Runs of UTF-8 are shared by all edges of the same set. */
  private readonly runs = new Map<unknown, ReturnType<typeof utf8Runs>>();

  constructor(private readonly ruleIds: ReadonlyMap<string, number>) {}

  state(): number {
    if (this.states.length >= MOST_STATES) {
      throw shapeError(
        `The shape needs more than ${MOST_STATES} states. Make its repetitions, lengths or choices smaller.`,
        { states: MOST_STATES },
      );
    }
    return this.states.push({ bytes: [], empty: [], calls: [] }) - 1;
  }

  add(from: number, part: Part, to: number): void {
    if (part.kind === "set") this.addSet(from, part.points, to);
    else if (part.kind === "text") this.addText(from, part.text, to);
    else if (part.kind === "sequence") this.addSequence(from, part.parts, to);
    else if (part.kind === "either") for (const one of part.parts) this.add(from, one, to);
    else if (part.kind === "repeat") this.addRepeat(from, part, to);
    else if (part.kind === "rule") this.states[from].calls.push(this.ruleIds.get(part.name)!, to);
    else this.addNet(from, part, to);
  }

  private addText(from: number, text: string, to: number): void {
    const bytes = new TextEncoder().encode(text);
    let at = from;
    bytes.forEach((byte, i) => {
      const next = i === bytes.length - 1 ? to : this.state();
      this.states[at].bytes.push(byte, byte, next);
      at = next;
    });
    if (bytes.length === 0) this.states[from].empty.push(to);
  }

  private addSet(
    from: number,
    points: Part & { kind: "set" } extends { points: infer P } ? P : never,
    to: number,
  ): void {
    let runs = this.runs.get(points);
    if (!runs) this.runs.set(points, (runs = utf8Runs(points)));
    // Runs that end alike share their tails: a state for each way to go on.
    const tails = new Map<string, number>();
    const tail = (run: (readonly [number, number])[]): number => {
      if (run.length === 0) return to;
      const key = run.join();
      let state = tails.get(key);
      if (state === undefined) {
        state = this.state();
        tails.set(key, state);
        this.states[state].bytes.push(...run[0], tail(run.slice(1)));
      }
      return state;
    };
    for (const [head, ...rest] of runs) this.states[from].bytes.push(...head, tail(rest));
  }

  private addSequence(from: number, parts: readonly Part[], to: number): void {
    if (parts.length === 0) this.states[from].empty.push(to);
    let at = from;
    parts.forEach((part, i) => {
      const next = i === parts.length - 1 ? to : this.state();
      this.add(at, part, next);
      at = next;
    });
  }

  private addRepeat(from: number, { part, least, most }: Part & { kind: "repeat" }, to: number): void {
    let at = from;
    const once = () => {
      const next = this.state();
      this.add(at, part, next);
      at = next;
    };
    for (let i = 0; i < least; i++) once();
    if (most === Infinity) {
      // A state of its own: others that lead to `to`, or come from `from`, must not enter the loop.
      const loop = this.state();
      this.states[at].empty.push(loop);
      this.add(loop, part, loop);
      at = loop;
    } else {
      for (let i = least; i < most; i++) {
        this.states[at].empty.push(to);
        once();
      }
    }
    this.states[at].empty.push(to);
  }

  private addNet(
    from: number,
    { nodes, edges, ends }: { nodes: number; edges: readonly NetEdge[]; ends: readonly number[] },
    to: number,
  ): void {
    const states = Array.from({ length: nodes }, () => this.state());
    this.states[from].empty.push(states[0]);
    for (const { from: source, part, to: target } of edges) {
      if (part === undefined) this.states[states[source]].empty.push(states[target]);
      else this.add(states[source], part, states[target]);
    }
    for (const end of ends) this.states[states[end]].empty.push(to);
  }
}

/** Cuts off all edges to states from which no end can be reached. */
function prune(network: Network, names: readonly string[]): void {
  const { states, firsts, lasts } = network;
  const before: { from: number; rule: number }[][] = states.map(() => []);
  const callers: { from: number; to: number }[][] = firsts.map(() => []);
  states.forEach(({ bytes, empty, calls }, from) => {
    for (let i = 2; i < bytes.length; i += 3) before[bytes[i]].push({ from, rule: -1 });
    for (const to of empty) before[to].push({ from, rule: -1 });
    for (let i = 0; i < calls.length; i += 2) {
      before[calls[i + 1]].push({ from, rule: calls[i] });
      callers[calls[i]].push({ from, to: calls[i + 1] });
    }
  });
  const useful = new Uint8Array(states.length);
  const ruleOf = new Map(firsts.map((first, i) => [first, i]));
  const todo: number[] = [];
  const reach = (state: number) => {
    if (useful[state]) return;
    useful[state] = 1;
    todo.push(state);
  };
  for (const last of lasts) reach(last);
  for (let state = todo.pop(); state !== undefined; state = todo.pop()) {
    // A call leads on only where the rule that is called can end.
    for (const { from, rule } of before[state]) if (rule < 0 || useful[firsts[rule]]) reach(from);
    const ended = ruleOf.get(state);
    if (ended !== undefined) for (const { from, to } of callers[ended]) if (useful[to]) reach(from);
  }
  if (!useful[firsts[0]]) {
    const endless = firsts.findIndex((first) => !useful[first]);
    const where = `What is asked for can never end at "${names[endless]}"`;
    throw shapeError(`${where}: it contradicts itself, or contains itself without a way out.`, {
      rule: names[endless],
    });
  }
  for (const state of states) {
    state.bytes = kept(state.bytes, 3, (i) => useful[state.bytes[i + 2]] === 1);
    state.empty = state.empty.filter((to) => useful[to]);
    state.calls = kept(state.calls, 2, (i) => useful[state.calls[i + 1]] === 1 && useful[firsts[state.calls[i]]] === 1);
  }
}

function kept(numbers: readonly number[], width: number, keeps: (at: number) => boolean): number[] {
  const rest: number[] = [];
  for (let i = 0; i < numbers.length; i += width) if (keeps(i)) rest.push(...numbers.slice(i, i + width));
  return rest;
}

/** Finds out which rules an empty text meets. A rule that calls itself before it takes a byte would be called for ever. */
function refuseLoops({ states, firsts, lasts, nullable }: Network, names: readonly string[]): void {
  /** States reached from a rule's first one without a byte, and the rules that are called there. */
  const open = (rule: number) => {
    const seen = new Set([firsts[rule]]);
    const called = new Set<number>();
    for (const state of seen) {
      for (const to of states[state].empty) seen.add(to);
      const { calls } = states[state];
      for (let i = 0; i < calls.length; i += 2) {
        called.add(calls[i]);
        if (nullable[calls[i]]) seen.add(calls[i + 1]);
      }
    }
    return { called, ends: seen.has(lasts[rule]) };
  };
  for (let changed = true; changed; ) {
    changed = false;
    for (let rule = 0; rule < firsts.length; rule++) {
      if (nullable[rule] || !open(rule).ends) continue;
      nullable[rule] = 1;
      changed = true;
    }
  }
  const called = firsts.map((_, rule) => [...open(rule).called]);
  /** How deep the calls go that begin with each rule; 0 where it is not known yet. */
  const depths = new Uint32Array(firsts.length);
  // By hand, as chains of calls may be longer than the engine's own stack.
  for (let root = 0; root < firsts.length; root++) {
    const path = [root];
    const open = new Set(path);
    for (let rule = path.at(-1); rule !== undefined; rule = path.at(-1)) {
      const other = depths[rule] > 0 ? undefined : called[rule].find((one) => depths[one] === 0);
      if (other === undefined) {
        depths[rule] ||= 1 + called[rule].reduce((most, one) => Math.max(most, depths[one]), 0);
        if (depths[rule] > MOST_CALLS) {
          throw shapeError(`${names[rule]} begins with more than ${MOST_CALLS} rules in one another. Make it flatter.`);
        }
        open.delete(rule);
        path.pop();
      } else if (open.has(other)) throw loopError([...path.slice(path.indexOf(other)), other].map((one) => names[one]));
      else {
        path.push(other);
        open.add(other);
      }
    }
  }
}

function loopError(loop: readonly string[]): PiPhiError {
  const way = loop.length > 8 ? [...loop.slice(0, 4), "…", ...loop.slice(-3)] : loop;
  return shapeError(
    `${loop[0]} contains itself before anything else (${way.join(" → ")}), which has no end. Put what comes first first.`,
    { rule: loop[0] },
  );
}
