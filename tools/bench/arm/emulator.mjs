/** Pinned Nodes on this machine; the arm64 one with Debian's qemu-user-static and the C libraries that it links to. */

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

/** Newest Node 24 that npm has for both architectures: counts of instructions shall come from one V8. */
const NODE_VERSION = "24.21.0";
const SYSROOT = process.env.ARM64_SYSROOT ?? "/usr/aarch64-linux-gnu";
const LIBRARIES = ["lib/ld-linux-aarch64.so.1", "lib/libstdc++.so.6"];

/** What is missing on this machine; ends with how to install it. */
export class MissingError extends Error {}

/** The processors of the boards that are asked about: with and without the dot-product instructions. */
export const CPUS = {
  "cortex-a72": "Pi 4, without DotProd",
  "cortex-a76": "Pi 5, with DotProd",
};

export function cacheFolder() {
  return path.join(process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), ".cache"), "piphi-arm");
}

function findProgram(names) {
  const folders = (process.env.PATH ?? "").split(path.delimiter);
  return names.flatMap((name) => folders.map((folder) => path.join(folder, name))).find((file) => fs.existsSync(file));
}

/** Installs the pinned Node for `arch` ("arm64" or "x64") into `folder` unless it is there; returns its path. */
export function installNode(folder, arch) {
  const name = `node-linux-${arch}`;
  const home = path.join(folder, "node_modules", name);
  const manifest = path.join(home, "package.json");
  const installed = fs.existsSync(manifest) && JSON.parse(fs.readFileSync(manifest, "utf8")).version;
  if (installed !== NODE_VERSION) {
    fs.mkdirSync(folder, { recursive: true });
    const own = path.join(folder, "package.json");
    if (!fs.existsSync(own)) fs.writeFileSync(own, '{ "name": "piphi-arm", "private": true }\n');
    const wanted = `${name}@${NODE_VERSION}`;
    console.error(`Installing ${wanted} in ${folder}`);
    // Without --force npm refuses a package for another CPU.
    const options = ["--force", "--ignore-scripts", "--save-exact", "--no-audit", "--no-fund"];
    try {
      execFileSync("npm", ["install", ...options, "--loglevel=error", wanted], {
        cwd: folder,
        stdio: ["ignore", process.stderr, process.stderr],
      });
    } catch {
      throw new MissingError(`npm could not install ${wanted} (see above); check the network, then try again.`);
    }
  }
  return path.join(home, "bin/node");
}

/**
 * Makes an arm64 Node ready in `folder`.
 * @returns the command line that runs it on a CPU of qemu's, and a sentence that says what it consists of
 * @throws MissingError that names what is not installed and how to install it
 */
export function prepareArm(folder) {
  if (process.platform !== "linux") throw new MissingError("qemu's user mode needs Linux; run this in a container.");
  const qemu = findProgram(["qemu-aarch64-static", "qemu-aarch64"]);
  const absent = LIBRARIES.filter((file) => !fs.existsSync(path.join(SYSROOT, file)));
  const missing = [];
  const packages = [];
  if (!qemu) {
    missing.push("qemu-aarch64-static");
    packages.push("qemu-user-static");
  }
  if (absent.length > 0) {
    missing.push(...absent.map((file) => path.join(SYSROOT, file)));
    packages.push("libc6-arm64-cross", "libstdc++6-arm64-cross");
  }
  if (missing.length > 0) {
    throw new MissingError(
      `Missing: ${missing.join(", ")}. Install with: sudo apt-get install ${packages.join(" ")} ` +
        "(Debian, Ubuntu), or set ARM64_SYSROOT to a folder with an arm64 lib/.",
    );
  }
  const node = installNode(folder, "arm64");
  const version = execFileSync(qemu, ["--version"], { encoding: "utf8" }).split("\n")[0];
  return {
    command: (cpu) => [qemu, "-L", SYSROOT, "-cpu", cpu, node],
    description: `Node ${NODE_VERSION} arm64, ${version}`,
  };
}
