/** Where the package's own files are, and the user's. */

import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { environment } from "./host.ts";

/** Folder of the built files: kernels, workers, the embedded model. */
const DIST = distFolder(import.meta.url);

/** Where PiPhi's built files are, seen from a module in them or from a source file. */
function distFolder(here: string): URL {
  if (here.endsWith(".ts")) return new URL("../../dist/", here);
  return new URL(here.slice(0, here.lastIndexOf("/dist/") + "/dist/".length));
}

export function distPath(name: string): string {
  return fileURLToPath(new URL(name, DIST));
}

/** Path of the model that comes with the package: home commands to intents. */
export const EMBEDDED_MODEL = distPath("models/home.gguf");

/** The local store: $PIPHI_HOME, by default ~/.cache/piphi. */
export function storeFolder(): string {
  return path.resolve(environment("PIPHI_HOME") || path.join(os.homedir(), ".cache", "piphi"));
}
