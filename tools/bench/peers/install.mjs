/** The engines that PiPhi is compared with: which versions, where they are installed, and whether they can run here. */

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { findChromium } from "./chromium.mjs";

const LLAMA = "3.22.1";
const PLATFORM = `${process.platform}-${process.arch}`;
/** llama.cpp compiled for a platform's CPU; other builds need a GPU or other names. */
const PREBUILT = ["linux-x64", "linux-arm64"];

/** Packages of each peer, pinned. */
const PACKAGES = {
  native: { "node-llama-cpp": LLAMA, [`@node-llama-cpp/${PLATFORM}`]: LLAMA },
  wllama: { "@wllama/wllama": "3.8.1" },
};
export const PEERS = Object.keys(PACKAGES);

/** Why a peer cannot run on this machine, with the remedy; undefined if it can. */
function obstacle(peer) {
  if (peer === "native" && !PREBUILT.includes(PLATFORM))
    return `no build of llama.cpp is pinned for ${PLATFORM}, only for ${PREBUILT.join(" and ")}`;
  if (peer === "wllama" && findChromium() === undefined)
    return "it needs Chromium; install it (sudo apt-get install chromium) or set CHROMIUM to its path";
  return undefined;
}

function installedVersion(folder, name) {
  const file = path.join(folder, "node_modules", name, "package.json");
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, "utf8")).version : undefined;
}

/** Installs what is missing. Their install scripts, which look for compilers and GPUs, do not run. */
function install(folder, packages) {
  const missing = Object.entries(packages).filter(([name, version]) => installedVersion(folder, name) !== version);
  if (missing.length === 0) return;
  const manifest = path.join(folder, "package.json");
  if (!fs.existsSync(manifest)) fs.writeFileSync(manifest, '{ "name": "piphi-peers", "private": true }\n');
  const names = missing.map(([name, version]) => `${name}@${version}`);
  console.error(`Installing ${names.join(", ")} in ${folder}`);
  const options = ["--omit=optional", "--ignore-scripts", "--save-exact", "--no-audit", "--no-fund"];
  execFileSync("npm", ["install", ...options, "--loglevel=error", ...names], {
    cwd: folder,
    stdio: ["ignore", process.stderr, process.stderr],
  });
}

/** Makes the peers ready in `folder`. Returns those that can run, and why the others cannot. */
export function preparePeers(folder, skipped) {
  const ready = [];
  const absent = {};
  for (const peer of PEERS) {
    const reason = skipped.includes(peer) ? "skipped on request" : obstacle(peer);
    try {
      if (reason === undefined) install(folder, PACKAGES[peer]);
      if (reason === undefined) ready.push(peer);
      else absent[peer] = reason;
    } catch {
      absent[peer] = "npm could not install it (see above); check the network, then try again";
    }
  }
  return { ready, absent };
}
