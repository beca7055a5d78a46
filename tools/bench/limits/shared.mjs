/** Two processes that run one pack at the same time: which of their pages are the same. */

import { spawn } from "node:child_process";
import fs from "node:fs";
import { fileURLToPath } from "node:url";
import { parseSmaps } from "./smaps.mjs";

const OURS = fileURLToPath(new URL("ours.mjs", import.meta.url));

/** Starts ours.mjs and waits for its result; the process then waits for `end`. */
function startHeld(node, settings) {
  const argument = JSON.stringify({ ...settings, share: true, hold: true });
  const child = spawn(node, [OURS, argument], { stdio: ["pipe", "pipe", "inherit"] });
  const kill = () => child.kill("SIGKILL");
  process.once("exit", kill);
  const ended = new Promise((resolve) => child.once("close", resolve)).then((code) => {
    process.off("exit", kill);
    return code;
  });
  const result = new Promise((resolve, reject) => {
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk) => {
      text += chunk;
      if (text.endsWith("\n")) resolve(JSON.parse(text));
    });
    child.once("error", reject);
    ended.then((code) => reject(new Error(`a process ended with ${code} before it answered`)));
  });
  const end = () => {
    child.stdin.end();
    return ended;
  };
  return { id: child.pid, result, end };
}

/** Of the weights, what must be there once only. */
const LEAST_SHARED = 0.9;

/** Whether what measureShared found is what mapping promises. */
export function sharesPages({ mode, same, sharedBytes, weightBytes }) {
  return mode === "mapped" && same && sharedBytes >= LEAST_SHARED * weightBytes;
}

/**
 * Lets two processes answer from one pack, and asks the kernel while both are there.
 * @returns {{processes: object[], sharedBytes: number, weightBytes: number, same: boolean}} `sharedBytes` are those that
 *   would have been counted twice; `same`: whether both gave the same tokens
 */
export async function measureShared(node, settings) {
  const held = [startHeld(node, settings)];
  try {
    // One after the other, so that the second finds the pages that the first has brought into memory.
    const results = [await held[0].result];
    held.push(startHeld(node, settings));
    results.push(await held[1].result);
    const processes = held.map(({ id }) => parseSmaps(fs.readFileSync(`/proc/${id}/smaps_rollup`, "utf8")));
    const sum = (name) => processes.reduce((total, each) => total + each[name], 0);
    const [first, second] = results.map(({ tokens }) => tokens.join(" "));
    return {
      processes,
      sharedBytes: sum("rss") - sum("pss"),
      weightBytes: results[0].pinnedBytes,
      mode: results[0].mode,
      same: first === second,
    };
  } finally {
    await Promise.all(held.map(({ end }) => end()));
  }
}
