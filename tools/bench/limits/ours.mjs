/**
 * PiPhi in a process of its own, with what the kernel says of it: node ours.mjs JSON. Prints one JSON document:
 *
 *   {mode, pinnedBytes, streamedBytesPerToken, contextLength, kernel, loadMs, peakBytes, tokens,
 *    rounds: [{prefill, decode, prefillMs, readBytes, drafts?}], resident: {rss, pss, private, anonymous}}
 *
 * Settings: model, threads, contextLength, ram, kv, share; prompt (ids; or promptTokens), generateTokens, repeat, warmUp
 * (rounds that are not measured), drafts. With `hold`, it keeps the model until standard input ends. Rates in tokens a
 * second, `tokens` of the last round; `readBytes` is what a round and the reader behind it took from storage.
 */

import fs from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { load } from "../../../dist/devices/node/index.js";
import { parseSmaps } from "./smaps.mjs";

const SETTLE_MS = 250;
/** Mapped weights begin to move into huge pages after a while. */
const WARM_MS = 2000;
const settings = JSON.parse(process.argv[2]);
const { model, threads, contextLength, ram, kv, share, hold } = settings;
const { promptTokens = 64, generateTokens, repeat = 1, warmUp = 0, drafts = 0 } = settings;

/** Bytes that this process took from storage so far; 0 where the kernel does not count. */
function storageBytes() {
  try {
    return Number(/^read_bytes: (\d+)$/m.exec(fs.readFileSync("/proc/self/io", "utf8"))[1]);
  } catch {
    return 0;
  }
}

/** Bytes that are no file's: they grow while weights move into huge pages. */
const anonymousBytes = () =>
  1024 * Number(/^RssAnon:\s+(\d+) kB$/m.exec(fs.readFileSync("/proc/self/status", "utf8"))[1]);

/** Waits until nothing is read ahead or moved any more; the bytes read so far. */
async function settled() {
  for (;;) {
    const [read, anonymous] = [storageBytes(), anonymousBytes()];
    await sleep(SETTLE_MS);
    if (storageBytes() === read && anonymousBytes() - anonymous < 1 << 20) return read;
  }
}

const phi = await load(model, { threads, contextLength, ram, kv, share });
const { vocabSize } = phi.info.config;

/** Another first token each round, so that nothing of it is in the cache. */
function promptOf(round) {
  if (settings.prompt) return settings.prompt;
  const ids = Array.from({ length: promptTokens }, (_, i) => (200 + ((i * 37) % 40_000)) % vocabSize);
  ids[0] = (200 + round) % vocabSize;
  return ids;
}

const rounds = [];
let loadMs = 0;
let tokens = [];
for (let round = 0; round < warmUp + repeat; round++) {
  if (warmUp > 0 && round === warmUp) await sleep(WARM_MS);
  const before = await settled();
  const result = await phi.generate(promptOf(round), { maxTokens: generateTokens, ignoreEos: true, drafts });
  const readBytes = (await settled()) - before;
  const { timings } = result;
  ({ loadMs } = timings);
  ({ tokens } = result);
  if (round < warmUp) continue;
  rounds.push({
    prefill: timings.prefillTokensPerSecond,
    decode: timings.decodeTokensPerSecond,
    prefillMs: timings.prefillMs,
    readBytes,
    ...(result.drafts && { drafts: result.drafts }),
  });
}
const { mode, pinnedBytes, streamedBytesPerToken, peakRssBytes } = await phi.memory();
const { contextLength: context, kernel } = phi.info;
const resident = parseSmaps(fs.readFileSync("/proc/self/smaps_rollup", "utf8"));
const found = { mode, pinnedBytes, streamedBytesPerToken, contextLength: context, kernel, loadMs, tokens, rounds };
console.log(JSON.stringify({ ...found, peakBytes: peakRssBytes, resident }));
if (hold) for await (const _ of process.stdin);
await phi.close();
