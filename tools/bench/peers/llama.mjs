/**
 * llama.cpp, native on the CPU, through node-llama-cpp: node llama.mjs JSON, with the fields that `settings` names.
 * Prints one JSON document: {version, cpuBuild, loadMs, peakBytes, prefill: [tok/s of each round], decode: […]}.
 */

import fs from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";

const settings = JSON.parse(process.argv[2]);
const { folder, model: modelPath, threads, promptTokens, generateTokens, repeat, contextLength } = settings;

const entry = path.join(folder, "node_modules/node-llama-cpp/dist/index.js");
const { getLlama } = await import(pathToFileURL(entry).href);
const llama = await getLlama({ gpu: false, maxThreads: threads, build: "never", logLevel: "error" });

const loadStart = performance.now();
const model = await llama.loadModel({ modelPath, useMmap: true });
const context = await model.createContext({ contextSize: contextLength, threads, batchSize: 512 });
const loadMs = performance.now() - loadStart;

/** The prompt that PiPhi's own bench takes. */
const vocabSize = model.fileInfo.metadata.tokenizer.ggml.tokens.length;
const prompt = Array.from({ length: promptTokens }, (_, i) => (200 + ((i * 37) % 40_000)) % vocabSize);
const sequence = context.getSequence();

/** The first token comes with the prompt; the `generateTokens - 1` after it are decode's. */
async function round() {
  await sequence.clearHistory();
  const start = performance.now();
  let firstMs = 0;
  let count = 0;
  for await (const _ of sequence.evaluate(prompt, { temperature: 0, yieldEogToken: true })) {
    if (++count === 1) firstMs = performance.now() - start;
    if (count === generateTokens) break;
  }
  const decodeMs = performance.now() - start - firstMs;
  return { prefill: (promptTokens / firstMs) * 1000, decode: ((generateTokens - 1) / decodeMs) * 1000 };
}

await round(); // warms up
const rounds = [];
for (let i = 0; i < repeat; i++) rounds.push(await round());

/** For which CPU the loaded library was compiled ("zen4"); null where there is no /proc or but one library. */
function cpuBuild() {
  const maps = "/proc/self/maps";
  const match = fs.existsSync(maps) && /libggml-cpu-(\w+)\.so/.exec(fs.readFileSync(maps, "utf8"));
  return match ? match[1] : null;
}

const result = {
  version: llama.llamaCppRelease.release,
  cpuBuild: cpuBuild(),
  loadMs,
  peakBytes: process.resourceUsage().maxRSS * 1024,
  prefill: rounds.map(({ prefill }) => prefill),
  decode: rounds.map(({ decode }) => decode),
};
process.stdout.write(JSON.stringify(result), () => process.exit(0)); // the addon's threads would keep the process
