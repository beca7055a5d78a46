/** Numbers between bounds, and multiples, as sequences of digits. */

import { EMPTY, either, NEVER, type NetEdge, optional, type Part, range, repeat, sequence, text } from "./part.ts";

const DIGIT = range("0", "9");
/** Digits that a number keeps in JavaScript. */
const MOST_DIGITS = 15;
/** Digits after the point where there are bounds: those that a number of that size keeps. */
const MOST_FRACTION = 9;

export interface Bounds {
  least: number;
  most: number;
  /** Whether the bounds themselves are out. */
  leastOut?: boolean;
  mostOut?: boolean;
}

/** Whole numbers within bounds (both may be infinite); NEVER where there is none. */
export function integersWithin({ least, most, leastOut = false, mostOut = false }: Bounds): Part {
  const limit = Number.MAX_SAFE_INTEGER;
  const from = Math.max(-limit, leastOut ? Math.floor(least) + 1 : Math.ceil(least));
  const to = Math.min(limit, mostOut ? Math.ceil(most) - 1 : Math.floor(most));
  const parts: Part[] = [];
  if (from < 0 && from <= to) parts.push(sequence(text("-"), naturals(Math.max(1, -to), -from)));
  if (to >= 0 && from <= to) parts.push(naturals(Math.max(0, from), to));
  return either(...parts);
}

/** Numbers from `from` to `to`, both at least 0, in decimal notation without zeros in front. */
function naturals(from: number, to: number): Part {
  const parts: Part[] = [];
  for (let start = from; start <= to; ) {
    const digits = String(start).length;
    const end = Math.min(to, 10 ** digits - 1);
    parts.push(sameLength(String(start), String(end)));
    start = end + 1;
  }
  return either(...parts);
}

/** Sequences of digits of one length, from one to another. */
function sameLength(from: string, to: string): Part {
  if (from === "") return EMPTY;
  const [a, b] = [Number(from[0]), Number(to[0])];
  const [restA, restB] = [from.slice(1), to.slice(1)];
  if (a === b) return sequence(text(from[0]), sameLength(restA, restB));
  const isLowest = /^0*$/.test(restA);
  const isHighest = /^9*$/.test(restB);
  const [low, high] = [isLowest ? a : a + 1, isHighest ? b : b - 1];
  const parts: Part[] = [];
  if (!isLowest) parts.push(sequence(text(from[0]), sameLength(restA, "9".repeat(restA.length))));
  if (low <= high) parts.push(sequence(range(`${low}`, `${high}`), repeat(DIGIT, restA.length, restA.length)));
  if (!isHighest) parts.push(sequence(text(to[0]), sameLength("0".repeat(restB.length), restB)));
  return either(...parts);
}

/** Whole multiples of `of` (1 or more), of any sign: the remainder so far is the state. */
export function multiplesOf(of: number): Part {
  const edges: NetEdge[] = [];
  const start = of;
  const zero = of + 1;
  for (let digit = 1; digit <= 9; digit++) edges.push({ from: start, part: text(`${digit}`), to: digit % of });
  edges.push({ from: start, part: text("0"), to: zero });
  for (let rest = 0; rest < of; rest++) {
    for (let digit = 0; digit <= 9; digit++)
      edges.push({ from: rest, part: text(`${digit}`), to: (rest * 10 + digit) % of });
  }
  // Nets begin at node 0: a first node that takes the sign.
  const shifted = edges.map(({ from, part, to }) => ({ from: from + 1, part, to: to + 1 }));
  const first: NetEdge = { from: 0, part: optional(text("-")), to: start + 1 };
  return { kind: "net", nodes: of + 3, edges: [first, ...shifted], ends: [1, zero + 1] };
}

interface Decimal {
  /** Before the point, and the digits after it. */
  whole: number;
  fraction: string;
}

