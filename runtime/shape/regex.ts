/**
 * Regular expressions in JavaScript's notation, with the flag `u`: characters, classes, groups, alternatives and repetitions.
 * What looks around, back or at the borders of words is no matter of one character after another, and is refused.
 */

import { shapeError } from "./network.ts";
import { ANYTHING, EMPTY, either, type Part, repeat, sequence, set } from "./part.ts";
import { ANY, complement, type Points, pointsOf, pointsOfText, union, without } from "./points.ts";

const DIGITS = pointsOf([[0x30, 0x39]]);
const WORD = union(
  DIGITS,
  pointsOf([
    [0x41, 0x5a],
    [0x61, 0x7a],
  ]),
  pointsOfText("_"),
);
const SPACE = pointsOf(
  [0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x20, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000, 0xfeff]
    .map((point): [number, number] => [point, point])
    .concat([[0x2000, 0x200a]]),
);
const LINE_ENDS = pointsOf([
  [0x0a, 0x0a],
  [0x0d, 0x0d],
  [0x2028, 0x2029],
]);
const CLASSES: Record<string, Points> = {
  d: DIGITS,
  D: complement(DIGITS),
  w: WORD,
  W: complement(WORD),
  s: SPACE,
  S: complement(SPACE),
};
const CONTROLS: Record<string, number> = { n: 0x0a, r: 0x0d, t: 0x09, f: 0x0c, v: 0x0b, 0: 0 };
const SYNTAX = "^$\\.*+?()[]{}|/";
const MOST_REPEATS = 10_000;
/** Groups within groups; each is a call of the parser. */
const MOST_DEPTH = 200;

/** What must match as a whole; anchors may stand at its ends. Throws E_SHAPE with the place. */
export function parseRegex(source: string): Part {
  return new RegexParser(source).parse((part) => part);
}

/** What must match somewhere in a text, as `pattern` in schemas. */
export function parsePattern(source: string): Part {
  return new RegexParser(source).parse((part, atStart, atEnd) => {
    return sequence(...(atStart ? [] : [ANYTHING]), part, ...(atEnd ? [] : [ANYTHING]));
  });
}

type Whole = (part: Part, atStart: boolean, atEnd: boolean) => Part;

class RegexParser {
  private readonly characters: string[];
  private at = 0;
  private depth = 0;

  constructor(private readonly source: string) {
    this.characters = [...source];
  }

  parse(whole: Whole): Part {
    const branches: Part[] = [];
    do {
      const atStart = this.takes("^");
      const part = this.sequence();
      const atEnd = this.takes("$");
      branches.push(whole(part, atStart, atEnd));
    } while (this.takes("|"));
    if (this.at < this.characters.length) throw this.wrong(this.at, `"${this.characters[this.at]}" has no beginning`);
    return either(...branches);
  }

  private alternatives(): Part {
    if (++this.depth > MOST_DEPTH) throw this.wrong(this.at, `groups are nested deeper than ${MOST_DEPTH}`);
    const branches = [this.sequence()];
    while (this.takes("|")) branches.push(this.sequence());
    this.depth--;
    return either(...branches);
  }

  private sequence(): Part {
    const parts: Part[] = [];
    for (;;) {
      const next = this.peek();
      if (next === undefined || next === "|" || next === ")") break;
      if (next === "$" && (this.depth === 0 || parts.length === 0) && this.endsBranch()) break;
      parts.push(this.repeated(this.atom()));
    }
    return parts.length === 0 ? EMPTY : sequence(...parts);
  }

  /** Whether `$` here is the end of a branch of the whole expression. */
  private endsBranch(): boolean {
    const after = this.characters[this.at + 1];
    return this.depth === 0 && (after === undefined || after === "|");
  }

  private atom(): Part {
    const start = this.at;
    const next = this.take();
    if (next === "(") return this.group(start);
    if (next === "[") return set(this.characterClass(start));
    if (next === ".") return set(without(ANY, LINE_ENDS));
    if (next === "\\") return set(this.escape(start, false));
    if (next === "^" || next === "$")
      throw this.wrong(start, `"${next}" is understood only at the beginning and the end of the expression`);
    if ("*+?".includes(next)) throw this.wrong(start, `there is nothing to repeat before "${next}"`);
    if ("{}]".includes(next)) throw this.wrong(start, `"${next}" must be written "\\${next}"`);
    return set(pointsOfText(next));
  }

  private group(start: number): Part {
    if (this.takes("?")) {
      const kind = this.take();
      if (kind === "<" && this.peek() !== "=" && this.peek() !== "!") while (this.take() !== ">");
      else if (kind !== ":") throw this.wrong(start, "what looks ahead or back is not supported");
    }
    const part = this.alternatives();
    if (!this.takes(")")) throw this.wrong(start, `"(" has no end`);
    return part;
  }

  private repeated(part: Part): Part {
    const start = this.at;
    const next = this.peek();
    let bounds: [number, number] | undefined;
    if (next === "*") bounds = [0, Infinity];
    else if (next === "+") bounds = [1, Infinity];
    else if (next === "?") bounds = [0, 1];
    else if (next === "{") bounds = this.counted();
    if (!bounds) return part;
    if (next !== "{") this.at++;
    this.takes("?"); // a lazy repetition takes the same texts
    if (bounds[0] > bounds[1])
      throw this.wrong(start, `it repeats at least ${bounds[0]} and at most ${bounds[1]} times`);
    const most = Math.max(bounds[0], bounds[1] === Infinity ? 0 : bounds[1]);
    if (most > MOST_REPEATS) throw this.wrong(start, `it repeats ${most} times; at most ${MOST_REPEATS} are possible`);
    return repeat(part, ...bounds);
  }

