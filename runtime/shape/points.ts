/** Sets of Unicode code points, and how UTF-8 writes them. */

/** Code points from the first to the last, both included; sorted, apart, and never surrogates. */
export type Points = readonly (readonly [first: number, last: number])[];

export const LAST_POINT = 0x10ffff;
const SURROGATES = [0xd800, 0xdfff] as const;
/** All that a text can hold. */
export const ANY: Points = [
  [0, SURROGATES[0] - 1],
  [SURROGATES[1] + 1, LAST_POINT],
];

/** Any ranges, in any order, as a set. */
export function pointsOf(ranges: Iterable<readonly [number, number]>): Points {
  const sorted = [...ranges].filter(([first, last]) => first <= last).sort((a, b) => a[0] - b[0]);
  const merged: [number, number][] = [];
  for (const [first, last] of sorted) {
    const before = merged.at(-1);
    if (before && first <= before[1] + 1) before[1] = Math.max(before[1], last);
    else merged.push([first, last]);
  }
  return intersection(merged, ANY);
}

export function pointsOfText(characters: string): Points {
  return pointsOf([...characters].map((one) => [one.codePointAt(0)!, one.codePointAt(0)!]));
}

export function union(...sets: Points[]): Points {
  return pointsOf(sets.flat());
}

export function complement(set: Points): Points {
  const gaps: [number, number][] = [];
  let from = 0;
  for (const [first, last] of set) {
    gaps.push([from, first - 1]);
    from = last + 1;
  }
  gaps.push([from, LAST_POINT]);
  return pointsOf(gaps);
}

export function intersection(a: Points, b: Points): Points {
  const common: [number, number][] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const first = Math.max(a[i][0], b[j][0]);
    const last = Math.min(a[i][1], b[j][1]);
    if (first <= last) common.push([first, last]);
    if (a[i][1] < b[j][1]) i++;
    else j++;
  }
  return common;
}

export function without(set: Points, gone: Points): Points {
  return intersection(set, complement(gone));
}

/** A run of bytes, each within its range. */
export type ByteRun = (readonly [low: number, high: number])[];

/** The last code point that UTF-8 writes with 1, 2, 3 and 4 bytes. */
const LENGTH_ENDS = [0x7f, 0x7ff, 0xffff, LAST_POINT];

/** What UTF-8 writes for a set: runs of byte ranges that are apart. */
export function utf8Runs(set: Points): ByteRun[] {
  const runs: ByteRun[] = [];
  for (const [first, last] of set) {
    let from = first;
    for (const end of LENGTH_ENDS) {
      if (from > last) break;
      if (from <= end) splitRange(from, Math.min(last, end), runs);
      from = Math.max(from, end + 1);
    }
  }
  return runs;
}

/** Cuts a range of code points of one length where a byte but the last would not be free from 0x80 to 0xBF. */
function splitRange(first: number, last: number, runs: ByteRun[]): void {
  for (let bits = 6; bits <= 18; bits += 6) {
    const low = (1 << bits) - 1;
    if (last <= 0x7f || first >> bits === last >> bits) continue;
    if ((first & low) !== 0) {
      splitRange(first, first | low, runs);
      splitRange((first | low) + 1, last, runs);
      return;
    }
    if ((last & low) !== low) {
      splitRange(first, (last & ~low) - 1, runs);
      splitRange(last & ~low, last, runs);
      return;
    }
  }
  const [a, b] = [encodePoint(first), encodePoint(last)];
  runs.push(a.map((byte, i) => [byte, b[i]] as const));
}

function encodePoint(point: number): number[] {
  if (point <= 0x7f) return [point];
  const tail = (bits: number) => 0x80 | ((point >> bits) & 0x3f);
  if (point <= 0x7ff) return [0xc0 | (point >> 6), tail(0)];
  if (point <= 0xffff) return [0xe0 | (point >> 12), tail(6), tail(0)];
  return [0xf0 | (point >> 18), tail(12), tail(6), tail(0)];
}
