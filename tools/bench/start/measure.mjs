/** From the start of a process to the first letter of its answer. */

import { spawn } from "node:child_process";
import { CLI } from "../peers/engines.mjs";
import { spread } from "../peers/report.mjs";

const TIMEOUT_MS = 10 * 60 * 1000;

/**
 * Milliseconds from starting `piphi run` to its first output; Error with what it said where there is none.
 * One token is asked for, so that output comes with it even where its letters are incomplete.
 */
export function firstOutputMs(node, model, flags, env = process.env) {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const args = [CLI, "run", model, "--raw", "-p", "The", "-n", "1", ...flags];
    const child = spawn(node, args, { env, stdio: ["ignore", "pipe", "pipe"], timeout: TIMEOUT_MS });
    let ms;
    let errors = "";
    child.stdout.on("data", () => (ms ??= performance.now() - start));
    child.stderr.setEncoding("utf8").on("data", (chunk) => (errors += chunk));
    child.once("error", reject);
    child.once("close", (code, signal) => {
      if (code === 0 && ms !== undefined) resolve(ms);
      else reject(new Error(errors.trim().split("\n").at(-1) || `piphi run ended with ${signal ?? code}`));
    });
  });
}

/** Several starts after one that warms up (and packs, and checks the pack), as a spread. */
export async function measureStart(node, model, { repeat, flags = [], env, onRound = () => {} }) {
  await firstOutputMs(node, model, flags, env);
  const values = [];
  for (let round = 0; round < repeat; round++) {
    onRound(round + 1);
    values.push(await firstOutputMs(node, model, flags, env));
  }
  return spread(values);
}
