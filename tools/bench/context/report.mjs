/** What a long context costs, from rounds of measurements. */

import { align, formatRate, spread } from "../peers/report.mjs";

/** The leading thread neither computes nor reads. */
const WAITING = "waiting";

/** For each cache what decode loses with depth, within each round. */
export function lossesOf(rounds) {
  const caches = [...new Set(rounds.flat().map(({ kv }) => kv))];
  return caches.map((kv) => {
    const losses = rounds.map((round) => {
      const [shallow, deep] = round.filter((each) => each.kv === kv).toSorted((a, b) => a.depth - b.depth);
      return 1 - deep.decode.median / shallow.decode.median;
    });
    return { kv, loss: spread(losses) };
  });
}

/** Shares of a token's time by operation, largest first, and of all but products of matrices and waiting. */
export function sharesOf(profile) {
  const total = Object.values(profile).reduce((sum, ms) => sum + ms, 0);
  const operations = Object.entries(profile)
    .map(([name, ms]) => ({ name, share: ms / total }))
    .toSorted((a, b) => b.share - a.share);
  const rest = operations.filter(({ name }) => name !== "matmul" && name !== WAITING);
  return { operations, rest: rest.reduce((sum, { share }) => sum + share, 0) };
}

const percent = (share) => `${(share * 100).toFixed(1)} %`;
const formatSpread = ({ min, median, max }, format) => [min, median, max].map(format).join(" / ");

/** Medians of the rounds, with the lowest and the highest of them. */
function formatRounds(rounds, select) {
  return formatSpread(spread(rounds.map(select)), formatRate);
}

export function formatContext({ machine, model, engine, settings, decode, prefill, losses, shares }) {
  const head = `${engine}; ${model.name}; threads: ${settings.threads}; ${machine.cpu}, ${machine.date.slice(0, 10)}\n`;
  const decodeRows = decode[0].map(({ kv, depth }, i) => {
    const loss = depth > 0 ? formatSpread(losses.find((each) => each.kv === kv).loss, percent) : "";
    return [kv, `${depth}`, formatRounds(decode, (round) => round[i].decode.median), loss];
  });
  const prefillRows = prefill[0].map(({ tokens }, i) => {
    const ratios = prefill.map((round) => round[i].prefill.median / round[0].prefill.median);
    const ratio = i > 0 ? `x${spread(ratios).median.toFixed(2)}` : "";
    return [`${tokens}`, formatRounds(prefill, (round) => round[i].prefill.median), ratio];
  });
  const operations = shares.operations.map(({ name, share }) => [name, percent(share)]);
  return [
    head,
    align([["cache", "depth", "decode tok/s", "loses"], ...decodeRows]),
    align([["prompt", "prefill tok/s", "per token"], ...prefillRows]),
    align([["of a token's time", ""], ...operations, ["all but matmul and waiting", percent(shares.rest)]]),
  ].join("\n");
}
