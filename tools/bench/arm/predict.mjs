/**
 * From instructions to speed, for boards that are not here. A prediction: two bounds, between which a board should lie.
 *
 * A block of a kernel takes at least as many cycles as its instructions need of the scarcest thing: dispatch, vector
 * pipelines, the multiplier, or loads. The upper bound lets arithmetic and memory overlap wholly: the slower one counts.
 * For the lower, a core reaches SUSTAINED of that throughput, and then waits for memory. Only products of matrices are
 * counted, which are 90 % of a token and more.
 */

import { isBroadcast, isProduct, spillsVector } from "../disassemble/code.mjs";
import { align } from "../peers/report.mjs";

const SUSTAINED = 0.7;
/** Tokens of a prompt for which weights are read once. */
const BATCH = 64;

/** Phi-2 from a Q4_0 file: weights that are multiplied for each token, and their bytes with scales. */
const LAYERS = 32;
const HIDDEN = 2560;
const PHI2 = {
  int4: LAYERS * (4 * HIDDEN * HIDDEN + 2 * HIDDEN * 4 * HIDDEN),
  int8: 51_200 * HIDDEN, // the head
};
const BYTES = { int4: 4.5 / 8, int8: 8.5 / 8 };

const VECTOR = /\b[vqd]\d+\b/;
const isLoad = ({ op }) => /^(ldr|ldp|ldur|ld1r?)$/.test(op);
const isDot = ({ op }) => /^[su]dot$/.test(op);
const isVector = ({ op, args }) => VECTOR.test(args) && !isLoad({ op }) && !/^st/.test(op);

/** Instructions by what they occupy. */
export function classify(code) {
  const count = (test) => code.filter(test).length;
  return {
    all: code.length,
    vector: count(isVector),
    multiply: count((each) => isProduct(each) && !isDot(each)),
    dot: count(isDot),
    loads: count((each) => isLoad(each) || isBroadcast(each)) + count((each) => spillsVector(each) && !isLoad(each)),
  };
}

/** Cycles that instructions take at least. */
export function leastCycles(counts, board) {
  const dots = board.dot > 0 ? counts.dot / board.dot : 0;
  return Math.max(
    counts.all / board.dispatch,
    counts.vector / board.vector,
    counts.multiply / board.multiply,
    counts.loads / board.loads,
    dots,
  );
}

/** Cycles for a weight and a token: of a block, whose inner loop runs `trips` times. */
export function cyclesPerProduct({ code, rest, trips, products }, board) {
  const [inner, outer] = [classify(code), classify(rest)];
  const whole = Object.fromEntries(Object.entries(inner).map(([name, count]) => [name, count * trips + outer[name]]));
  return leastCycles(whole, board) / products;
}

const bounds = (computeSeconds, memorySeconds) => ({
  least: 1 / (computeSeconds / SUSTAINED + memorySeconds),
  most: 1 / Math.max(computeSeconds, memorySeconds),
});

/**
 * Tokens a second of Phi-2 in Q4_0 on all cores of a board.
 * @param rows what disassemble.mjs measured of this board's code
 */
export function predict(rows, board) {
  const cycles = (prefix, many) => {
    const fitting = rows.filter(({ kernel, tokens }) => {
      return kernel.startsWith(prefix) && board.kernels.includes(kernel) && tokens === (many ? 4 : 1);
    });
    return Math.min(...fitting.map((row) => cyclesPerProduct(row, board)));
  };
  const perSecond = board.cores * board.hertz;
  const seconds = (many) => (PHI2.int4 * cycles("int4", many)) / perSecond;
  const headSeconds = (PHI2.int8 * cycles("int8", false)) / perSecond;
  const memorySeconds = (PHI2.int4 * BYTES.int4 + PHI2.int8 * BYTES.int8) / board.bytesPerSecond;
  return {
    decode: bounds(seconds(false) + headSeconds, memorySeconds),
    // The head's logits are computed for the last token of a prompt only.
    prefill: bounds(seconds(true), memorySeconds / BATCH),
    decodeCycles: cycles("int4", false),
    prefillCycles: cycles("int4", true),
  };
}

/** Predictions as text, marked as such, with their sources. */
export function formatPredictions(predictions) {
  const range = ({ least, most }) => `${least.toFixed(1)} - ${most.toFixed(1)}`;
  const rows = predictions.map(({ name, decode, prefill, decodeCycles, prefillCycles }) => [
    name,
    ...[decodeCycles, prefillCycles].map((cycles) => cycles.toFixed(3)),
    ...[decode, prefill].map(range),
  ]);
  const titles = ["PREDICTED", "cycles/weight", "in batches of 4", "decode tok/s", "prefill tok/s"];
  const sources = predictions.flatMap(({ name, sources }) => {
    return Object.values(sources).map((source) => `${name}: ${source}\n`);
  });
  const note = "Not measured: bounds for Phi-2 in Q4_0 on all cores, from the code above and published figures.\n";
  return `${align([titles, ...rows])}${note}${sources.join("")}`;
}
