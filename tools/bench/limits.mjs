/**
 * PiPhi, and llama.cpp beside it, with as little memory and as slow a storage as a small board has:
 *
 *   sudo node tools/bench/limits.mjs [--model FILE] [--pack FILE] [--peers FOLDER] [--limits none,2048,1024,512,1024@90,…]
 *                                    [--threads N] [--ctx N] [--prompt 64] [--generate 16] [--repeat 3] [--node PATH]
 *                                    [--timeout SECONDS] [--skip llama,mapped,shared,copies]
 *                                    [--plot FILE.svg] [--out FILE.json]
 *
 * A limit is "none", MiB of memory, or MiB@MB/s with a limit on reads. Each runs in a control group of its own, with the
 * file's pages taken out of the page cache first, since pages count for the group that reads them; so this needs root.
 * PiPhi finds out by itself how much it may use. Decode is measured without guesses. Where weights are streamed, storage
 * is then read in the same group, past the page cache, and decode's share of that speed is given.
 * llama.cpp maps the GGUF file; it gets fewer tokens and --timeout seconds, since it may read the file for each token.
 * --plot measures more sizes and draws speed against memory. Without --model, one is made in the peers' folder.
 * stdout carries the tables, stderr the progress. Ctrl-C removes the groups and temporary files.
 */

import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { findHierarchy } from "./limits/cgroup.mjs";
import { measureCopies } from "./limits/copies.mjs";
import { diskOf } from "./limits/disk.mjs";
import { parseLimit } from "./limits/figures.mjs";
import { measureLlama, measureOurs, runOurs } from "./limits/measure.mjs";
import { endOnSignals, preparePack, requireBuild, temporaryFolder } from "./limits/pack.mjs";
import { drawLimits } from "./limits/plot.mjs";
import { formatLimits } from "./limits/report.mjs";
import { measureShared } from "./limits/shared.mjs";
import { PEERS, preparePeers } from "./peers/install.mjs";
import { describeMachine, warnIfBusy } from "./peers/machine.mjs";
import { cacheFolder, prepareModel, warmPageCache } from "./peers/model.mjs";
import { measureStart } from "./start/measure.mjs";
import { failWith, UsageError, wholeNumber } from "./usage.mjs";

const LIMITS = "none,2048,1024,512,1024@90,512@90";
const PLOTTED = "384,768,1536,3072";
const PARTS = ["llama", "mapped", "shared", "copies"];
/** Under limits llama.cpp reads the whole file for each token: a few must do. */
const LLAMA = { promptTokens: 8, generateTokens: 4, repeat: 1 };
/** Slow reads: tokens take ten seconds and more. */
const SLOWER_BY = 4;
const MAPPED = { contextLength: 512, promptTokens: 64, generateTokens: 16 };
const STARTS = 7;

function parse(args) {
  const { values } = parseArgs({
    args,
    options: {
      model: { type: "string" },
      pack: { type: "string" },
      peers: { type: "string", default: cacheFolder() },
      limits: { type: "string", default: LIMITS },
      threads: { type: "string", default: `${os.availableParallelism()}` },
      ctx: { type: "string" },
      prompt: { type: "string", default: "64" },
      generate: { type: "string", default: "16" },
      repeat: { type: "string", default: "3" },
      node: { type: "string", default: process.execPath },
      timeout: { type: "string", default: "240" },
      skip: { type: "string", default: "" },
      plot: { type: "string" },
      out: { type: "string" },
    },
  });
  const skipped = values.skip.split(",").filter(Boolean);
  const unknown = skipped.find((name) => !PARTS.includes(name));
  if (unknown) throw new UsageError(`--skip ${unknown} is no part of this. Choose from ${PARTS.join(", ")}.`);
  const texts = `${values.limits}${values.plot ? `,${PLOTTED}` : ""}`.split(",");
  return {
    ...values,
    skipped,
    model: values.model && path.resolve(values.model),
    folder: path.resolve(values.peers),
    limits: [...new Set(texts)].filter(Boolean).map(parseLimit),
    timeoutMs: wholeNumber("timeout", values.timeout, 1, 86_400) * 1000,
    settings: {
      threads: wholeNumber("threads", values.threads, 1, 64),
      contextLength: values.ctx === undefined ? undefined : wholeNumber("ctx", values.ctx, 1, 1_000_000),
      promptTokens: wholeNumber("prompt", values.prompt, 2, 100_000),
      generateTokens: wholeNumber("generate", values.generate, 2, 100_000),
      repeat: wholeNumber("repeat", values.repeat, 1, 1000),
    },
  };
}

