/** Measurements as numbers to compare and as a table to read. */

/** @param {number[]} values At least one. */
export function spread(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
  return { min: sorted[0], median, max: sorted[sorted.length - 1] };
}

/** Ours relative to each peer with as many threads; medians of speed, peak memory. Above 1: ours has more. */
export function ratiosOf(results) {
  const peers = results.filter(({ peer }) => peer);
  return results
    .filter(({ peer }) => !peer)
    .flatMap((ours) =>
      peers
        .filter(({ threads }) => threads === ours.threads)
        .map((peer) => ({
          engine: ours.engine,
          peer: peer.engine,
          threads: ours.threads,
          prefill: ours.prefill.median / peer.prefill.median,
          decode: ours.decode.median / peer.decode.median,
          memory: ours.peakBytes && peer.peakBytes ? ours.peakBytes / peer.peakBytes : null,
        })),
    );
}

/** Columns as wide as their widest cell; the first one to the left, the others to the right. */
export function align(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const cell = (text, column) => (column === 0 ? text.padEnd(widths[0]) : text.padStart(widths[column]));
  return rows.map((row) => `${row.map(cell).join("  ").trimEnd()}\n`).join("");
}

/** "0.91", "12.3" */
export const formatRate = (value) => value.toFixed(value < 10 ? 2 : 1);
const formatSpread = ({ min, median, max }) => [min, median, max].map(formatRate).join(" / ");
const formatGigabytes = (bytes) => (bytes ? `${(bytes / 1e9).toFixed(2)} GB` : "?");
/** What decode reads of what this machine can read, both a second. */
const formatBandwidth = (bandwidth) =>
  bandwidth ? `${(bandwidth.share * 100).toFixed(0)} % of ${bandwidth.gigabytesPerSecond.toFixed(1)} GB/s` : "";
const formatRatio = (ratio) => (ratio ? `x${ratio.toFixed(2)}` : "?");

/** Of PiPhi on several Nodes, which one decodes fastest, and by how much each other is slower; nothing of a single one. */
function fastestOf(results) {
  const ours = results.filter(({ peer }) => !peer);
  const most = Math.max(...ours.map(({ threads }) => threads));
  const [first, ...others] = ours
    .filter(({ threads }) => threads === most)
    .toSorted((a, b) => b.decode.median - a.decode.median);
  if (others.length === 0) return "";
  const slower = others.map(({ engine, decode }) => `${engine} ${formatRatio(decode.median / first.decode.median)}`);
  return `fastest at decode with ${most} ${most === 1 ? "thread" : "threads"}: ${first.engine} (${slower.join(", ")})\n`;
}

/** The results and the ratios, as text. */
export function formatReport({ machine, model, results, ratios, absent }) {
  const memory = `${(machine.memoryBytes / 2 ** 30).toFixed(0)} GiB`;
  const lines = [
    `${machine.cpu}, ${machine.cores} cores, ${memory}, ${machine.kernel}, ${machine.date.slice(0, 10)}`,
    `${model.name}, ${formatGigabytes(model.bytes)}; tok/s as min / median / max; tokens as prompt + generated`,
  ];
  const withBandwidth = results.some(({ bandwidth }) => bandwidth);
  const measured = results.map((result) => [
    result.engine,
    `${result.threads}`,
    `${result.promptTokens} + ${result.generateTokens}`,
    formatSpread(result.prefill),
    formatSpread(result.decode),
    (result.loadMs / 1000).toFixed(1),
    formatGigabytes(result.peakBytes),
    ...(withBandwidth ? [formatBandwidth(result.bandwidth)] : []),
  ]);
  const compared = ratios.map(({ engine, peer, threads, prefill, decode, memory }) => [
    `${engine} : ${peer}`,
    `${threads}`,
    ...[prefill, decode, memory].map(formatRatio),
  ]);
  const titles = ["engine", "threads", "tokens", "prefill tok/s", "decode tok/s", "load s", "peak memory"];
  if (withBandwidth) titles.push("of bandwidth");
  const blocks = [`${lines.join("\n")}\n`];
  if (measured.length > 0) blocks.push(align([titles, ...measured]));
  if (compared.length > 0) blocks.push(align([["ratio", "threads", "prefill", "decode", "memory"], ...compared]));
  const fastest = fastestOf(results);
  if (fastest !== "") blocks.push(fastest);
  const missing = Object.entries(absent).map(([engine, reason]) => `not measured: ${engine} (${reason})\n`);
  if (missing.length > 0) blocks.push(missing.join(""));
  return blocks.join("\n");
}
