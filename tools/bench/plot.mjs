/**
 * Draws what peers.mjs measured: node tools/bench/plot.mjs FILE.json OUT.svg
 * Bars are medians, whiskers reach from the slowest to the fastest round. Follows the reader's light or dark mode.
 */

import { readFileSync, writeFileSync } from "node:fs";
import { formatRate } from "./peers/report.mjs";
import { document, factsOf, round, text } from "./plot/svg.mjs";

const WIDTH = 760;
const LEFT = 24;
const BAR_LEFT = 252;
const BAR_WIDTH = 382;
const ROW = 26;
const BAR = 16;
const PANEL_GAP = 34;

/** One bar with its name, whisker and value; `scale` in pixels per token/s. */
function bar({ engine, peer, ...result }, phase, y, scale) {
  const { min, median, max } = result[phase];
  const middle = y + BAR / 2;
  const [from, to, end] = [min, max, median].map((value) => round(BAR_LEFT + value * scale));
  const parts = [
    text(LEFT, y + 13, engine),
    `<rect x="${BAR_LEFT}" y="${y}" width="${round(median * scale)}" height="${BAR}" rx="2" class="${peer ? "peer" : "ours"}"/>`,
    text(Math.max(to, end) + 8, y + 13, formatRate(median)),
  ];
  if (to > from) {
    const ticks = [from, to].map((x) => `M${x} ${middle - 4}v8`).join("");
    parts.push(`<path d="M${from} ${middle}H${to}${ticks}" class="whisker" fill="none"/>`);
  }
  return parts;
}

/** All bars of a phase on one scale, grouped by threads, from `top` downwards. Returns the parts and where they end. */
function panel(results, phase, top) {
  const scale = BAR_WIDTH / Math.max(...results.map((result) => result[phase].max));
  const parts = [text(LEFT, top, phase === "decode" ? "Decode, tokens/s" : "Prefill, tokens/s", "title")];
  let y = top + 12;
  const start = y;
  for (const threads of new Set(results.map((result) => result.threads))) {
    parts.push(text(LEFT, y + 14, threads === 1 ? "1 thread" : `${threads} threads`, "quiet"));
    y += 22;
    for (const result of results.filter((candidate) => candidate.threads === threads)) {
      parts.push(...bar(result, phase, y, scale));
      y += ROW;
    }
  }
  parts.push(`<path d="M${BAR_LEFT} ${start}V${y}" class="axis"/>`);
  return { parts, end: y };
}

function draw(report) {
  const parts = [];
  let y = 34;
  for (const phase of ["decode", "prefill"]) {
    const drawn = panel(report.results, phase, y);
    parts.push(...drawn.parts);
    y = drawn.end + PANEL_GAP;
  }
  parts.push(text(LEFT, y - 10, factsOf(report), "quiet"));
  return document(WIDTH, y + 10, "Tokens per second of PiPhi and other engines", parts);
}

const [, , input, out] = process.argv;
if (!input || !out) {
  console.error("usage: node tools/bench/plot.mjs FILE.json OUT.svg (FILE.json comes from peers.mjs --out)");
  process.exit(2);
}
const report = JSON.parse(readFileSync(input, "utf8"));
if (report.results.length === 0) {
  console.error(`error: ${input} holds no results. Run peers.mjs again and see what it could not measure.`);
  process.exit(1);
}
writeFileSync(out, draw(report));
