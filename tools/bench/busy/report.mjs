/** What a busy core costs, and what more threads than cores cost, as tables. */

import { align, formatRate } from "../peers/report.mjs";

const formatSpread = ({ min, median, max }) => [min, median, max].map(formatRate).join(" / ");

/** The share of its quiet speed that an engine keeps, by medians. */
export const shareKept = ({ quiet, busy }) => busy.median / quiet.median;

/** @param {{engine: string, threads: number, quiet: {min: number, median: number, max: number}, busy: {min: number, median: number, max: number}}[]} results */
export function formatBusy(results) {
  const titles = ["engine", "threads", "quiet, decode tok/s", "one core busy", "keeps"];
  const rows = results.map((result) => [
    result.engine,
    `${result.threads}`,
    formatSpread(result.quiet),
    formatSpread(result.busy),
    `${(shareKept(result) * 100).toFixed(0)} %`,
  ]);
  return align([titles, ...rows]);
}

export function formatSweep(results) {
  const titles = ["engine", "cores", "threads", "prefill tok/s", "decode tok/s"];
  const rows = results.map(({ engine, cores, threads, prefill, decode }) => [
    engine,
    ...[cores, threads].map(String),
    ...[prefill, decode].map(formatSpread),
  ]);
  return align([titles, ...rows]);
}