/** Numbers within bounds, of which one is finite, without exponents; NEVER where there is none. */
export function numbersWithin({ least, most, leastOut = false, mostOut = false }: Bounds): Part {
  const parts: Part[] = [];
  // Below 0: the same for what follows the sign, from the other side.
  if (least < 0) {
    const upTo = { value: -least, out: leastOut };
    const downTo = most < 0 ? { value: -most, out: mostOut } : { value: 0, out: true };
    parts.push(sequence(text("-"), positives(downTo, upTo)));
  }
  if (most >= 0) {
    const downTo = least > 0 ? { value: least, out: leastOut } : { value: 0, out: least === 0 && leastOut };
    parts.push(positives(downTo, { value: most, out: mostOut }));
  }
  return either(...parts);
}

interface Bound {
  value: number;
  out: boolean;
}

function positives(least: Bound, most: Bound): Part {
  if (least.value > most.value) return NEVER;
  // Beyond it, the digits that JavaScript keeps leave none for a fraction.
  const limit = Math.max(10 ** (MOST_DIGITS - MOST_FRACTION), Math.ceil(least.value) + 1);
  if (most.value > limit) {
    const above = integersWithin({ least: limit, most: most.value, mostOut: most.out });
    return either(positives(least, { value: limit, out: true }), above);
  }
  const [from, to] = [decimal(least.value), decimal(most.value)];
  const [lower, upper] = [
    { fraction: from.fraction, out: least.out },
    { fraction: to.fraction, out: most.out },
  ];
  if (from.whole === to.whole) return sequence(text(`${from.whole}`), fraction(lower, upper));
  const parts = [
    sequence(text(`${from.whole}`), fraction(lower, undefined)),
    sequence(text(`${to.whole}`), fraction(undefined, upper)),
  ];
  if (from.whole + 1 < to.whole) {
    parts.push(sequence(naturals(from.whole + 1, to.whole - 1), fraction(undefined, undefined)));
  }
  return either(...parts);
}

type Limit = { fraction: string; out: boolean } | undefined;

/** What may follow the whole part: nothing, or a point and digits, such that the fraction lies between the limits. */
function fraction(least: Limit, most: Limit): Part {
  const ends = mayEnd(least, most) ? [EMPTY] : [];
  const after = digits(least, most, MOST_FRACTION, true);
  return either(...ends, sequence(text("."), after));
}

/** At least one more digit where `first`; the limits tell what is left of them at this place. */
function digits(least: Limit, most: Limit, room: number, first = false): Part {
  if (!least && !most) return repeat(DIGIT, first ? 1 : 0, room);
  const parts: Part[] = !first && mayEnd(least, most) ? [EMPTY] : [];
  if (room === 0) return either(...parts);
  const low = least && Number(least.fraction[0] ?? 0);
  const high = most && Number(most.fraction[0] ?? 0);
  for (let digit = low ?? 0; digit <= (high ?? 9); digit++) {
    const stillLeast = least && digit === low ? { ...least, fraction: least.fraction.slice(1) } : undefined;
    const stillMost = most && digit === high ? { ...most, fraction: most.fraction.slice(1) } : undefined;
    parts.push(sequence(text(`${digit}`), digits(stillLeast, stillMost, room - 1)));
  }
  return either(...parts);
}

/** Whether a number may end here: as if only zeros followed. */
function mayEnd(least: Limit, most: Limit): boolean {
  const isZero = (limit: Limit) => limit !== undefined && /^0*$/.test(limit.fraction);
  if (least && (!isZero(least) || least.out)) return false;
  return !(isZero(most) && most!.out);
}

/** A number of at least 0 as its digits. */
function decimal(value: number): Decimal {
  const [mantissa, exponent = "0"] = String(value).split("e");
  const [before, after = ""] = mantissa.split(".");
  const shift = Number(exponent);
  const all = before + after;
  const point = before.length + shift;
  const padded = point > 0 ? all.padEnd(point, "0") : "0".repeat(1 - point) + all;
  const at = Math.max(1, point);
  return { whole: Number(padded.slice(0, at)), fraction: padded.slice(at).replace(/0+$/, "") };
}
