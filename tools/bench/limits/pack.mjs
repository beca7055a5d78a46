/** The pack that is measured, and the models of shapes of their own that some measurements need. */

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { CLI } from "../peers/engines.mjs";
import { UsageError } from "../usage.mjs";

const MAKE_MODEL = fileURLToPath(new URL("../make-phi2.mjs", import.meta.url));
const SILENT = { stdio: ["ignore", process.stderr, process.stderr] };

/** Throws UsageError where PiPhi has not been built. */
export function requireBuild() {
  if (!fs.existsSync(CLI)) throw new UsageError("PiPhi is not built. Run: npm run build");
}

/** Packs say so in their metadata, with which a file begins. */
const PACK_KEY = "piphi.pack.version";
const METADATA_BYTES = 16 << 20;

function isPack(file) {
  const fd = fs.openSync(file, "r");
  try {
    const bytes = Buffer.alloc(METADATA_BYTES);
    return bytes.subarray(0, fs.readSync(fd, bytes, 0, bytes.length, 0)).includes(PACK_KEY);
  } finally {
    fs.closeSync(fd);
  }
}

/** The pack of a model, made at `asked` or in `folder` unless it is there and newer than the model; a pack is its own. */
export function preparePack(model, asked, folder) {
  if (isPack(model)) return model;
  const pack = path.resolve(asked ?? path.join(folder, `${path.basename(model, ".gguf")}.pack.gguf`));
  const age = (file) => fs.statSync(file).mtimeMs;
  if (!fs.existsSync(pack) || age(pack) < age(model)) {
    console.error(`Making ${pack}`);
    fs.mkdirSync(path.dirname(pack), { recursive: true });
    execFileSync(process.execPath, [CLI, "pack", model, pack], SILENT);
  }
  return pack;
}

/** A folder for this run, which ends with it. */
export function temporaryFolder() {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "piphi-bench-"));
  process.once("exit", () => fs.rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A small model with random weights in a folder; `flags` as make-phi2.mjs takes them. */
export function makeModel(folder, flags) {
  const file = path.join(folder, "small.gguf");
  execFileSync(process.execPath, [MAKE_MODEL, file, ...flags], SILENT);
  return file;
}

/** Ends this process, and with it what `exit` cleans up, where the user or the system says so. */
export function endOnSignals() {
  process.once("SIGINT", () => process.exit(130)).once("SIGTERM", () => process.exit(143));
}
