/** Micro-benchmarks as a table. */

import { align, formatRate } from "../peers/report.mjs";

/** @param {{build: string, name: string, unit: string, values: {min: number, median: number, max: number}}[]} results */
export function formatKernels(results, skipped) {
  const rows = results.map(({ build, name, unit, values: { min, median, max } }) => [
    `${build}: ${name}`,
    ...[min, median, max].map(formatRate),
    unit,
  ]);
  const notes = skipped.map(({ build, name, reason }) => `not measured: ${build}: ${name} (${reason})\n`);
  const blocks = rows.length > 0 ? [align([["kernel", "min", "median", "max", "unit"], ...rows])] : [];
  if (notes.length > 0) blocks.push(notes.join(""));
  return blocks.join("\n");
}
