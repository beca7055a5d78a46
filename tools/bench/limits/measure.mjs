/** One limit: PiPhi and llama.cpp in control groups of their own, and how fast storage is read in there. */

import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { measureNative, runJson } from "../peers/engines.mjs";
import { warmPageCache } from "../peers/model.mjs";
import { LimitedGroup } from "./cgroup.mjs";
import { dropPageCache } from "./disk.mjs";
import { summarize } from "./figures.mjs";

const scriptAt = (name) => fileURLToPath(new URL(name, import.meta.url));
/** Pages that stayed in the page cache count as nobody's: more of them than this would falsify a limit. */
const MOST_LEFT = 0.02;

/** PiPhi by itself, as ours.mjs prints it. */
export function runOurs(node, settings, how) {
  return runJson([node, scriptAt("ours.mjs"), JSON.stringify(settings)], how);
}

/** Makes a file's pages count for the group that reads them; without a limit, the file is in memory as a whole. */
async function prepareCache(file, { memoryBytes }) {
  if (memoryBytes === undefined) return warmPageCache(file);
  const left = dropPageCache(file);
  if (left > MOST_LEFT * fs.statSync(file).size) {
    console.error(
      `warning: ${Math.round(left / 2 ** 20)} MiB of ${path.basename(file)} stay in the page cache, which another ` +
        "process uses: what is mapped of it counts for nobody. End that process, and measure again.",
    );
  }
}

/** Runs `work` in a group; its result with the group's peak, or { failed, peakBytes } with the reason. */
async function inGroup({ hierarchy, disk }, limit, file, work) {
  await prepareCache(file, limit);
  const group = new LimitedGroup(hierarchy, limit, disk);
  try {
    const result = await work(group.launcher);
    return { ...result, peakBytes: group.peakBytes };
  } catch (error) {
    const { peakBytes, kills } = group;
    return { failed: failureOf(error, kills), message: error.message, peakBytes };
  } finally {
    group.close();
  }
}

/** "killed", "time-out", "does not fit" or "failed". */
export function failureOf({ killed, signal, message }, kills) {
  if (kills > 0 || (signal === "SIGKILL" && !killed)) return "killed";
  if (killed) return "time-out";
  return /\bmay be used\b/.test(message) ? "does not fit" : "failed";
}

/** PiPhi under a limit, with what follows from its figures. */
export function measureOurs(place, limit, settings) {
  const { node, model, timeoutMs } = settings;
  return inGroup(place, limit, model, async (launcher) => {
    const run = await runOurs(node, settings, { launcher, timeoutMs });
    const storage =
      run.streamedBytesPerToken > 0
        ? await runJson([node, scriptAt("probe.mjs"), model], { launcher, timeoutMs })
        : undefined;
    return summarize(run, storage, settings.generateTokens);
  });
}

/** llama.cpp under a limit; it reads the GGUF file itself, mapped. */
export function measureLlama(place, limit, settings) {
  return inGroup(place, limit, settings.model, (launcher) => {
    return measureNative(settings, { launcher, timeoutMs: settings.timeoutMs });
  });
}
