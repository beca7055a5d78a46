/**
 * What V8 makes of the matrix kernels' inner loops, on x64 and on ARM: instructions for a weight, and spills.
 *
 *   node tools/bench/disassemble.mjs [--folder FOLDER] [--target NAME …] [--listing FILE]
 *
 * Both binaries are compiled by one version of V8 with --print-wasm-code: on this machine for x64, under qemu for
 * arm64 (see arm/emulator.mjs for what that needs). The loops are found in the listing: the control flow graph gives
 * natural loops; a kernel's are the innermost ones that broadcast activations and multiply. Bytes loaded, without
 * broadcasts and the frame, give the weights of a trip, and broadcasts the tokens. `--listing` keeps the code of
 * the loops. stdout is a Markdown table, and what it and published figures let expect of the boards (arm/predict.mjs).
 *
 *   inner   instructions of the inner loop / products     (a product is one weight times one token's activation)
 *   all     those of a whole block of 32 columns, scales and f32 sums included, / products
 *   spills  vector moves / all moves between registers and frame in one trip of the inner loop, and in the rest of a block
 */

import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { BOARDS } from "./arm/boards.mjs";
import { cacheFolder, installNode, MissingError, prepareArm } from "./arm/emulator.mjs";
import { formatPredictions, predict } from "./arm/predict.mjs";
import {
  findLoops,
  isBroadcast,
  isProduct,
  parseListing,
  spillsVector,
  touchesStack,
  vectorLoadBytes,
} from "./disassemble/code.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const FLAGS = ["--print-wasm-code", "--no-liftoff", "--no-wasm-lazy-compilation"];
const PLAIN_X64 = "--no-enable-avx-vnni";
const REVECTORIZE = "--experimental-wasm-revectorize";

/** How each target's code is made; both boards' CPUs are qemu's models of them. */
const TARGETS = {
  "x64 128": { flags: [PLAIN_X64] },
  "x64 256": { flags: [PLAIN_X64, REVECTORIZE] },
  "x64 256 VNNI": { flags: [REVECTORIZE], needs: "avx_vnni" },
  "Pi 4": { flags: [], cpu: "cortex-a72" },
  "Pi 5": { flags: [], cpu: "cortex-a76" },
};

/** The kernels: weights in a loaded byte, broadcasts for 32 bytes of weights and one token, rows x columns of a block. */
const BLOCK_WEIGHTS = 16 * 32;
const KERNELS = [
  { name: "int4 pairs", build: "relaxed", export: "matmul_q4", weightsPerByte: 2, broadcasts: 1 },
  { name: "int4 sdot", build: "relaxed", export: "matmul_q4_sdot", weightsPerByte: 2, broadcasts: 1 },
  { name: "int4 simd", build: "simd", export: "matmul_q4", weightsPerByte: 2, broadcasts: 2 },
  { name: "int8", build: "relaxed", export: "matmul_q8", weightsPerByte: 1, broadcasts: 1 },
];

/** Runs on the Node in question: compiles a file and prints the index of every function that it exports. */
const COMPILE = `
const module = new WebAssembly.Module(require("fs").readFileSync(process.argv[1]));
const imports = {};
for (const { module: from, name, kind } of WebAssembly.Module.imports(module)) {
  imports[from] ??= {};
  imports[from][name] = kind === "memory" ? new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true }) : () => 0;
}
const { exports } = new WebAssembly.Instance(module, imports);
const functions = Object.entries(exports).filter(([, value]) => typeof value === "function");
console.log("\\nexports " + JSON.stringify(functions.map(([name, value]) => [name, Number(value.name)])));
`;

/** The code of every exported function of a build, by name. */
async function compile(node, flags, build) {
  const [program, ...args] = node;
  const file = path.join(ROOT, `dist/kernels/${build}.wasm`);
  const { stdout } = await promisify(execFile)(program, [...args, ...FLAGS, ...flags, "-e", COMPILE, file], {
    maxBuffer: 1 << 28,
  });
  const functions = parseListing(stdout);
  const names = JSON.parse(/^exports (.*)$/m.exec(stdout)[1]);
  return new Map(names.map(([name, index]) => [name, functions.get(index)]));
}

const count = (instructions, test) => instructions.filter(test).length;
const contains = (outer, inner) => outer !== inner && [...inner.blocks].every((block) => outer.blocks.has(block));

/** A whole number, or an error: a count that does not come out even means that a loop was misread. */
function whole(value, what) {
  if (Number.isInteger(value) && value > 0) return value;
  throw new Error(`${what} is ${value}: this loop is not understood; look at its code with --listing`);
}

const spillsOf = (code) => [count(code, spillsVector), count(code, touchesStack)];

