/**
 * A fault of an engine can end the process where no program can catch it. An engine that is none of those that PiPhi was
 * proven on first answers in a process of its own; what went well is remembered in the store.
 */

import { spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { ENGINE_MODES, type EngineMode, isV8, setEngineFlags, setting } from "./engine-flags.ts";
import { distPath, storeFolder } from "./paths.ts";
import { writeAtomically } from "./writing.ts";

/** Major versions of V8 that the tests run on: Node 20, 22, 24 and 26. */
const PROVEN_V8 = new Set([11, 12, 13, 14]);
/** An answer of the embedded model takes a second; on the slowest board half a minute. */
const TRIAL_MS = 60_000;
/** Set in the trial's own process. */
const TRIAL = "PIPHI_ENGINE_TRIAL";

/** How a trial ended: "" is well. */
export type Trial = (mode: EngineMode) => Promise<string>;

let chosen: Promise<EngineMode> | undefined;

/** Sets the flags with which this engine answers; where nothing is known of it, that is tried first. Never throws. */
export async function prepareEngine(): Promise<void> {
  const forced = setting(TRIAL) as EngineMode | undefined;
  if (forced !== undefined && ENGINE_MODES.includes(forced)) return setEngineFlags(forced);
  if (!isV8() || PROVEN_V8.has(Number.parseInt(process.versions.v8, 10))) return setEngineFlags();
  chosen ??= chooseMode(runTrial);
  setEngineFlags(await chosen);
}

/** What is known of this engine: the versions and processor that its behaviour depends on. */
export function engineKey(): string {
  const { node, v8 } = process.versions;
  return `node ${node} v8 ${v8} ${process.platform} ${process.arch}`;
}

/** The fastest mode in which a trial goes well, from the store where it is known there. */
export async function chooseMode(trial: Trial): Promise<EngineMode> {
  const known = readKnown()[engineKey()];
  if (known && ENGINE_MODES.includes(known)) return known;
  for (const mode of ENGINE_MODES) {
    if ((await trial(mode)) !== "") continue;
    await remember(mode);
    return mode;
  }
  return "untouched"; // the self-test says what is wrong
}

/** Answers with the embedded model in a process of its own; resolves with why it did not, or "". */
export function runTrial(mode: EngineMode): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [distPath("devices/node/trial.js")], {
      env: { ...process.env, [TRIAL]: mode },
      stdio: ["ignore", "ignore", "pipe"],
      timeout: TRIAL_MS,
      killSignal: "SIGKILL",
    });
    let said = "";
    child.stderr.on("data", (text: Buffer) => {
      said = (said + text.toString()).slice(-2000);
    });
    child.on("error", (error) => resolve(error.message));
    child.on("close", (code, signal) => {
      if (code === 0) return resolve("");
      const [first] = said.split("\n").filter((line) => /fatal|error/i.test(line));
      resolve(`it ended with ${signal ?? code}${first ? `: ${first.trim()}` : ""}`);
    });
  });
}

const knownFile = () => path.join(storeFolder(), "engines.json");

function readKnown(): Record<string, EngineMode> {
  try {
    return JSON.parse(fs.readFileSync(knownFile(), "utf8")) as Record<string, EngineMode>;
  } catch {
    return {};
  }
}

/** A store that cannot be written costs a trial each time, no more. */
async function remember(mode: EngineMode): Promise<void> {
  try {
    fs.mkdirSync(storeFolder(), { recursive: true });
    const text = `${JSON.stringify({ ...readKnown(), [engineKey()]: mode }, null, 2)}\n`;
    await writeAtomically(knownFile(), async (sink) => sink.write(0, new TextEncoder().encode(text)));
  } catch {
    // Read-only.
  }
}