/** How PiPhi is measured under a limit: slow storage gets fewer tokens. */
function ourSettings(settings, limit) {
  if (limit.readBytesPerSecond === undefined) return { ...settings, warmUp: 1 };
  return { ...settings, generateTokens: Math.max(2, Math.ceil(settings.generateTokens / SLOWER_BY)) };
}

function llamaSettings({ threads, generateTokens }, limit) {
  const contextLength = 512;
  if (limit.memoryBytes === undefined) return { threads, contextLength, promptTokens: 8, generateTokens, repeat: 3 };
  return { threads, contextLength, ...LLAMA };
}

async function measureRows(place, { limits, settings, node, pack, llama, timeoutMs }) {
  const rows = [];
  for (const [i, limit] of limits.entries()) {
    console.error(`${i + 1} of ${limits.length}, ${limit.name}: PiPhi`);
    await warnIfBusy();
    // A limited read takes its time: the time-out is there for engines that do not get on at all.
    const ours = { ...ourSettings(settings, limit), node, model: pack, timeoutMs: 8 * timeoutMs };
    const row = { limit, ours: await measureOurs(place, limit, ours) };
    if (llama) {
      console.error(`${i + 1} of ${limits.length}, ${limit.name}: llama.cpp`);
      row.llama = await measureLlama(place, limit, { ...llamaSettings(settings, limit), ...llama, timeoutMs });
    }
    rows.push(row);
  }
  return rows;
}

/** The pack mapped as it is, with memory to spare: start, and what is not the file's. */
async function measureMapped(node, pack, { threads }) {
  await warmPageCache(pack);
  console.error("mapped: start to first token");
  const env = { ...process.env, PIPHI_HOME: temporaryFolder() };
  const flags = ["--threads", `${threads}`, "--ctx", `${MAPPED.contextLength}`];
  const start = await measureStart(node, pack, { repeat: STARTS, flags, env });
  console.error("mapped: anonymous memory");
  const { mode, resident } = await runOurs(node, { ...MAPPED, model: pack, threads, share: true });
  if (mode !== "mapped") throw new Error(`the pack was not mapped but ${mode}; install koffi (npm ci)`);
  return { start, anonymousBytes: resident.anonymous, contextLength: MAPPED.contextLength };
}

/** Runs a part; notes in `absent` why there is no result. */
async function attempt(name, skipped, absent, work) {
  if (skipped.includes(name)) return undefined;
  try {
    return await work();
  } catch (error) {
    absent[name] = error.message;
    return undefined;
  }
}

async function main() {
  const { folder, limits, settings, node, timeoutMs, skipped, plot, out, ...options } = parse(process.argv.slice(2));
  requireBuild();
  endOnSignals();
  const hierarchy = limits.length > 0 ? findHierarchy() : undefined;
  fs.mkdirSync(folder, { recursive: true });
  const model = prepareModel({ ...options, folder });
  const pack = preparePack(model, options.pack, folder);
  const slow = limits.some(({ readBytesPerSecond }) => readBytesPerSecond !== undefined);
  const place = { hierarchy, disk: slow ? diskOf(pack) : undefined };
  const { ready, absent: obstacles } = preparePeers(
    folder,
    PEERS.filter((name) => name !== "native" || skipped.includes("llama")),
  );
  const absent = skipped.includes("llama") || ready.includes("native") ? {} : { "llama.cpp": obstacles.native };
  const llama = ready.includes("native") ? { folder, model } : undefined;
  const machine = describeMachine();
  const rows = await measureRows(place, { limits, settings, node, pack, llama, timeoutMs });
  const mapped = await attempt("mapped", skipped, absent, () => measureMapped(node, pack, settings));
  const shared = await attempt("shared", skipped, absent, () => {
    console.error("two processes");
    return measureShared(node, { ...MAPPED, model: pack, threads: settings.threads });
  });
  const copies = await attempt("copies", skipped, absent, () => {
    console.error("speculation");
    return measureCopies(node, temporaryFolder());
  });
  const described = { name: path.basename(model), bytes: fs.statSync(model).size };
  const report = { machine, model: described, settings, rows, mapped, shared, copies, absent };
  process.stdout.write(formatLimits(report));
  if (out) fs.writeFileSync(out, `${JSON.stringify(report, null, 2)}\n`);
  if (plot) fs.writeFileSync(plot, drawLimits(report));
  if (rows.some(({ ours }) => ours.failed)) process.exitCode = 1;
}

await main().catch(failWith);