/** The inner loops of a kernel, one for each number of tokens. */
function measure(kernel, instructions) {
  const loops = findLoops(instructions);
  const inner = loops.filter((loop) => {
    const { instructions: code } = loop;
    return code.some(isBroadcast) && code.some(isProduct) && !loops.some((other) => contains(loop, other));
  });
  return inner.map((loop) => {
    const code = loop.instructions;
    const bytes = code.reduce((sum, each) => sum + vectorLoadBytes(each), 0);
    const what = `${kernel.name}: `;
    const steps = whole(bytes / 32, `${what}steps of a trip`);
    const tokens = whole(count(code, isBroadcast) / steps / kernel.broadcasts, `${what}tokens`);
    const weights = bytes * kernel.weightsPerByte;
    // Not always whole: V8 unrolls three times as well, and leaves in the middle.
    const trips = BLOCK_WEIGHTS / weights;
    const block = loops.find((other) => contains(other, loop));
    const rest = block.instructions.filter((each) => !code.includes(each));
    const total = code.length * trips + rest.length;
    const products = BLOCK_WEIGHTS * tokens;
    return {
      kernel: kernel.name,
      tokens,
      inner: code.length / (weights * tokens),
      all: total / products,
      trip: `${code.length} / ${weights}`,
      trips,
      products,
      spills: spillsOf(code),
      restSpills: spillsOf(rest),
      code,
      rest,
    };
  });
}

async function measureTarget(name, node) {
  const builds = { relaxed: undefined, simd: undefined };
  for (const build of Object.keys(builds)) builds[build] = await compile(node, TARGETS[name].flags, build);
  return KERNELS.flatMap((kernel) => measure(kernel, builds[kernel.build].get(kernel.export)))
    .sort(
      (a, b) =>
        KERNELS.findIndex((k) => k.name === a.kernel) - KERNELS.findIndex((k) => k.name === b.kernel) ||
        a.tokens - b.tokens,
    )
    .map((row) => ({ target: name, ...row }));
}

const HEADINGS = [
  "target",
  "kernel",
  "tokens",
  "trip: instructions / weights",
  "inner",
  "all",
  "spills, inner",
  "spills, rest",
];

function formatRow({ target, kernel, tokens, trip, inner, all, spills, restSpills }) {
  const cells = [
    target,
    kernel,
    tokens,
    trip,
    inner.toFixed(3),
    all.toFixed(3),
    spills.join(" / "),
    restSpills.join(" / "),
  ];
  return `| ${cells.join(" | ")} |`;
}

const formatCode = (code) => code.map(({ address, op, args }) => `  ${address.toString(16)}  ${op} ${args}`).join("\n");
const formatListing = (rows) =>
  rows
    .map(({ target, kernel, tokens, code, rest }) => {
      const title = `${target}, ${kernel}, ${tokens} token${tokens > 1 ? "s" : ""}`;
      return `== ${title}: inner loop\n${formatCode(code)}\n== ${title}: rest of a block\n${formatCode(rest)}\n`;
    })
    .join("\n");

/** The command line of a target's Node; undefined, and why on stderr, where this machine cannot make its code. */
function nodeFor(name, folder) {
  const { cpu, needs } = TARGETS[name];
  try {
    if (cpu) return prepareArm(folder).command(cpu);
    if (process.platform !== "linux" || process.arch !== "x64") throw new MissingError("This machine is no x64 Linux.");
    if (needs && !fs.readFileSync("/proc/cpuinfo", "utf8").includes(needs)) throw new MissingError(`No ${needs} here.`);
    return [installNode(folder, "x64")];
  } catch (error) {
    if (!(error instanceof MissingError)) throw error;
    console.error(`${name} is left out. ${error.message}`);
  }
}

async function main() {
  const { values } = parseArgs({
    options: {
      folder: { type: "string", default: cacheFolder() },
      target: { type: "string", multiple: true, default: Object.keys(TARGETS) },
      listing: { type: "string" },
    },
  });
  const unknown = values.target.find((name) => !TARGETS[name]);
  if (unknown) throw new MissingError(`No target "${unknown}". Choose from ${Object.keys(TARGETS).join(", ")}.`);
  await promisify(execFile)(process.execPath, [path.join(ROOT, "tools/build.mjs")]);
  const rows = [];
  for (const name of values.target) {
    const node = nodeFor(name, path.resolve(values.folder));
    if (node) rows.push(...(await measureTarget(name, node)));
  }
  if (values.listing) fs.writeFileSync(values.listing, formatListing(rows));
  console.log(`| ${HEADINGS.join(" | ")} |\n|${"---|".repeat(HEADINGS.length)}`);
  for (const row of rows) console.log(formatRow(row));
  const boards = Object.keys(BOARDS).filter((name) => rows.some(({ target }) => target === name));
  const predictions = boards.map((name) => {
    const own = rows.filter(({ target }) => target === name);
    return { name, sources: BOARDS[name].sources, ...predict(own, BOARDS[name]) };
  });
  if (boards.length > 0) console.log(`\n${formatPredictions(predictions)}`);
  return rows.length > 0 ? 0 : 2;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof MissingError ? error.message : error);
  process.exitCode = error instanceof MissingError ? 2 : 1;
}
