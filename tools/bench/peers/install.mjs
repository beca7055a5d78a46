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
const NATIVE = { "node-llama-cpp": LLAMA, [`@node-llama-cpp/${PLATFORM}`]: LLAMA };
const PACKAGES = {
  native: NATIVE,
  "native-avx2": NATIVE,
  wllama: { "@wllama/wllama": "3.8.1" },
};
export const PEERS = Object.keys(PACKAGES);

const CPU_BUILD = /^libggml-cpu-(.+)\.so$/;
const AVX2_BUILDS = ["haswell", "x64"];

/** Why llama.cpp restricted to AVX2 would say nothing new on a CPU with `flags`, or undefined. */
export function obstacleToAvx2(platform, flags) {
  if (platform !== "linux-x64") return "llama.cpp has builds for several generations of x64 CPUs only, on Linux";
  if (!flags.includes("avx2")) return "this CPU has no AVX2";
  if (!flags.some((flag) => flag.startsWith("avx512") || flag === "avx_vnni"))
    return "this CPU has neither AVX-512 nor AVX-VNNI, so that the native peer runs the AVX2 build already";
  return undefined;
}

function cpuFlags() {
  const file = "/proc/cpuinfo";
  const line = fs.existsSync(file) ? /^flags\s*:(.*)$/m.exec(fs.readFileSync(file, "utf8")) : undefined;
  return line?.[1].trim().split(" ") ?? [];
}

/** Why a peer cannot run on this machine, with the remedy; undefined if it can. */
function obstacle(peer) {
  if (peer === "native" && !PREBUILT.includes(PLATFORM))
    return `no build of llama.cpp is pinned for ${PLATFORM}, only for ${PREBUILT.join(" and ")}`;
  if (peer === "native-avx2") return obstacleToAvx2(PLATFORM, cpuFlags());
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

/** Where the copy of the native peer lies that has no builds beyond AVX2. */
export const avx2Folder = (folder) => path.join(folder, "avx2");

/** The same tree at `to`, in hard links: it costs no space. */
function linkTree(from, to, keeps) {
  fs.mkdirSync(to, { recursive: true });
  for (const entry of fs.readdirSync(from, { withFileTypes: true })) {
    const [source, target] = [path.join(from, entry.name), path.join(to, entry.name)];
    if (entry.isDirectory()) linkTree(source, target, keeps);
    else if (entry.isSymbolicLink()) fs.symlinkSync(fs.readlinkSync(source), target);
    else if (keeps(entry.name)) fs.linkSync(source, target);
  }
}

/** llama.cpp loads the best CPU build that it finds; here it finds the one for AVX2 and the one for any x64. */
function restrictToAvx2(folder) {
  const copy = avx2Folder(folder);
  if (installedVersion(copy, "node-llama-cpp") === LLAMA) return;
  const unfinished = `${copy}.tmp`;
  for (const old of [copy, unfinished]) fs.rmSync(old, { recursive: true, force: true });
  const keeps = (name) => {
    const build = CPU_BUILD.exec(name)?.[1];
    return build === undefined || AVX2_BUILDS.includes(build);
  };
  linkTree(path.join(folder, "node_modules"), path.join(unfinished, "node_modules"), keeps);
  fs.renameSync(unfinished, copy);
}

/** Makes the peers ready in `folder`. Returns those that can run, and why the others cannot. */
export function preparePeers(folder, skipped) {
  const ready = [];
  const absent = {};
  for (const peer of PEERS) {
    const reason = skipped.includes(peer) ? "skipped on request" : obstacle(peer);
    try {
      if (reason === undefined) install(folder, PACKAGES[peer]);
      if (reason === undefined && peer === "native-avx2") restrictToAvx2(folder);
      if (reason === undefined) ready.push(peer);
      else absent[peer] = reason;
    } catch (error) {
      absent[peer] =
        `it could not be installed (${error.message.split("\n")[0]}); check network and disk, then try again`;
    }
  }
  return { ready, absent };
}
