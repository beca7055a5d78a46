/** How results look: units, aligned columns, colours, JSON. */

import type { Environment, Output } from "./context.ts";

/** Decimal units, as files are sold and as GB/s are counted: 812 B, 1.60 GB. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  const power = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  const decimals = power === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(decimals)} ${units[power]}`;
}

/** 34 ms, 1.25 s. */
export function formatMs(ms: number): string {
  return ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)} ms` : `${(ms / 1000).toFixed(2)} s`;
}

/** One decimal; a dash for what could not be measured. */
export function formatRate(value: number): string {
  return Number.isFinite(value) ? value.toFixed(1) : "-";
}

/** Tokens a second: 12.3, 4.56, 0.034; one a minute is a speed too. */
export function formatSpeed(value: number): string {
  return value >= 10 ? value.toFixed(1) : value >= 1 ? value.toFixed(2) : value.toPrecision(2);
}

/** 2,779,683,840 */
export function formatCount(count: number): string {
  return count.toLocaleString("en-US");
}

export function plural(count: number, noun: string): string {
  return `${formatCount(count)} ${noun}${count === 1 ? "" : "s"}`;
}

const escaped = (character: string) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;

/**
 * Text whose origin is a file or a model, made harmless for a terminal: control characters, and those that turn the direction
 * of what follows, show as \u001b.
 */
export function printable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are the point
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, escaped);
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: colours do not count as width
const COLOUR = /\u001b\[\d+m/g;
const width = (cell: string) => cell.replace(COLOUR, "").length;

/**
 * Rows as lines, two spaces between columns, no blanks at line ends. `align` has one letter a column, "l" (default)
 * or "r". A row may be shorter than others.
 */
export function columns(rows: readonly (readonly string[])[], align = "", indent = 2): string {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, width(cell));
    });
  }
  const lines = rows.map((row) => {
    const cells = row.map((cell, column) => {
      const blanks = " ".repeat(widths[column] - width(cell));
      return align[column] === "r" ? blanks + cell : cell + blanks;
    });
    return `${" ".repeat(indent)}${cells.join("  ")}`.trimEnd();
  });
  return lines.map((line) => `${line}\n`).join("");
}

export interface Palette {
  bold(text: string): string;
  dim(text: string): string;
  red(text: string): string;
  green(text: string): string;
}

/** Colours for a terminal; plain text for files, pipes, dumb terminals and where NO_COLOR is set (no-color.org). */
export function palette(stream: Output, env: Environment): Palette {
  const on = stream.isTTY === true && !env.NO_COLOR && env.TERM !== "dumb";
  const paint = (code: number, off: number) => (text: string) => (on ? `\u001b[${code}m${text}\u001b[${off}m` : text);
  return { bold: paint(1, 22), dim: paint(2, 22), red: paint(31, 39), green: paint(32, 39) };
}

/** What JSON leaves as it is in texts but a terminal obeys: C1 controls, changes of direction; and lines' other ends. */
const STEERING = /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

/** The one document of `--json`: a line in a pipe, indented on a terminal. */
export function writeJson(stream: Output, document: unknown): void {
  const json = JSON.stringify(document, null, stream.isTTY ? 2 : undefined);
  stream.write(`${json.replace(STEERING, escaped)}\n`);
}
