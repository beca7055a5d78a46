/** What pairs of timings say about two builds of a kernel. */

import { align, formatRate } from "../peers/report.mjs";

/** The value below which a share of the sorted numbers lies, interpolated. */
function quantile(sorted, share) {
  const at = share * (sorted.length - 1);
  const low = Math.floor(at);
  return sorted[low] + (at - low) * (sorted[Math.ceil(at)] - sorted[low]);
}

/**
 * Each ratio is the time of the second build over that of the first, measured one right after the other.
 * "slower" and "faster" need both: a median beyond the threshold (0.05 = 5 %), and three quarters of the pairs on
 * that side of 1. Anything else is "same": the difference is small, or no larger than what comes and goes.
 * @param {number[]} ratios At least one.
 */
export function judge(ratios, threshold) {
  const sorted = ratios.toSorted((a, b) => a - b);
  const [low, median, high] = [0.25, 0.5, 0.75].map((share) => quantile(sorted, share));
  const slower = median > 1 + threshold && low > 1;
  const faster = median < 1 / (1 + threshold) && high < 1;
  return { low, median, high, verdict: slower ? "slower" : faster ? "faster" : "same" };
}

/** The exit code: 1 if anything became slower, or if nothing could be compared. */
export function exitCodeOf(results) {
  return results.length === 0 || results.some(({ verdict }) => verdict === "slower") ? 1 : 0;
}

const formatRatio = (ratio) => `x${ratio.toFixed(3)}`;

/** @param {{build: string, name: string, unit: string, first: number, second: number, low: number, median: number, high: number, verdict: string}[]} results */
export function formatComparison(revisions, results, skipped, threshold) {
  const [first, second] = revisions;
  const titles = ["kernel", first, second, "unit", "time ratio", "middle half", ""];
  const rows = results.map((result) => [
    `${result.build}: ${result.name}`,
    ...[formatRate(result.first), formatRate(result.second), result.unit],
    formatRatio(result.median),
    `${formatRatio(result.low)} - ${formatRatio(result.high)}`,
    result.verdict === "same" ? "" : result.verdict,
  ]);
  const blocks = rows.length > 0 ? [align([titles, ...rows])] : [];
  const notes = skipped.map(({ build, name, reason }) => `not compared: ${build}: ${name} (${reason})\n`);
  if (notes.length > 0) blocks.push(notes.join(""));
  const count = (verdict) => results.filter((result) => result.verdict === verdict).length;
  const limit = `${(threshold * 100).toFixed(0)} %`;
  blocks.push(
    results.length === 0
      ? "Nothing could be compared.\n"
      : `${results.length} compared, ${count("slower")} slower and ${count("faster")} faster by more than ${limit}.\n`,
  );
  return blocks.join("\n");
}
