/** Test files as one script that needs neither vitest nor a file system of modules: vitest's own runner, bundled. */

import fs from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import esbuild from "esbuild";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
/** vitest's runner and assertions are packages of their own, which run in any engine. */
const vitest = createRequire(createRequire(import.meta.url).resolve("vitest/package.json"));

/** Sources look for files beside themselves; in a bundle they must find the same ones. */
const ownAddresses = {
  name: "own-addresses",
  setup(build) {
    build.onLoad({ filter: /\.ts$/ }, async ({ path: file }) => {
      const text = await fs.readFile(file, "utf8");
      return { loader: "ts", contents: text.replaceAll("import.meta.url", JSON.stringify(pathToFileURL(file).href)) };
    });
  },
};

/** Bundles test files (relative to the repository) into `outfile`, which runs them and prints a line for each test. */
export async function bundleTests(files, outfile) {
  const entries = files.map((file) => `[${JSON.stringify(file)}, () => import(${JSON.stringify(`./${file}`)})]`);
  await esbuild.build({
    stdin: {
      contents: `import { run } from "vitest";\nawait run([${entries.join(", ")}]);\n`,
      resolveDir: ROOT,
    },
    outfile,
    bundle: true,
    format: "esm",
    platform: "node",
    target: "node24",
    logLevel: "warning",
    absWorkingDir: ROOT,
    alias: {
      vitest: path.join(ROOT, "tools/bench/arm/runner.mjs"),
      "@vitest/runner": vitest.resolve("@vitest/runner"),
      "@vitest/expect": vitest.resolve("@vitest/expect"),
    },
    plugins: [ownAddresses],
  });
}
