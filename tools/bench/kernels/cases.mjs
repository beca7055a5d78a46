/**
 * The micro-benchmarks: what a kernel computes in one call, on one thread, and in which unit its speed is told.
 *
 * A case is {name, unit, kernel, parameters, fill, prepare}. `kernel` is the export it times and `parameters` how many
 * arguments that export had when the case was written; a build whose export differs is left out. `fill(memory)` lays
 * out what is the same for all builds, `prepare({memory, exports})` the rest with the build's own functions, so that
 * builds may keep activations and caches each in their own order. It returns {run, work, extents}: run() is one call,
 * `work` how much of the unit's numerator it does (bytes, multiply-adds, elements or layers), `extents` where it laid
 * out something of its own.
 */

import {
  AT,
  BATCH,
  CONTEXT,
  FFN,
  fillFloats,
  fillTiles,
  generator,
  HEAD_DIM,
  HEADS,
  ROTARY,
  WIDTH,
} from "./layout.mjs";

/**
 * @typedef {{exports: Record<string, Function>, memory: WebAssembly.Memory}} Build
 * @typedef {{run: () => void, work: number, extents: {at: number, bytes: number}[]}} Prepared
 * @typedef {object} Case
 * @property {string} name
 * @property {string} unit
 * @property {string} kernel
 * @property {number} parameters
 * @property {boolean} [relaxedOnly]
 * @property {(memory: WebAssembly.Memory) => void} fill
 * @property {(build: Build) => Prepared} prepare
 */

const BLOCK = 32;
const TILE_ROWS = 16;
/** Row groups that the product hands to a kernel at a time. */
const GROUPS = 16;
const CACHED_BYTES = 256 * 1024;
const GELU_SLICE = 1024;

const MATMULS = [
  { name: "matmul_q4", kind: "q4", tileBytes: 288, scalesAt: 256 },
  { name: "matmul_q4_sdot", kind: "q4", tileBytes: 288, scalesAt: 256, relaxedOnly: true },
  { name: "matmul_q4m", kind: "q4m", tileBytes: 320, scalesAt: 256 },
  { name: "matmul_q4m_sdot", kind: "q4m", tileBytes: 320, scalesAt: 256, relaxedOnly: true },
  { name: "matmul_q8", kind: "q8", tileBytes: 544, scalesAt: 512 },
  { name: "matmul_f32", kind: "f32", tileBytes: 2048, scalesAt: 2048 },
];

/** BATCH rows of activations as tiles of `kind` read them: where they lie. */
function layActivations({ exports }, kind) {
  if (kind === "f32") return { at: AT.x, bytes: BATCH * WIDTH * 4 };
  const to = kind === "q8" ? "q8" : "q4";
  const rowBytes = exports[`activation_bytes_${to}`](WIDTH);
  for (let t = 0; t < BATCH; t++) {
    exports[`quantize_${to}`](AT.x + t * WIDTH * 4, AT.activations + t * rowBytes, WIDTH, 0, WIDTH / BLOCK);
  }
  return { at: AT.activations, bytes: BATCH * rowBytes };
}

const groupBytesOf = ({ tileBytes }) => (WIDTH / BLOCK) * tileBytes;

function fillMatmul(memory, matmul, groups) {
  fillTiles(memory, matmul, groups * groupBytesOf(matmul), generator());
  fillFloats(memory, AT.bias, GROUPS * TILE_ROWS, generator());
  fillFloats(memory, AT.x, BATCH * WIDTH, generator());
}

/** One pass of `tokens` over `groups` row groups, in the pieces that the product would hand out. */
function prepareMatmul(build, matmul, tokens, groups) {
  const groupBytes = groupBytesOf(matmul);
  const activations = layActivations(build, matmul.kind);
  const a = activations.at;
  const kernel = build.exports[matmul.name];
  const run = () => {
    for (let from = 0; from < groups; from += GROUPS) {
      const count = Math.min(GROUPS, groups - from);
      const w = AT.weights + from * groupBytes;
      kernel(w, a, tokens, WIDTH, 0, count, AT.out, GROUPS * TILE_ROWS * 4, AT.bias, false, AT.scratch);
    }
  };
  return { run, extents: [activations], bytes: groups * groupBytes, products: groups * TILE_ROWS * WIDTH * tokens };
}

function matmulCases(weightBytes) {
  const matmulCase = (matmul, title, unit, tokens, groups) => ({
    name: `${matmul.name}, ${title}`,
    unit,
    kernel: matmul.name,
    parameters: 11,
    relaxedOnly: matmul.relaxedOnly,
    fill: (memory) => fillMatmul(memory, matmul, groups),
    prepare(build) {
      const { bytes, products, ...rest } = prepareMatmul(build, matmul, tokens, groups);
      return { ...rest, work: unit === "GB/s" ? bytes : products };
    },
  });
  return MATMULS.flatMap((matmul) => {
    const groupsIn = (bytes) => Math.max(1, Math.floor(bytes / groupBytesOf(matmul)));
    return [
      matmulCase(matmul, "1 token, memory", "GB/s", 1, groupsIn(weightBytes)),
      matmulCase(matmul, "1 token, cache", "GB/s", 1, groupsIn(CACHED_BYTES)),
      matmulCase(matmul, `${BATCH} tokens`, "GMAC/s", BATCH, GROUPS),
    ];
  });
}

