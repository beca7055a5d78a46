/**
 * Whether the engine's compiler survives the kernels. V8 ends the whole process where an assertion of its own fails, so a
 * child process answers first, once for each engine and set of flags; the store remembers how that went.
 */

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import fs from "node:fs";
import path from "node:path";
import { PiPhiError } from "../../runtime/errors.ts";
import { engineFlags, type FlagSet, setEngineFlags } from "./engine-flags.ts";
import { environment, hostName, isNode } from "./host.ts";
import { distPath, storeFolder } from "./paths.ts";

/** A child that takes longer proves nothing. */
const LIMIT_MS = 60_000;
/** How a process ends that the engine aborts; SIGKILL is somebody else's doing. */
const DEATHS = ["SIGTRAP", "SIGILL", "SIGABRT", "SIGSEGV", "SIGBUS"];
/** In the child: so that no trial begins another. */
const MARK = "PIPHI_TRIAL";

const SETS: readonly FlagSet[] = ["fast", "safe"];

/** How a trial went: by what the process was ended, if it was. */
export type Outcome = "survived" | "unknown" | { death: string };

export interface Trial {
  set: FlagSet;
  /** Of the sets that were tried, in order; none where an earlier trial is remembered, or none is possible. */
  outcomes: Outcome[];
}

/** Runs `script` with `set` in a process of its own. */
export function tryFlags(set: FlagSet, script: string = distPath("devices/node/trial-child.js")): Promise<Outcome> {
  return new Promise((resolve) => {
    // Electron's program is a Node only where it is asked to be one.
    const env = { ...process.env, [MARK]: "1", ELECTRON_RUN_AS_NODE: "1" };
    try {
      const options = { env, timeout: LIMIT_MS, killSignal: "SIGKILL" as const, windowsHide: true };
      execFile(process.execPath, [script, set], options, (error) => resolve(error ? outcomeOf(error) : "survived"));
    } catch {
      resolve("unknown"); // no permission to start processes
    }
  });
}

function outcomeOf({ signal, code }: { signal?: NodeJS.Signals | null; code?: unknown }): Outcome {
  if (signal && DEATHS.includes(signal)) return { death: signal };
  // Windows has no signals: an abort is 134, an exception of the processor a status beyond 2^31.
  if (typeof code === "number" && code >= 128) return { death: `exit ${code}` };
  return "unknown"; // an error with a type, which this process will meet itself
}

/**
 * Chooses the fastest set of flags that a process survives, and sets it. `anew`: whatever is remembered.
 * Throws E_ENGINE where none does.
 */
export async function settleEngineFlags(anew = false, script?: string): Promise<Trial> {
  const remembered = anew ? undefined : recall();
  const trial = remembered ? { set: remembered, outcomes: [] } : await tryAll(script);
  setEngineFlags(trial.set);
  return trial;
}

async function tryAll(script: string | undefined): Promise<Trial> {
  const outcomes: Outcome[] = [];
  if (!canTry()) return { set: "fast", outcomes };
  for (const set of SETS) {
    const outcome = await tryFlags(set, script);
    outcomes.push(outcome);
    if (typeof outcome === "object") continue;
    if (outcome === "survived") remember(set);
    return { set, outcomes };
  }
  const deaths = outcomes.map((outcome) => (outcome as { death: string }).death);
  throw new PiPhiError(
    "E_ENGINE",
    `The WebAssembly compiler of ${hostName()} ends the process (${deaths.join(", ")}). Use another version of Node: 20, 22, 24 and 26 are tested.`,
    { deaths },
  );
}

/** Whether this program is Node's, so that it can run a script; one that was built into a single file would start itself. */
function canTry(): boolean {
  if (!isNode() || environment(MARK) !== undefined) return false;
  return "electron" in process.versions || /^node(js)?[\d.]*(\.exe)?$/i.test(path.basename(process.execPath));
}

/** A file for each engine, build of PiPhi, and set of flags that would be tried first. */
function memoryPath(): string {
  const built = ["simd", "relaxed"].map((build) => {
    const { size, mtimeMs } = fs.statSync(distPath(`kernels/${build}.wasm`));
    return `${size} ${Math.trunc(mtimeMs)}`;
  });
  const engine = [hostName(), process.arch, process.execArgv.join(" "), ...engineFlags("fast"), ...built];
  const key = createHash("sha256").update(engine.join("\n")).digest("hex").slice(0, 16);
  return path.join(storeFolder(), "engines", key);
}

function recall(): FlagSet | undefined {
  try {
    const text = fs.readFileSync(memoryPath(), "utf8").trim();
    return SETS.find((set) => set === text);
  } catch {
    return undefined;
  }
}

/** A store that cannot be written costs a trial each time, no more. */
function remember(set: FlagSet): void {
  try {
    const file = memoryPath();
    fs.mkdirSync(path.dirname(file), { recursive: true });
    const fresh = `${file}.${process.pid}.tmp`;
    fs.writeFileSync(fresh, `${set}\n`);
    fs.renameSync(fresh, file);
  } catch {
    // Read-only.
  }
}
