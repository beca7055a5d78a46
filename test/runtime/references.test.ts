/**
 * The forward pass with every kernel replaced by its scalar reference, in f32 and with an f16 cache, against PyTorch:
 * the references define the kernels, so they themselves must be Phi-2.
 */

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { nodeDevice } from "../../devices/node/device.ts";
import { writeRotations } from "../../runtime/cache/rope.ts";
import { instantiateKernels } from "../../runtime/compute/instance.ts";
import type { Kernels } from "../../runtime/compute/kernels.ts";
import { Team } from "../../runtime/compute/team.ts";
import { Phi2 } from "../../runtime/phi2.ts";
import { subjectOf } from "../../runtime/plan/estimate.ts";
import { plan } from "../../runtime/plan/plan.ts";
import { Weights } from "../../runtime/residence/weights.ts";
import { Loader, loadVectors, planLoad } from "../../runtime/weights/load.ts";
import { openModel } from "../../runtime/weights/model.ts";
import { meanKl } from "../reference/phi.ts";

const data = (name: string) => new URL(`../fixtures/data/${name}`, import.meta.url);

/** Exports of a build, as functions of numbers. */
type Exports = Record<string, (...args: (number | boolean)[]) => number>;

/** The kernels of a build with the reference in each one's place. */
function references(kernels: Kernels): Kernels {
  const exports = kernels as unknown as Exports;
  return {
    ...kernels,
    // The references take no scratch.
    matmul_f32: (...args) => exports.matmul_f32_reference(...args.slice(0, -1)),
    layer_norm: (...args) => exports.layer_norm_reference(...args),
    gelu: (...args) => exports.gelu_reference(...args),
    attention_f16: (...args) => exports.attention_reference(true, ...args),
  };
}

test("a tiny model of transformers, by the scalar references alone: KL at most 1e-5 from PyTorch", async () => {
  const expected = JSON.parse(readFileSync(data("tiny-hd80.json"), "utf8"));
  const ids: number[] = expected.ids;
  const torch = new Float32Array(Uint8Array.from(Buffer.from(expected.torchLogits, "base64")).buffer);
  const device = { ...nodeDevice(), sharedMemory: true };
  const model = openModel((name) => device.open(name), data("tiny-hd80.gguf").pathname, "exact");
  const manifest = model.weights.manifest!;
  const options = {
    contextLength: 64,
    kv: "f16",
    threads: 1,
    batchTokens: 64,
    sequences: 1,
    streamable: false,
  } as const;
  const layout = plan(subjectOf(model), options);
  const pages = layout.totalBytes / 65536;
  const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  const module = await WebAssembly.compile((await device.kernel("simd")) as BufferSource);
  const kernels = references(instantiateKernels(device, module, memory));

  loadVectors(manifest, model.shape, memory.buffer, layout.vectors);
  const loadPlan = planLoad(manifest, model.shape, layout.vectors, layout.stagingBytes);
  const staging = layout.threadScratch + layout.stagingOffset;
  const loader = new Loader(loadPlan, manifest.sources, kernels, memory.buffer, staging, layout.stagingBytes);
  for (const index of loadPlan.pieces.keys()) loader.load(index);
  model.close();

  new Uint32Array(memory.buffer, layout.caches, ids.length).fill(layout.kvCache);
  const weights = new Weights(layout, memory.buffer, true);
  const phi2 = new Phi2(
    kernels,
    "pairs",
    layout,
    new Team(kernels, memory.buffer, layout.control, 1, 0),
    weights,
    memory.buffer,
  );
  const logits: Float32Array[] = [];
  for (let t = 0; t < ids.length; t++) {
    new Int32Array(memory.buffer, layout.ids, 1)[0] = ids[t];
    new Int32Array(memory.buffer, layout.positions, 1)[0] = t;
    writeRotations(layout, memory.buffer, [t]);
    phi2.forward(1, 0);
    logits.push(new Float32Array(memory.buffer, layout.logits, manifest.config.vocabSize).slice());
  }
  const rows = ids.map((_, t) => torch.subarray(t * expected.vocabSize, (t + 1) * expected.vocabSize));
  const kl = meanKl(rows, logits);
  console.log(`scalar references: mean KL ${kl.toExponential(2)} over ${ids.length} positions`);
  expect(kl).toBeLessThanOrEqual(1e-5);
});
