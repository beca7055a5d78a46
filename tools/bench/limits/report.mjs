/** Measurements under limits as tables to read. */

import { align, formatRate } from "../peers/report.mjs";
import { formatMemory, shareOfUnlimited } from "./figures.mjs";

const formatSpread = ({ min, median, max }) => [min, median, max].map(formatRate).join(" / ");
const percent = (share) => (share === undefined ? "" : `${(share * 100).toFixed(0)} %`);
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;
const formatPeak = (bytes) => (bytes ? formatMemory(bytes) : "?");
/** By time only where reads are limited: elsewhere a prompt takes as long as its arithmetic. */
const formatPasses = (storage, { readBytesPerSecond }) => {
  if (!storage) return "";
  const { bytes, time } = storage.prefillPasses;
  return bytes.median.toFixed(2) + (readBytesPerSecond === undefined ? "" : ` / ${time.median.toFixed(2)}`);
};

function ourRow({ limit, ours }, unlimited) {
  if (ours.failed) return [limit.name, ours.failed, "", "", formatPeak(ours.peakBytes), "", "", "", "", ""];
  return [
    limit.name,
    ours.mode,
    megabytes(ours.pinnedBytes),
    ours.streamedBytesPerToken > 0 ? megabytes(ours.streamedBytesPerToken) : "",
    formatPeak(ours.peakBytes),
    formatSpread(ours.decode),
    percent(shareOfUnlimited(ours, unlimited)),
    ours.storage ? `${megabytes(ours.storage.bytesPerSecond)}/s` : "",
    percent(ours.storage?.share),
    formatPasses(ours.storage, limit),
  ];
}

const OUR_TITLES = [
  "PiPhi, limit",
  "mode",
  "stays",
  "streamed/token",
  "peak",
  "decode tok/s",
  "of unlimited",
  "storage",
  "of storage",
  "prompt's passes",
];

function theirRow({ limit, llama }, unlimited) {
  const speed = llama.decode ? formatSpread(llama.decode) : llama.failed;
  return [limit.name, formatPeak(llama.peakBytes), speed, percent(shareOfUnlimited(llama, unlimited))];
}

function formatMapped({ start, anonymousBytes, contextLength }) {
  const ms = [start.min, start.median, start.max].map((value) => (value / 1000).toFixed(2)).join(" / ");
  return (
    `mapped, no limit: start to first token ${ms} s; ${megabytes(anonymousBytes)} of anonymous memory ` +
    `at a context of ${contextLength}\n`
  );
}

/** Two processes with one pack. */
export function formatShared({ processes, sharedBytes, weightBytes }) {
  const rows = processes.map(({ rss, pss, private: own }, i) => [`${i + 1}`, ...[rss, pss, own].map(megabytes)]);
  const together = ["both", "", megabytes(processes.reduce((sum, { pss }) => sum + pss, 0)), ""];
  return `${align([["process", "RSS", "PSS", "private"], ...rows, together])}shared: ${megabytes(sharedBytes)} of ${megabytes(weightBytes)} of weights\n`;
}

const formatCopy = ({ name, tokens, passes, plainPasses, accepted, proposed }) => [
  name,
  `${tokens}`,
  `${plainPasses}`,
  `${passes}`,
  `x${(plainPasses / passes).toFixed(1)}`,
  `${accepted} of ${proposed}`,
];
const COPY_TITLES = ["speculation", "tokens", "passes without", "passes with", "fewer", "guesses right"];

/** What was measured, as text; parts that were not may be left out. */
export function formatLimits({ machine, model, settings, rows, mapped, shared = undefined, copies, absent }) {
  const memory = `${(machine.memoryBytes / 2 ** 30).toFixed(0)} GiB`;
  const head =
    `${machine.cpu}, ${machine.cores} cores, ${memory}, ${machine.kernel}, ${machine.date.slice(0, 10)}\n` +
    `${model.name}, ${megabytes(model.bytes)}; threads: ${settings.threads}; tok/s as min / median / max; ` +
    `passes of a prompt of ${settings.promptTokens} tokens by bytes / by time where reads are limited; peaks with the page cache\n`;
  const unlimited = rows.find(({ limit }) => limit.memoryBytes === undefined);
  const blocks = [head];
  if (rows.length > 0) blocks.push(align([OUR_TITLES, ...rows.map((row) => ourRow(row, unlimited?.ours))]));
  const theirs = rows.filter(({ llama }) => llama);
  if (theirs.length > 0) {
    const titles = ["llama.cpp, limit", "peak", "decode tok/s", "of unlimited"];
    blocks.push(align([titles, ...theirs.map((row) => theirRow(row, unlimited?.llama))]));
  }
  if (mapped) blocks.push(formatMapped(mapped));
  if (shared) blocks.push(formatShared(shared));
  if (copies) blocks.push(align([COPY_TITLES, ...copies.map(formatCopy)]));
  const failures = rows.flatMap(({ limit, ours, llama }) => [
    ...(ours.failed ? [`PiPhi, ${limit.name}: ${ours.message}\n`] : []),
    ...(llama?.failed === "failed" ? [`llama.cpp, ${limit.name}: ${llama.message}\n`] : []),
  ]);
  const missing = Object.entries(absent).map(([what, reason]) => `not measured: ${what} (${reason})\n`);
  if (failures.length + missing.length > 0) blocks.push([...failures, ...missing].join(""));
  return blocks.join("\n");
}
