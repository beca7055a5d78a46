/** The model file that engines are measured on. */

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "../usage.mjs";

/** Where peers and the model are kept unless another folder is named. */
export function cacheFolder() {
  return path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), ".cache"), "piphi-peers");
}

/** Options that say which model is measured, and where peers and models are kept. */
export const MODEL_OPTIONS = { model: { type: "string" }, peers: { type: "string", default: cacheFolder() } };

export const modelAsked = ({ model, peers }) => ({ model: model && path.resolve(model), folder: path.resolve(peers) });

/** The model's path; made in `folder` first if none is named. */
export function prepareModel({ model, folder }) {
  const file = model ?? path.join(folder, "phi2-q4_0.gguf");
  if (model === undefined && !fs.existsSync(file)) {
    console.error(`Making ${file}`);
    const script = fileURLToPath(new URL("../make-phi2.mjs", import.meta.url));
    execFileSync(process.execPath, [script, file], { stdio: ["ignore", process.stderr, process.stderr] });
  }
  if (!fs.existsSync(file)) throw new UsageError(`There is no ${file}. Omit --model to have one made.`);
  return file;
}

/** Reads a file once, so that no engine is the one that waits for the disk. */
export async function warmPageCache(file) {
  for await (const _ of fs.createReadStream(file, { highWaterMark: 1 << 22 }));
}
