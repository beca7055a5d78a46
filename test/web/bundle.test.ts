/** What a bundler makes of an app with `piphi/web`: whether the embedded model comes with it, and what it warns of. */

import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import esbuild from "esbuild";
import { expect, test } from "vitest";
import { temporaryPath } from "../fixtures/temporary.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const app = temporaryPath("bundled-app");
mkdirSync(path.join(app, "node_modules"), { recursive: true });
symlinkSync(ROOT, path.join(app, "node_modules", "piphi"), "junction");

/** Bundles a script of the app, with every file that is named as `new URL("…", import.meta.url)`, as bundlers do. */
async function bundle(script: string): Promise<{ names: string[]; bytes: number; text: string; warnings: string[] }> {
  const entry = path.join(app, "entry.js");
  writeFileSync(entry, script);
  const loader = { ".gguf": "file", ".wasm": "file" } as const;
  const { outputFiles, warnings } = await esbuild.build({
    entryPoints: [entry],
    outdir: path.join(app, "out"),
    plugins: [followUrls()],
    ...{ bundle: true, write: false, format: "esm", logLevel: "silent", loader },
  });
  return {
    names: outputFiles.map((file) => path.basename(file.path)),
    bytes: outputFiles.reduce((sum, { contents }) => sum + contents.length, 0),
    text: outputFiles[0].text,
    warnings: warnings.map(({ text }) => text),
  };
}

/** esbuild leaves `new URL` alone; webpack, Rollup and Parcel take the file along. */
function followUrls(): esbuild.Plugin {
  return {
    name: "urls",
    setup(build) {
      build.onLoad({ filter: /devices.web.\w+\.js$/ }, async ({ path: file }) => {
        const { readFile } = await import("node:fs/promises");
        const source = await readFile(file, "utf8");
        const names = [...source.matchAll(/new URL\("([^"]+\.(?:gguf|wasm))",import\.meta\.url\)/g)].map(
          ([, name]) => name,
        );
        const imports = names.map(
          (name, i) => `import file${i} from ${JSON.stringify(name)};globalThis.f${i}=file${i};`,
        );
        return { contents: imports.join("") + source, loader: "js" };
      });
    },
  };
}

const USE = "globalThis.used = { load, estimate };";

test("piphi/web brings the embedded model along, piphi/web/core does not", async () => {
  const whole = await bundle(`import { load, estimate } from "piphi/web"; ${USE}`);
  const core = await bundle(`import { load, estimate } from "piphi/web/core"; ${USE}`);
  expect(whole.names.filter((name) => name.endsWith(".gguf"))).toHaveLength(1);
  expect(whole.bytes).toBeGreaterThan(5e6);
  expect(core.names).toEqual(["entry.js"]);
  expect(core.bytes).toBeLessThan(200_000);
  expect(core.text).not.toContain("home.gguf");
  expect([...whole.warnings, ...core.warnings]).toEqual([]);
});

test("an app that imports and uses nothing gets nothing", async () => {
  const { text, warnings } = await bundle('import "piphi/web/core"; import { load } from "piphi/web"; export {};');
  expect(text.replace(/^\s*\/\/.*$/gm, "").trim()).toBe("");
  // That the bare import does nothing is what esbuild should say.
  expect(warnings).toEqual([expect.stringContaining("core.js")]);
});

test("the package's own sources bundle without warnings", async () => {
  const { warnings } = await esbuild.build({
    entryPoints: [path.join(ROOT, "devices/web/index.ts"), path.join(ROOT, "runtime/api.ts")],
    outdir: path.join(app, "own"),
    ...{ bundle: true, write: false, format: "esm", logLevel: "silent" },
  });
  expect(warnings).toEqual([]);
});
