/**
 * Reads GBNF as llama.cpp does, apart from the runtime's reader, so that one can judge the other. Rules become plain
 * productions of sets of code points and names; groups and repetitions are rules of their own.
 */

/** Code points from the first to the last. */
export type PointRange = readonly [first: number, last: number];

export type Term = { kind: "point"; ranges: readonly PointRange[]; negated: boolean } | { kind: "rule"; rule: number };

export interface Grammar {
  root: number;
  /** Of each rule its alternatives, each a sequence. */
  rules: readonly (readonly (readonly Term[])[])[];
}

const LAST_POINT = 0x10ffff;
const HEX_DIGITS: Record<string, number> = { x: 2, u: 4, U: 8 };
const PLAIN_ESCAPES: Record<string, string> = { t: "\t", r: "\r", n: "\n", "\\": "\\", '"': '"', "[": "[", "]": "]" };

/** Throws a SyntaxError for what is no grammar, is not complete or has no root. */
export function readGbnf(text: string): Grammar {
  return new GbnfReader(text).read();
}

class GbnfReader {
  private readonly characters: readonly string[];
  private at = 0;
  private readonly names = new Map<string, number>();
  private readonly rules: Term[][][] = [];

  constructor(text: string) {
    this.characters = [...text];
  }

  read(): Grammar {
    this.space(true);
    while (this.at < this.characters.length) this.rule();
    for (const [name, rule] of this.names) {
      if (this.rules[rule].length === 0) throw new SyntaxError(`rule ${name} is not defined`);
    }
    const root = this.names.get("root");
    if (root === undefined) throw new SyntaxError("there is no rule root");
    return { root, rules: this.rules };
  }

  private get next(): string {
    return this.characters[this.at] ?? "";
  }

  private fail(expected: string): never {
    throw new SyntaxError(`character ${this.at}: ${expected} expected`);
  }

  private take(character: string): void {
    if (this.next !== character) this.fail(character);
    this.at++;
  }

  private space(newlines: boolean): void {
    const blank = newlines ? /^[ \t\r\n]$/ : /^[ \t]$/;
    while (blank.test(this.next) || this.next === "#") {
      if (this.next === "#") this.run(/[^\r\n]/, "a comment");
      else this.at++;
    }
  }

  private run(pattern: RegExp, what: string): string {
    const from = this.at;
    while (pattern.test(this.next)) this.at++;
    if (from === this.at) this.fail(what);
    return this.characters.slice(from, this.at).join("");
  }

  private newRule(): number {
    return this.rules.push([]) - 1;
  }

  private named(name: string): number {
    let rule = this.names.get(name);
    if (rule === undefined) this.names.set(name, (rule = this.newRule()));
    return rule;
  }

  private rule(): void {
    const rule = this.named(this.run(/[\w-]/, "a name"));
    this.space(false);
    for (const character of "::=") this.take(character);
    this.space(true);
    this.rules[rule] = this.alternatives(false);
    if (this.next !== "" && !/[\r\n]/.test(this.next)) this.fail("the line's end");
    this.space(true);
  }

  private alternatives(nested: boolean): Term[][] {
    const all = [this.sequence(nested)];
    while (this.next === "|") {
      this.at++;
      this.space(true);
      all.push(this.sequence(nested));
    }
    return all;
  }

  private sequence(nested: boolean): Term[] {
    /** What a sign of repetition behind it repeats. */
    const items: Term[][] = [];
    for (;;) {
      const counts = this.counts(nested);
      if (counts) {
        const item = items.pop();
        if (!item) this.fail("something to repeat");
        items.push(this.repeated(item, ...counts));
        continue;
      }
      const item = this.item();
      if (!item) return items.flat();
      items.push(item);
      this.space(nested);
    }
  }

  private item(): Term[] | undefined {
    if (this.next === '"') return this.literal();
    if (this.next === "[") return [this.pointClass()];
    if (this.next === ".") {
      this.at++;
      return [{ kind: "point", ranges: [[0, LAST_POINT]], negated: false }];
    }
    if (this.next === "(") {
      this.at++;
      this.space(true);
      const rule = this.newRule();
      this.rules[rule] = this.alternatives(true);
      this.take(")");
      return [{ kind: "rule", rule }];
    }
    if (!/[\w-]/.test(this.next)) return undefined;
    return [{ kind: "rule", rule: this.named(this.run(/[\w-]/, "a name")) }];
  }

  private literal(): Term[] {
    this.take('"');
    const symbols: Term[] = [];
    while (this.next !== '"') {
      const point = this.point();
      symbols.push({ kind: "point", ranges: [[point, point]], negated: false });
    }
    this.take('"');
    return symbols;
  }

  private pointClass(): Term {
    this.take("[");
    const negated = this.next === "^";
    if (negated) this.at++;
    const ranges: PointRange[] = [];
    while (this.next !== "]") {
      const first = this.point();
      const isRange = this.next === "-" && this.characters[this.at + 1] !== "]";
      if (isRange) this.at++;
      ranges.push([first, isRange ? this.point() : first]);
    }
    this.take("]");
    return { kind: "point", ranges, negated };
  }

  private point(): number {
    const character = this.next;
    if (character === "") this.fail("more");
    this.at++;
    if (character !== "\\") return character.codePointAt(0)!;
    const escaped = this.next;
    this.at++;
    if (escaped in PLAIN_ESCAPES) return PLAIN_ESCAPES[escaped].charCodeAt(0);
    if (!(escaped in HEX_DIGITS)) this.fail("an escape");
    const digits = this.characters.slice(this.at, this.at + HEX_DIGITS[escaped]).join("");
    if (digits.length < HEX_DIGITS[escaped] || !/^[\da-fA-F]+$/.test(digits)) this.fail("hexadecimal digits");
    this.at += digits.length;
    return Number.parseInt(digits, 16);
  }

  private counts(nested: boolean): [least: number, most: number] | undefined {
    const sign = this.next;
    if (!/^[*+?{]$/.test(sign)) return undefined;
    this.at++;
    this.space(nested);
    if (sign !== "{") return sign === "*" ? [0, Infinity] : sign === "+" ? [1, Infinity] : [0, 1];
    const least = this.number(nested);
    let most = least;
    if (this.next === ",") {
      this.at++;
      this.space(nested);
      most = /\d/.test(this.next) ? this.number(nested) : Infinity;
    }
    this.take("}");
    this.space(nested);
    return [least, most];
  }

  private number(nested: boolean): number {
    const digits = this.run(/\d/, "a number");
    this.space(nested);
    return Number(digits);
  }

  /** `S{m,n}` is S m times and then a rule that may go on n - m times. */
  private repeated(item: readonly Term[], least: number, most: number): Term[] {
    const symbols = Array.from({ length: least }, () => item).flat();
    if (most === Infinity) {
      const rule = this.newRule();
      this.rules[rule] = [[], [...item, { kind: "rule", rule }]];
      symbols.push({ kind: "rule", rule });
      return symbols;
    }
    let rest: Term[] = [];
    for (let i = least; i < most; i++) {
      const rule = this.newRule();
      this.rules[rule] = [[], [...item, ...rest]];
      rest = [{ kind: "rule", rule }];
    }
    return [...symbols, ...rest];
  }
}
