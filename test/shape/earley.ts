/** Whether a text is one of a grammar, by Earley's algorithm: nothing of how it works is shared with the runtime's walk. */

import type { Grammar, Term } from "./gbnf.ts";

/** A place in an alternative, and where in the text its rule began. */
interface Item {
  rule: number;
  alternative: readonly Term[];
  dot: number;
  origin: number;
}

/** Items after one more character, each once, and those of them that wait for a rule. */
class Column {
  readonly items: Item[] = [];
  readonly waiting = new Map<number, Item[]>();
  private readonly seen = new Map<readonly Term[], Set<number>>();

  add(item: Item): void {
    const key = item.origin * (item.alternative.length + 1) + item.dot;
    let keys = this.seen.get(item.alternative);
    if (!keys) this.seen.set(item.alternative, (keys = new Set()));
    if (keys.has(key)) return;
    keys.add(key);
    this.items.push(item);
  }
}

export function recognises(grammar: Grammar, text: string): boolean {
  const { root, rules } = grammar;
  const nullable = nullableRules(grammar);
  const columns = [new Column()];
  const predict = (column: Column, rule: number, origin: number) => {
    for (const alternative of rules[rule]) column.add({ rule, alternative, dot: 0, origin });
  };
  predict(columns[0], root, 0);
  const points = [...text].map((character) => character.codePointAt(0)!);
  for (let at = 0; at <= points.length; at++) {
    const column = columns[at];
    const next = new Column();
    // Grows while it is walked.
    for (const item of column.items) {
      const symbol = item.alternative[item.dot];
      if (!symbol) {
        for (const other of columns[item.origin].waiting.get(item.rule) ?? [])
          column.add({ ...other, dot: other.dot + 1 });
      } else if (symbol.kind === "point") {
        if (at < points.length && takes(symbol, points[at])) next.add({ ...item, dot: item.dot + 1 });
      } else {
        const waiting = column.waiting.get(symbol.rule);
        if (waiting) waiting.push(item);
        else column.waiting.set(symbol.rule, [item]);
        predict(column, symbol.rule, at);
        // A rule that ends where it began may have ended before this one waited for it (Aycock and Horspool, 2002).
        if (nullable.has(symbol.rule)) column.add({ ...item, dot: item.dot + 1 });
      }
    }
    columns.push(next);
  }
  return columns[points.length].items.some(
    ({ rule, alternative, dot, origin }) => rule === root && origin === 0 && dot === alternative.length,
  );
}

function takes({ ranges, negated }: Term & { kind: "point" }, point: number): boolean {
  return ranges.some(([first, last]) => point >= first && point <= last) !== negated;
}

/** Rules that an empty text is one of. */
function nullableRules({ rules }: Grammar): Set<number> {
  const nullable = new Set<number>();
  const isEmpty = (alternative: readonly Term[]) =>
    alternative.every((symbol) => symbol.kind === "rule" && nullable.has(symbol.rule));
  for (let before = -1; before < nullable.size; ) {
    before = nullable.size;
    rules.forEach((alternatives, rule) => {
      if (alternatives.some(isEmpty)) nullable.add(rule);
    });
  }
  return nullable;
}
