/** Speed against memory, of PiPhi and of llama.cpp, as an SVG. */

import { formatRate } from "../peers/report.mjs";
import { document, factsOf, round, text } from "../plot/svg.mjs";
import { formatMemory } from "./figures.mjs";

const WIDTH = 760;
const HEIGHT = 440;
const LEFT = 64;
const RIGHT = 736;
const TOP = 64;
const BOTTOM = 360;
/** Below the lowest rate: a line for each engine's runs that gave none. */
const FAILED_LINES = 72;
const FAILED_LINE = 30;
/** Where "unlimited" stands, right of a break in the axis. */
const UNLIMITED = RIGHT - 40;
const LARGEST = RIGHT - 130;
const RATES = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100];

/** A place on a logarithmic scale. */
const logarithmic = (value, [least, most], [from, to]) =>
  round(from + ((to - from) * Math.log(value / least)) / Math.log(most / least));

/** The steps of RATES around the values. */
export function rateRange(rates) {
  const from = RATES.findLastIndex((rate) => rate <= Math.min(...rates));
  const to = RATES.findIndex((rate) => rate >= Math.max(...rates));
  const ticks = RATES.slice(Math.max(0, from), to < 0 ? undefined : to + 1);
  return ticks.length > 1 ? ticks : RATES.slice(Math.max(0, from - 1), Math.max(0, from - 1) + 2);
}

/** An engine's points with their values on one side of the line through them, and a mark for each run without any. */
function series({ points, name, labelAt, failedAt }) {
  const measured = points.filter(({ y }) => y !== undefined);
  const line = measured.map(({ x, y }, i) => `${i === 0 ? "M" : "L"}${x} ${y}`).join("");
  return [
    ...(measured.length > 1 ? [`<path d="${line}" class="${name}-line" fill="none"/>`] : []),
    ...measured.flatMap(({ x, y, rate }) => [
      `<circle cx="${x}" cy="${y}" r="4" class="${name}"/>`,
      text(x, y + labelAt, formatRate(rate), "quiet middle"),
    ]),
    ...points.flatMap(({ x, y, failed }) => {
      if (y !== undefined) return [];
      const cross = `M${x - 4} ${failedAt}l8 8m0 -8l-8 8`;
      return [`<path d="${cross}" class="${name}-line" fill="none"/>`, text(x, failedAt - 5, failed, "quiet middle")];
    }),
  ];
}

/** The axes' lines and labels. */
function axes(sizes, ticks, x, y) {
  return [
    ...ticks.flatMap((rate) => [
      `<path d="M${LEFT} ${y(rate)}H${RIGHT}" class="axis"/>`,
      text(LEFT - 8, y(rate) + 4, `${rate}`, "quiet end"),
    ]),
    ...sizes.flatMap((bytes) => [
      `<path d="M${x(bytes)} ${BOTTOM}v5" class="axis"/>`,
      text(x(bytes), BOTTOM + 20, formatMemory(bytes), "quiet middle"),
    ]),
    text(UNLIMITED, BOTTOM + 20, "unlimited", "quiet middle"),
  ];
}

/** The plot of a report that limits.mjs writes; rows with a limit on reads are left out. */
export function drawLimits(report) {
  const rows = report.rows
    .filter(({ limit }) => limit.readBytesPerSecond === undefined)
    .toSorted((a, b) => (a.limit.memoryBytes ?? Infinity) - (b.limit.memoryBytes ?? Infinity));
  const sizes = rows.flatMap(({ limit }) => limit.memoryBytes ?? []);
  const rates = rows.flatMap(({ ours, llama }) => [ours, llama].flatMap((each) => each?.decode?.median ?? []));
  if (sizes.length === 0 || rates.length === 0) throw new Error("There is nothing to plot: no limit was measured.");
  const ticks = rateRange(rates);
  const range = sizes.length > 1 ? [sizes[0], sizes.at(-1)] : [sizes[0] / 2, sizes[0]];
  const x = (bytes) => (bytes === undefined ? UNLIMITED : logarithmic(bytes, range, [LEFT + 24, LARGEST]));
  const y = (rate) => logarithmic(rate, [ticks[0], ticks.at(-1)], [BOTTOM - FAILED_LINES, TOP]);
  const points = (engine) =>
    rows
      .filter((row) => row[engine])
      .map(({ limit, [engine]: result }) => ({
        x: x(limit.memoryBytes),
        y: result.decode && y(result.decode.median),
        rate: result.decode?.median,
        failed: result.failed,
      }));
  const peerAt = BOTTOM - 14;
  const engines = [
    { name: "ours", label: "PiPhi", points: points("ours"), labelAt: -10, failedAt: peerAt - FAILED_LINE },
    { name: "peer", label: "llama.cpp native", points: points("llama"), labelAt: 19, failedAt: peerAt },
  ].filter((each) => each.points.length > 0);
  const legend = engines.flatMap(({ name, label }, i) => [
    `<circle cx="${LEFT + 240 + i * 90}" cy="${TOP - 38}" r="4" class="${name}"/>`,
    text(LEFT + 250 + i * 90, TOP - 34, label),
  ]);
  const parts = [
    text(LEFT - 40, TOP - 34, "Decode, tokens/s, by memory", "title"),
    ...legend,
    ...axes(sizes, ticks, x, y),
    ...engines.toReversed().flatMap(series),
    text(LEFT - 40, HEIGHT - 22, factsOf(report), "quiet"),
  ];
  return document(WIDTH, HEIGHT, "Tokens per second of PiPhi and of llama.cpp against memory", parts);
}
