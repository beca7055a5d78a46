/** Starts as a table. */

import { align } from "../peers/report.mjs";

const seconds = (ms) => (ms / 1000).toFixed(2);

/** @param {{engine: string, threads: number, contextLength: number, ms: {min: number, median: number, max: number}}[]} results */
export function formatStarts(results) {
  const titles = ["engine", "threads", "context", "start to first token, s"];
  const rows = results.map(({ engine, threads, contextLength, ms: { min, median, max } }) => [
    engine,
    `${threads}`,
    `${contextLength}`,
    [min, median, max].map(seconds).join(" / "),
  ]);
  return align([titles, ...rows]);
}
