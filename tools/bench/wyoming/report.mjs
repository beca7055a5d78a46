/** What was measured, beside what it should be. */

import { formatGoals } from "../many/report.mjs";

export function goalsOf({ startMs, alone, crowded, memory }) {
  return [
    { name: "start to the first describe, median ms", value: startMs.median, most: 600 },
    { name: "sentence to intent, median ms", value: alone.ms.median, most: 50 },
    { name: "sentence to intent, 95th percentile ms", value: alone.ms.p95, most: 120 },
    { name: "the same in a crowd, median, times", value: crowded.ms.median / alone.ms.median, most: 1.3 },
    ...(memory ? [{ name: "resident memory, MB", value: memory.residentKb / 1000, most: 150 }] : []),
  ];
}

export function formatWyoming({ alone, crowded }, goals) {
  const outcomes = Object.entries(alone.outcomes).map(([name, count]) => `${count} ${name}`);
  const { median, p95 } = crowded.ms;
  return [
    `${formatGoals(goals)}\n`,
    `${alone.ms.n} sentences: ${outcomes.join(", ")}\n`,
    `in a crowd: median ${median.toFixed(0)} ms, 95th percentile ${p95.toFixed(0)} ms\n`,
  ].join("");
}
