/**
 * Grammars in GBNF, as llama.cpp reads them:
 *
 *   root  ::= "yes" | "no" ws reason      # a comment
 *   reason ::= [a-z ]{1,40} | ( "x" root )?
 */

import { shapeError } from "./network.ts";
import { EMPTY, either, type Part, type Rules, repeat, rule, sequence, set, text } from "./part.ts";
import { ANY, complement, pointsOf } from "./points.ts";

const NAME = /[a-zA-Z0-9-]/;
const ESCAPES: Record<string, string> = { n: "\n", r: "\r", t: "\t", "\\": "\\", '"': '"', "[": "[", "]": "]" };
const HEX_LENGTHS: Record<string, number> = { x: 2, u: 4, U: 8 };
const MOST_REPEATS = 10_000;
const MOST_DEPTH = 200;

/** Throws E_SHAPE with line and column. */
export function parseGrammar(source: string): Rules {
  return new GrammarParser(source).parse();
}

class GrammarParser {
  private at = 0;
  private depth = 0;
  private readonly rules = new Map<string, Part>();
  /** Where each rule is called for the first time. */
  private readonly called = new Map<string, number>();

  constructor(private readonly source: string) {}

  parse(): Rules {
    for (this.space(true); this.at < this.source.length; this.space(true)) this.parseRule();
    for (const [name, at] of this.called) if (!this.rules.has(name)) throw this.wrong(at, `there is no rule "${name}"`);
    if (!this.rules.has("root")) throw this.wrong(0, 'there is no rule "root", with which answers begin');
    return { root: "root", rules: this.rules };
  }

  private parseRule(): void {
    const start = this.at;
    const name = this.name();
    if (this.rules.has(name)) throw this.wrong(start, `rule "${name}" is there twice`);
    this.space(false);
    if (!this.source.startsWith("::=", this.at)) throw this.wrong(this.at, `"::=" must follow the rule's name`);
    this.at += 3;
    this.space(true);
    this.rules.set(name, this.alternatives(false));
    this.space(false);
    if (this.at < this.source.length && !/[\r\n]/.test(this.source[this.at]))
      throw this.wrong(this.at, `"${this.source[this.at]}" is not understood`);
  }

  private alternatives(nested: boolean): Part {
    if (++this.depth > MOST_DEPTH) throw this.wrong(this.at, `groups are nested deeper than ${MOST_DEPTH}`);
    const branches = [this.sequence(nested)];
    while (this.source[this.at] === "|") {
      this.at++;
      this.space(true);
      branches.push(this.sequence(nested));
    }
    this.depth--;
    return either(...branches);
  }

  private sequence(nested: boolean): Part {
    const parts: Part[] = [];
    for (;;) {
      const item = this.item();
      if (!item) break;
      parts.push(this.repeated(item));
      this.space(nested);
    }
    return parts.length === 0 ? EMPTY : sequence(...parts);
  }

  private item(): Part | undefined {
    const start = this.at;
    const next = this.source[this.at];
    if (next === undefined) return undefined;
    if (next === '"') return this.literal();
    if (next === "[") return this.characterClass();
    if (next === ".") {
      this.at++;
      return set(ANY);
    }
    if (next === "<" || next === "!") throw this.wrong(start, "tokens by name are not supported; write their text");
    if (next === "(") {
      this.at++;
      this.space(true);
      const part = this.alternatives(true);
      this.space(true);
      if (this.source[this.at] !== ")") throw this.wrong(start, `"(" has no end`);
      this.at++;
      return part;
    }
    if (!NAME.test(next)) return undefined;
    const name = this.name();
    if (!this.called.has(name)) this.called.set(name, start);
    return rule(name);
  }

  private repeated(item: Part): Part {
    let part = item;
    for (;;) {
      this.space(false);
      const next = this.source[this.at];
      if (next === "*") part = repeat(part, 0);
      else if (next === "+") part = repeat(part, 1);
      else if (next === "?") part = repeat(part, 0, 1);
      else if (next === "{") {
        part = repeat(part, ...this.counted());
        continue;
      } else return part;
      this.at++;
    }
  }

