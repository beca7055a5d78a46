/** Builds everything into dist/: kernels (asc), bundles (esbuild), the embedded model, type declarations (tsc). */

import { execFile } from "node:child_process";
import { cp, mkdir, rm } from "node:fs/promises";
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

const shared = {
  bundle: true,
  format: "esm",
  target: "es2022",
  outbase: root,
  absWorkingDir: root,
  logLevel: "warning",
};

async function build() {
  await rm(path.join(root, "dist"), { recursive: true, force: true });
  await mkdir(path.join(root, "dist/kernels"), { recursive: true });
  await Promise.all([
    ...["debug", "simd", "relaxed"].map((target) => node(asc, "--config", "asconfig.json", "--target", target)),
    esbuild.build({
      ...shared,
      entryPoints: ["devices/node/index.ts", "devices/node/worker.ts", "tools/cli.ts"],
      outdir: "dist",
      platform: "node",
      target: "node20",
      splitting: true,
      chunkNames: "chunks/[name]-[hash]",
      packages: "external",
    }),
    esbuild.build({
      ...shared,
      entryPoints: ["devices/web/index.ts", "devices/web/worker.ts"],
      outdir: "dist",
      platform: "browser",
      minify: true,
      logLevel: "info", // prints the sizes
    }),
    node(tsc, "-p", "tsconfig.build.json"),
    cp(path.join(root, "runtime/models/home.gguf"), path.join(root, "dist/models/home.gguf")),
  ]);
}

try {
  await build();
} catch (error) {
  console.error(error.stdout || error.stderr || error);
  process.exitCode = 1;
}
