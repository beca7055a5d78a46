/** Scores as a table in Markdown, one column a reader. */

import type { Score, Share } from "./score.ts";

const percent = ({ right, count }: Share): string => (count === 0 ? "-" : `${((100 * right) / count).toFixed(1)} %`);
const fraction = ({ right, count }: Share): string => `${percent({ right, count })} (${right}/${count})`;

type Column = readonly [reader: string, score: Score];

function table(title: string, columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const head = [title, ...columns.map(([reader]) => reader)];
  const line = (cells: readonly string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), `|---|${columns.map(() => "---|").join("")}`, ...rows.map(line)].join("\n");
}

/** One row a group; `of` picks the shares. */
function groups(
  title: string,
  columns: readonly Column[],
  of: (score: Score) => Readonly<Record<string, Share>>,
): string {
  const names = Object.keys(of(columns[0][1]));
  const rows = names.map((name) => [
    `${name} (${of(columns[0][1])[name].count})`,
    ...columns.map(([, score]) => percent(of(score)[name])),
  ]);
  return table(title, columns, rows);
}

function calibration([reader, { tenths, calibrationError }]: Column): string {
  if (calibrationError === undefined) return `${reader} gives no confidence.`;
  const rows = tenths
    .filter(({ count }) => count > 0)
    .map((tenth) => [
      `${tenth.from.toFixed(1)} to ${(tenth.from + 0.1).toFixed(1)}`,
      `${tenth.count}`,
      tenth.confidence.toFixed(3),
      percent(tenth),
    ]);
  const head = `| confidence of ${reader} | answers | mean | right |\n|---|---|---|---|\n`;
  const error = `Expected calibration error: ${(100 * calibrationError).toFixed(1)} %.`;
  return `${head}${rows.map((row) => `| ${row.join(" | ")} |`).join("\n")}\n\n${error}`;
}

export function report(columns: readonly Column[]): string {
  const row = (name: string, cell: (score: Score) => string) => [name, ...columns.map(([, score]) => cell(score))];
  const total = table(`${columns[0][1].same.count} sentences`, columns, [
    row("exact", ({ exact }) => fraction(exact)),
    row("same effect", ({ same }) => fraction(same)),
    row("commands, same effect", ({ commands }) => fraction(commands)),
    row("small talk left alone", ({ leftAlone }) => fraction(leftAlone)),
    row("commands refused", ({ refused }) => fraction(refused)),
    row("time, median", ({ medianMs }) => `${medianMs.toFixed(1)} ms`),
    row("time, 95th percentile", ({ p95Ms }) => `${p95Ms.toFixed(1)} ms`),
  ]);
  return [
    total,
    groups("intent (sentences), same effect", columns, ({ intents }) => intents),
    groups("kind (sentences), same effect", columns, ({ kinds }) => kinds),
    ...columns.map(calibration),
  ].join("\n\n");
}