  private counted(): [number, number] {
    const start = this.at;
    const match = /^\{\s*(\d+)\s*(,\s*(\d*)\s*)?\}/.exec(this.source.slice(start, start + 60));
    if (!match) throw this.wrong(start, `"{" must begin a repetition such as {2}, {2,} or {2,5}`);
    const [all, first, range, last] = match;
    const bounds: [number, number] = [
      Number(first),
      range === undefined ? Number(first) : last === "" ? Infinity : Number(last),
    ];
    if (bounds[0] > bounds[1])
      throw this.wrong(start, `it repeats at least ${bounds[0]} and at most ${bounds[1]} times`);
    if (Math.max(bounds[0], bounds[1] === Infinity ? 0 : bounds[1]) > MOST_REPEATS)
      throw this.wrong(start, `at most ${MOST_REPEATS} repetitions are possible`);
    this.at += all.length;
    return bounds;
  }

  private literal(): Part {
    const start = this.at++;
    let literal = "";
    while (this.source[this.at] !== '"') literal += this.character(start, `the text has no end`);
    this.at++;
    return text(literal);
  }

  private characterClass(): Part {
    const start = this.at++;
    const negated = this.source[this.at] === "^";
    if (negated) this.at++;
    const ranges: [number, number][] = [];
    while (this.source[this.at] !== "]") {
      const first = this.character(start, `"[" has no end`).codePointAt(0)!;
      const isRange = this.source[this.at] === "-" && this.source[this.at + 1] !== "]";
      if (isRange) this.at++;
      const last = isRange ? this.character(start, `"[" has no end`).codePointAt(0)! : first;
      if (last < first) throw this.wrong(this.at, "the range is out of order");
      ranges.push([first, last]);
    }
    this.at++;
    return set(negated ? complement(pointsOf(ranges)) : pointsOf(ranges));
  }

  /** One character, which may be written as an escape. */
  private character(start: number, unended: string): string {
    const point = this.source.codePointAt(this.at);
    if (point === undefined || point === 0x0a) throw this.wrong(start, unended);
    const one = String.fromCodePoint(point);
    this.at += one.length;
    if (one !== "\\") return one;
    const kind = this.source[this.at++];
    if (kind in ESCAPES) return ESCAPES[kind];
    const length = HEX_LENGTHS[kind];
    const digits = this.source.slice(this.at, this.at + (length ?? 0));
    const value = Number.parseInt(digits, 16);
    if (length === undefined || !/^[0-9a-fA-F]+$/.test(digits) || digits.length < length || value > 0x10ffff)
      throw this.wrong(this.at - 2, `"\\${kind ?? ""}" is no escape`);
    this.at += length;
    return String.fromCodePoint(value);
  }

  private name(): string {
    const start = this.at;
    while (this.at < this.source.length && NAME.test(this.source[this.at])) this.at++;
    if (this.at === start) throw this.wrong(start, "a rule's name is expected");
    return this.source.slice(start, this.at);
  }

  /** White space and comments; a rule ends at the end of its line. */
  private space(lines: boolean): void {
    const blank = lines ? /[ \t\r\n]/ : /[ \t]/;
    for (;;) {
      while (this.at < this.source.length && blank.test(this.source[this.at])) this.at++;
      if (this.source[this.at] !== "#") return;
      while (this.at < this.source.length && !/[\r\n]/.test(this.source[this.at])) this.at++;
    }
  }

  private wrong(at: number, problem: string) {
    const before = this.source.slice(0, at).split("\n");
    const [line, column] = [before.length, before.at(-1)!.length + 1];
    return shapeError(`The grammar is wrong at line ${line}, column ${column}: ${problem}. Correct it.`, {
      line,
      column,
    });
  }
}
