/** The product's own way to run kernels: its V8 flags, its WASI host, and builds on one shared memory. */

import { fileURLToPath } from "node:url";
import esbuild from "esbuild";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const PAGE_BYTES = 65536;
/** Below this lie the builds' constants, above it what a measurement lays out. */
export const STATIC_BYTES = PAGE_BYTES;

/** A module of the product, compiled from its TypeScript. */
async function importSource(name) {
  const options = { bundle: true, write: false, format: "esm", platform: "node", logLevel: "silent" };
  const { outputFiles } = await esbuild.build({ ...options, absWorkingDir: ROOT, entryPoints: [name] });
  return import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString("base64")}`);
}

/**
 * Sets the flags with which the product compiles, and returns a bench of `bytes` linear memory (rounded up) on which
 * builds take turns. All builds share the memory, so that none is lucky with where its pages lie.
 */
export async function createBench(bytes) {
  const { setEngineFlags } = await importSource("devices/node/engine-flags.ts");
  const { createWasiHost } = await importSource("devices/wasi/host.ts");
  setEngineFlags();
  const pages = Math.ceil(bytes / PAGE_BYTES);
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const low = new Uint8Array(memory.buffer, 0, STATIC_BYTES);

  /** A build's {exports, activate}; undefined where this engine does not accept it. */
  const instantiate = async (wasm) => {
    if (!WebAssembly.validate(wasm)) return undefined;
    const host = createWasiHost(memory);
    const module = await WebAssembly.compile(wasm);
    low.fill(0);
    const instance = new WebAssembly.Instance(module, { ...host.imports, env: { memory } });
    host.start(instance);
    // Builds keep their constants in the same place; whoever is to run gets its own back.
    const image = low.slice();
    const exports = /** @type {Record<string, Function>} */ (instance.exports);
    return { exports, activate: () => low.set(image) };
  };
  return { memory, instantiate };
}
