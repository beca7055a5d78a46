/** What follows from measurements under limits, and how limits are written. */

import { spread } from "../peers/report.mjs";
import { UsageError } from "../usage.mjs";

const MIB = 2 ** 20;

/** "512 MiB", "1.5 GiB" */
export function formatMemory(bytes) {
  const mebibytes = bytes / MIB;
  return mebibytes >= 1024 ? `${+(mebibytes / 1024).toFixed(2)} GiB` : `${Math.round(mebibytes)} MiB`;
}

/**
 * "none", MiB, or MiB@MB/s: memory in 2^20 bytes as boards state it, reads in 10^6 bytes a second as cards do.
 * @returns {{name: string, memoryBytes?: number, readBytesPerSecond?: number}}
 */
export function parseLimit(text) {
  if (text === "none") return { name: "none" };
  const match = /^(\d+)(?:@(\d+))?$/.exec(text);
  const [mebibytes, megabytes] = [Number(match?.[1]), match?.[2] && Number(match[2])];
  if (!(mebibytes >= 64 && mebibytes <= 1 << 20) || megabytes === 0) {
    throw new UsageError(`--limits takes "none", MiB such as 512, or MiB@MB/s such as 512@90, not "${text}".`);
  }
  const memoryBytes = mebibytes * MIB;
  if (megabytes === undefined) return { name: formatMemory(memoryBytes), memoryBytes };
  const name = `${formatMemory(memoryBytes)}, ${megabytes} MB/s`;
  return { name, memoryBytes, readBytesPerSecond: megabytes * 1e6 };
}

/**
 * A run as figures. Of a round's bytes, each token after the first took one pass; what is left is the prompt's.
 * @param run what ours.mjs prints
 * @param storage what probe.mjs prints, or undefined where nothing is streamed
 */
export function summarize({ rounds, resident, tokens: _, ...run }, storage, generateTokens) {
  const streamed = run.streamedBytesPerToken;
  const decode = spread(rounds.map((round) => round.decode));
  const figures = { ...run, decode, prefill: spread(rounds.map((round) => round.prefill)), resident };
  if (!(streamed > 0 && storage)) return { ...figures, storage: undefined };
  const { bytesPerSecond } = storage;
  const passSeconds = streamed / bytesPerSecond;
  const passes = {
    bytes: rounds.map(({ readBytes }) => readBytes / streamed - (generateTokens - 1)),
    time: rounds.map(({ prefillMs }) => prefillMs / 1000 / passSeconds),
  };
  return {
    ...figures,
    storage: {
      ...storage,
      /** Of what storage gives, what decode takes. */
      share: (decode.median * streamed) / bytesPerSecond,
      /** What the prompt cost, in passes over the streamed weights: by bytes, and by time. */
      prefillPasses: { bytes: spread(passes.bytes), time: spread(passes.time) },
    },
  };
}

/** Speed relative to the run without a limit, where there is one. */
export function shareOfUnlimited(result, unlimited) {
  return result?.decode && unlimited?.decode ? result.decode.median / unlimited.decode.median : undefined;
}