function quantizeCase(to) {
  const kernel = `quantize_${to}`;
  return {
    name: `${kernel}, ${FFN} numbers`,
    unit: "ns each",
    kernel,
    parameters: 5,
    fill: (memory) => fillFloats(memory, AT.x, FFN, generator()),
    prepare: ({ exports }) => ({
      run: () => exports[kernel](AT.x, AT.activations, FFN, 0, FFN / BLOCK),
      work: FFN,
      extents: [],
    }),
  };
}

const layerNormCase = {
  name: `layer_norm, ${WIDTH} numbers`,
  unit: "ns each",
  kernel: "layer_norm",
  parameters: 6,
  fill: (memory) => fillFloats(memory, AT.x, 3 * WIDTH, generator()),
  prepare({ exports }) {
    const [weight, bias] = [AT.x + WIDTH * 4, AT.x + WIDTH * 8];
    return { run: () => exports.layer_norm(AT.x, weight, bias, AT.out, WIDTH, 1e-5), work: WIDTH, extents: [] };
  },
};

const geluCase = {
  name: `gelu, ${GELU_SLICE} numbers`,
  unit: "ns each",
  kernel: "gelu",
  parameters: 2,
  // It works in place; from 8 on it is the identity, so that the numbers of later calls are those of the first.
  fill: (memory) => fillFloats(memory, AT.x, GELU_SLICE, generator(), 8, 12),
  prepare: ({ exports }) => ({ run: () => exports.gelu(AT.x, GELU_SLICE), work: GELU_SLICE, extents: [] }),
};

/** All heads of a layer for `tokens` that follow `before` positions. */
function prepareAttention({ memory, exports }, kernel, tokens, before) {
  const row = 3 * HEADS * HEAD_DIM;
  const half = kernel === "attention_f16";
  const need = {
    cache: HEADS * exports.attention_cache_bytes(half, CONTEXT, HEAD_DIM),
    scratch: exports.attention_scratch_bytes(BATCH, HEAD_DIM),
  };
  if (need.scratch > AT.qkv - AT.scratch || need.cache > memory.buffer.byteLength - AT.weights) {
    throw new Error(`${kernel} needs more memory than is set aside for it; raise --weights`);
  }
  const positions = new Int32Array(memory.buffer, AT.positions, BATCH);
  new Uint32Array(memory.buffer, AT.caches, BATCH).fill(AT.weights);
  const next = generator();
  const begin = (first, count) => {
    fillFloats(memory, AT.qkv, count * row, next);
    for (let t = 0; t < count; t++) positions[t] = first + t;
  };
  const attend = (count) => {
    for (let head = 0; head < HEADS; head++) {
      exports[kernel](
        ...[AT.qkv, row * 4, count, AT.positions, AT.caches, 0],
        ...[head, HEADS, HEAD_DIM, ROTARY, AT.table, CONTEXT],
        ...[AT.out, HEADS * HEAD_DIM * 4, AT.scratch],
      );
    }
  };
  for (let first = 0; first < before; first += BATCH) {
    const count = Math.min(BATCH, before - first);
    begin(first, count);
    attend(count);
  }
  // Later calls turn what the first one turned already, which keeps its length, and write the same positions.
  begin(before, tokens);
  const extents = [
    { at: AT.qkv, bytes: tokens * row * 4 },
    { at: AT.weights, bytes: need.cache },
  ];
  return { run: () => attend(tokens), work: 1, extents };
}

function attentionCases() {
  const runs = [
    { title: "token 32", tokens: 1, before: 31 },
    { title: "token 1000", tokens: 1, before: 999 },
    { title: `tokens ${512 - BATCH + 1}-512`, tokens: BATCH, before: 512 - BATCH },
  ];
  return ["attention_int8", "attention_f16"].flatMap((kernel) =>
    runs.map(({ title, tokens, before }) => ({
      name: `${kernel}, ${title}`,
      unit: "us a layer",
      kernel,
      parameters: 15,
      fill: (memory) => fillFloats(memory, AT.table, CONTEXT * ROTARY, generator(), 0.7, 0.71),
      prepare: (build) => prepareAttention(build, kernel, tokens, before),
    })),
  );
}

/**
 * All cases; the largest matrix of each kind has about `weightBytes`.
 * @param {number} weightBytes
 * @returns {Case[]}
 */
export function kernelCases(weightBytes) {
  return [
    ...matmulCases(weightBytes),
    quantizeCase("q4"),
    quantizeCase("q8"),
    ...attentionCases(),
    layerNormCase,
    geluCase,
  ];
}

/**
 * Why a build cannot run a case, or undefined.
 * @param {Pick<Case, "kernel" | "parameters" | "relaxedOnly">} kase
 * @param {string} build
 * @param {Record<string, unknown>} exports
 */
export function obstacleTo({ kernel, parameters, relaxedOnly }, build, exports) {
  if (relaxedOnly && build !== "relaxed") return "only the relaxed build has this form";
  if (typeof exports[kernel] !== "function") return `there is no ${kernel}`;
  if (exports[kernel].length !== parameters) {
    return `${kernel} takes ${exports[kernel].length} arguments, not ${parameters}`;
  }
  return undefined;
}