  private counted(): [number, number] {
    const start = this.at;
    const match = /^\{(\d+)(,(\d*))?\}/.exec(this.characters.slice(this.at, this.at + 40).join(""));
    if (!match) throw this.wrong(start, `"{" must be written "\\{" where it is no repetition`);
    this.at += match[0].length;
    const [, least, range, most] = match;
    return [Number(least), range === undefined ? Number(least) : most === "" ? Infinity : Number(most)];
  }

  private characterClass(start: number): Points {
    const negated = this.takes("^");
    const sets: Points[] = [];
    while (!this.takes("]")) {
      if (this.peek() === undefined) throw this.wrong(start, `"[" has no end`);
      const from = this.member();
      if (this.peek() !== "-" || this.characters[this.at + 1] === "]") {
        sets.push(from);
        continue;
      }
      const dash = this.at++;
      const to = this.member();
      const [first, last] = [single(from), single(to)];
      if (first === undefined || last === undefined || first > last)
        throw this.wrong(dash, "the range is out of order, or one of its ends is no single character");
      sets.push(pointsOf([[first, last]]));
    }
    return negated ? complement(union(...sets)) : union(...sets);
  }

  private member(): Points {
    const start = this.at;
    const next = this.take();
    return next === "\\" ? this.escape(start, true) : pointsOfText(next);
  }

  private escape(start: number, inClass: boolean): Points {
    const next = this.take();
    if (next in CLASSES) return CLASSES[next];
    if (next === "b" && inClass) return pointsOf([[8, 8]]);
    if (next in CONTROLS) return pointsOf([[CONTROLS[next], CONTROLS[next]]]);
    if (next === "p" || next === "P") return this.property(start, next === "P");
    if (next === "x") return this.hex(start, 2);
    if (next === "u") return this.unicode(start);
    if (SYNTAX.includes(next) || (inClass && next === "-")) return pointsOfText(next);
    if (next === "b" || next === "B") throw this.wrong(start, `"\\${next}" (borders of words) is not supported`);
    if (/[1-9k]/.test(next)) throw this.wrong(start, `"\\${next}" (what a group matched) is not supported`);
    throw this.wrong(start, `"\\${next}" is no escape`);
  }

  private unicode(start: number): Points {
    if (this.takes("{")) {
      let digits = "";
      for (let next = this.take(); next !== "}"; next = this.take()) digits += next;
      const point = /^[0-9a-f]{1,6}$/i.test(digits) ? Number.parseInt(digits, 16) : Infinity;
      if (point > 0x10ffff) throw this.wrong(start, `"\\u{${digits}}" is no character`);
      return pointsOf([[point, point]]);
    }
    const first = this.digits(start, 4);
    if (first < 0xd800 || first > 0xdbff || this.peek() !== "\\") return pointsOf([[first, first]]);
    this.at += 2;
    const point = 0x10000 + ((first - 0xd800) << 10) + (this.digits(start, 4) - 0xdc00);
    return pointsOf([[point, point]]);
  }

  private hex(start: number, count: number): Points {
    const point = this.digits(start, count);
    return pointsOf([[point, point]]);
  }

  private digits(start: number, count: number): number {
    const digits = this.characters.slice(this.at, this.at + count).join("");
    if (digits.length < count || !/^[0-9a-f]+$/i.test(digits))
      throw this.wrong(start, `${count} hexadecimal digits must follow`);
    this.at += count;
    return Number.parseInt(digits, 16);
  }

  private property(start: number, negated: boolean): Points {
    if (!this.takes("{")) throw this.wrong(start, `the property's name must follow in braces`);
    let name = "";
    for (let next = this.take(); next !== "}"; next = this.take()) name += next;
    const points = pointsOfProperty(name);
    if (!points) throw this.wrong(start, `"${name.slice(0, 40)}" is no property of characters`);
    return negated ? complement(points) : points;
  }

  private peek(): string | undefined {
    return this.characters[this.at];
  }

  private take(): string {
    if (this.at >= this.characters.length) throw this.wrong(this.at, "it ends too early");
    return this.characters[this.at++];
  }

  private takes(one: string): boolean {
    if (this.peek() !== one) return false;
    this.at++;
    return true;
  }

  private wrong(at: number, problem: string) {
    const shown = this.source.length > 60 ? `${this.source.slice(0, 60)}…` : this.source;
    return shapeError(`The expression /${shown}/ is wrong at character ${at + 1}: ${problem}. Correct it.`, {
      at: at + 1,
    });
  }
}

function single(points: Points): number | undefined {
  return points.length === 1 && points[0][0] === points[0][1] ? points[0][0] : undefined;
}

const properties = new Map<string, Points>();

/** The characters that the engine's own expressions count to a property, such as "L" or "Script=Greek". */
function pointsOfProperty(name: string): Points | undefined {
  const known = properties.get(name);
  if (known) return known;
  let expression: RegExp;
  try {
    expression = new RegExp(`^\\p{${name}}$`, "u");
  } catch {
    return undefined;
  }
  const ranges: [number, number][] = [];
  for (const [first, last] of ANY) {
    for (let point = first; point <= last; point++) {
      if (!expression.test(String.fromCodePoint(point))) continue;
      const before = ranges.at(-1);
      if (before && before[1] === point - 1) before[1] = point;
      else ranges.push([point, point]);
    }
  }
  const points = pointsOf(ranges);
  properties.set(name, points);
  return points;
}
