/**
 * PiPhi in headless Chromium on one model file, on an isolated page and on one that shares no memory:
 *
 *   node tools/bench/web.mjs [--model FILE] [--peers FOLDER] [--threads 2] [--prompt 128] [--generate 32] [--repeat 3]
 *                            [--ram 1G] [--json]
 *
 * The model is downloaded from this machine and kept in the browser, as in a first visit; every row is a later visit, in a
 * fresh page: time until it is ready, speeds (min / median / max), peak resident bytes of the browser's largest process.
 * `bench:peers` measures wllama on the same file. Without --model, one is made in the peers' folder (1.6 GB).
 */

import path from "node:path";
import { parseArgs } from "node:util";
import { endOnSignals, requireBuild, temporaryFolder } from "./limits/pack.mjs";
import { findChromium } from "./peers/chromium.mjs";
import { warnIfBusy } from "./peers/machine.mjs";
import { cacheFolder, prepareModel } from "./peers/model.mjs";
import { align, formatRate, spread } from "./peers/report.mjs";
import { failWith, UsageError, wholeNumber } from "./usage.mjs";
import { measureVisits } from "./web/visits.mjs";

function parse(args) {
  const { values } = parseArgs({
    args,
    options: {
      model: { type: "string" },
      peers: { type: "string", default: cacheFolder() },
      threads: { type: "string", default: "2" },
      prompt: { type: "string", default: "128" },
      generate: { type: "string", default: "32" },
      repeat: { type: "string", default: "3" },
      ram: { type: "string", default: "1G" },
      json: { type: "boolean", default: false },
    },
  });
  return {
    ...values,
    folder: path.resolve(values.peers),
    threads: wholeNumber("threads", values.threads, 1, 64),
    promptTokens: wholeNumber("prompt", values.prompt, 2, 100_000),
    generateTokens: wholeNumber("generate", values.generate, 2, 100_000),
    repeat: wholeNumber("repeat", values.repeat, 1, 1000),
  };
}

function format(rows) {
  const speeds = (values) => {
    const { min, median, max } = spread(values);
    return [min, median, max].map(formatRate).join(" / ");
  };
  const head = ["page", "threads", "sharing", "mode", "ready ms", "prefill tok/s", "decode tok/s", "peak MB"];
  const lines = rows.map(({ page, threads, sharing, mode, readyMs, prefill, decode, peakBytes }) => [
    ...[page, `${threads}`, sharing, mode, readyMs.toFixed(0), speeds(prefill), speeds(decode)],
    peakBytes ? (peakBytes / 1e6).toFixed(0) : "?",
  ]);
  return align([head, ...lines]);
}

async function main() {
  const { folder, json, ...options } = parse(process.argv.slice(2));
  const chromium = findChromium();
  if (chromium === undefined) {
    throw new UsageError(
      "There is no Chromium. Install it (sudo apt-get install chromium), or set CHROMIUM to its path.",
    );
  }
  requireBuild();
  endOnSignals();
  const model = prepareModel({ model: options.model && path.resolve(options.model), folder });
  const busyCores = await warnIfBusy();
  const profile = temporaryFolder();
  const rows = await measureVisits({ ...options, model, chromium, profile, onRow: (text) => console.error(text) });
  process.stdout.write(json ? `${JSON.stringify({ busyCores, rows }, null, 2)}\n` : format(rows));
}

await main().catch(failWith);
