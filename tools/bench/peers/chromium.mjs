/** Finds and starts the Chromium of this machine, for benchmarks and tests. */

import fs from "node:fs";
import path from "node:path";
import { chromium } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome"];

/** Quiet, and without a need for a GPU or a user namespace. */
const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * $CHROMIUM, or what is in the path.
 * @returns {string | undefined}
 */
export function findChromium() {
  const folders = (process.env.PATH ?? "").split(path.delimiter);
  const candidates = folders.flatMap((folder) => NAMES.map((name) => path.join(folder, name)));
  return process.env.CHROMIUM ?? candidates.find((candidate) => fs.existsSync(candidate));
}

/**
 * A headless browser.
 * @param {string} executablePath
 */
export function launchChromium(executablePath) {
  return chromium.launch({ executablePath, headless: true, args: ARGUMENTS });
}

/**
 * A headless browser that keeps its files in a folder.
 * @param {string} executablePath
 * @param {string} folder
 */
export function launchPersistent(executablePath, folder) {
  return chromium.launchPersistentContext(folder, { executablePath, headless: true, args: ARGUMENTS });
}
