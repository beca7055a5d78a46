/** Answers that must be the same wherever the weights lie. */

const API = new URL("../../../dist/devices/node/index.js", import.meta.url);
const MIB = 2 ** 20;
/** What a process takes beside the model's memory, generously. */
const PROCESS_MIB = 160;

/** Two sizes with which a pack is streamed: little more than the least, and halfway to all of it. */
export async function budgets(pack, { contextLength, threads }) {
  const { estimate } = await import(API);
  const total = async (ram) => (await estimate(pack, { contextLength, threads, ram })).bytes.total / MIB;
  const [least, all] = [await total("1M"), await total("64G")];
  return [least, (least + all) / 2].map((size) => `${Math.ceil(size) + PROCESS_MIB}M`);
}

/** The first place where two lists of tokens differ, or undefined. */
export function firstDifference(expected, tokens) {
  const at = expected.findIndex((id, i) => id !== tokens[i]);
  if (at >= 0) return at;
  return expected.length === tokens.length ? undefined : expected.length;
}

/** "streamed with 500M, 90 MB stay, 120 MB a token: 256 tokens, the same" */
export function describeRun(
  { ram, drafts = 0 },
  { mode, pinnedBytes, streamedBytesPerToken, tokens, rounds },
  difference,
) {
  const megabytes = (bytes) => `${(bytes / 1e6).toFixed(0)} MB`;
  const { passes } = rounds[0].drafts ?? {};
  const guesses = drafts ? `, guesses verified in ${passes} passes` : "";
  const verdict = difference === undefined ? "the same" : `other text from token ${difference} on`;
  const weights = `${megabytes(pinnedBytes)} stay, ${megabytes(streamedBytesPerToken)} a token`;
  return `${mode} with ${ram}, ${weights}${guesses}: ${tokens.length} tokens, ${verdict}`;
}
