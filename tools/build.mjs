/**
 * Builds everything into dist/: kernels (asc), bundles (esbuild), the embedded model, type declarations (tsc).
 * Does nothing where dist/ is newer than every source: `npx` in a checkout runs the build before each first use.
 */

import { execFile } from "node:child_process";
import { cp, mkdir, readdir, rename, rm, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import esbuild from "esbuild";

const run = promisify(execFile);
const root = fileURLToPath(new URL("../", import.meta.url));
const require = createRequire(import.meta.url);
const node = (script, ...args) => run(process.execPath, [script, ...args], { cwd: root });

const asc = path.join(path.dirname(require.resolve("assemblyscript/package.json")), "bin/asc.js");
const tsc = path.join(path.dirname(require.resolve("typescript/package.json")), "bin/tsc");

const SOURCES = ["kernels", "runtime", "devices", "tools", "package-lock.json", "asconfig.json", "tsconfig.build.json"];
const dist = path.join(root, "dist");
/** Everything is built here and moved at the end, so that a running piphi never sees half a build. */
const fresh = path.join(root, "dist.tmp");

/** Time of the last change (ms) of the newest file at or below a path. */
async function lastChange(name) {
  const file = path.join(root, name);
  const { mtimeMs } = await stat(file);
  if (path.extname(name) !== "") return mtimeMs;
  const files = await readdir(file, { recursive: true, withFileTypes: true });
  const times = await Promise.all(
    files.map(async (entry) => (await stat(path.join(entry.parentPath ?? entry.path, entry.name))).mtimeMs),
  );
  return Math.max(mtimeMs, ...times);
}

async function isFresh() {
  try {
    const { mtimeMs } = await stat(dist);
    return (await Promise.all(SOURCES.map(lastChange))).every((time) => time < mtimeMs);
  } catch {
    return false; // never built
  }
}

const shared = {
  bundle: true,
  format: "esm",
  target: "es2022",
  outbase: root,
  absWorkingDir: root,
  logLevel: "warning",
};

async function build() {
  await rm(fresh, { recursive: true, force: true });
  await mkdir(path.join(fresh, "kernels"), { recursive: true });
  const kernel = (target) => {
    return node(asc, "--config", "asconfig.json", "--target", target, "-o", path.join(fresh, `kernels/${target}.wasm`));
  };
  await Promise.all([
    ...["debug", "simd", "relaxed"].map(kernel),
    esbuild.build({
      ...shared,
      entryPoints: [
        "devices/node/index.ts",
        "devices/node/home/index.ts",
        "devices/node/worker.ts",
        "devices/node/trial-child.ts",
        "tools/cli.ts",
        "tools/home/evaluate.ts",
        "tools/home/calibrate.ts",
        "tools/home/memory.ts",
      ],
      outdir: fresh,
      platform: "node",
      target: "node20",
      splitting: true,
      chunkNames: "chunks/[name]-[hash]",
      packages: "external",
      keepNames: true, // of PiPhiError in an uncaught one's first line
    }),
    esbuild.build({
      ...shared,
      entryPoints: ["index", "core", "home", "worker"].map((name) => `devices/web/${name}.ts`),
      outdir: fresh,
      platform: "browser",
      minify: true,
      logLevel: "info", // prints the sizes
    }),
    esbuild.build({
      ...shared,
      entryPoints: ["tools/serve/http/page/page.ts"],
      outdir: path.join(fresh, "tools/page"),
      outbase: path.join(root, "tools/serve/http/page"),
      platform: "browser",
      minify: true,
    }),
    ...["index.html", "page.css"].map((name) => {
      return cp(path.join(root, "tools/serve/http/page", name), path.join(fresh, "tools/page", name));
    }),
    node(tsc, "-p", "tsconfig.build.json", "--outDir", path.join(fresh, "types")),
    cp(path.join(root, "runtime/models"), path.join(fresh, "models"), { recursive: true }),
  ]);
  await rm(dist, { recursive: true, force: true });
  await rename(fresh, dist);
}

try {
  if (!(await isFresh())) await build();
} catch (error) {
  console.error(error.stdout || error.stderr || error);
  process.exitCode = 1;
}
