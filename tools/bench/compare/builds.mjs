/** The kernels of a commit, compiled by this checkout's compiler. */

import { execFileSync } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { UsageError } from "../usage.mjs";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const PARTS = ["kernels", "asconfig.json"];
const require = createRequire(import.meta.url);

/** Puts the kernels' sources of `revision` ("." = as they are in the folder) into `folder`. */
function checkOut(revision, folder) {
  if (revision === ".") {
    for (const part of PARTS) fs.cpSync(path.join(ROOT, part), path.join(folder, part), { recursive: true });
    return;
  }
  const archive = path.join(folder, "kernels.tar");
  try {
    const pipe = { stdio: ["ignore", "ignore", "pipe"], encoding: "utf8" };
    execFileSync("git", ["-C", ROOT, "archive", "-o", archive, revision, ...PARTS], pipe);
  } catch (error) {
    const reason = error.stderr?.trim().split("\n").at(-1) ?? error.message;
    throw new UsageError(
      `No kernels of ${revision}: ${reason}. Name a commit of this repository, or "." for the folder.`,
    );
  }
  execFileSync("tar", ["-xf", archive, "-C", folder]);
}

/**
 * Compiles the builds of a revision in `folder`, which is created.
 * @returns {Record<string, Uint8Array | undefined>} By name; undefined where the revision has no such build.
 */
export function compileKernels(revision, names, folder) {
  fs.mkdirSync(folder, { recursive: true });
  checkOut(revision, folder);
  const modules = path.join(folder, "node_modules"); // asconfig.json extends a package's
  fs.symlinkSync(path.join(ROOT, "node_modules"), modules, "dir");
  const { targets } = JSON.parse(fs.readFileSync(path.join(folder, "asconfig.json"), "utf8"));
  const asc = path.join(path.dirname(require.resolve("assemblyscript/package.json")), "bin/asc.js");
  const compile = (name) => {
    if (!(name in targets)) return undefined;
    const out = path.join(folder, `${name}.wasm`);
    const args = [asc, "--config", "asconfig.json", "--target", name, "-o", out];
    try {
      execFileSync(process.execPath, args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"], encoding: "utf8" });
    } catch (error) {
      throw new Error(`The ${name} kernels of ${revision} do not compile with this checkout's asc:\n${error.stderr}`);
    }
    return fs.readFileSync(out);
  };
  return Object.fromEntries(names.map((name) => [name, compile(name)]));
}
