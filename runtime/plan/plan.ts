/**
 * Which layout fits: everything in memory, or the weights streamed through it, or an error that says what would fit.
 * Pure: model and options in, layout out.
 */

import type { Phi2Config } from "../api.ts";
import { WASM_PAGE_BYTES } from "../compute/kernels.ts";
import { PiPhiError } from "../errors.ts";
import { type Layout, type LayoutOptions, layOutResident, layOutStreamed, type Subject } from "./layout.ts";
import { choosePinned } from "./pinning.ts";

const ADDRESSABLE_BYTES = 65536 * WASM_PAGE_BYTES;

export interface PlanOptions extends LayoutOptions {
  /** Limit for the sum of everything, bytes; undefined = none below 4 GiB. */
  ramBytes?: number;
  /** What the process takes beside this memory: errors speak of both together, as limits do. */
  overheadBytes?: number;
  /** Whether the limit is one that was asked for, so that more can be. */
  ramAsked?: boolean;
  /** Shorter contexts to turn to, longest first, where that of `contextLength` was not asked for and does not fit. */
  shorterContexts?: readonly number[];
  /** Whether weights may be streamed: there is a pack file, and a device that can read ahead. */
  streamable: boolean;
  /** Whether a thread of its own reads them, ahead of their use. */
  readsAhead?: boolean;
  /** Tokens of a prompt in one pass over streamed weights, to choose from; default: STREAMED_BATCHES. */
  batches?: readonly number[];
  /** Whether they could be, if the model were packed. */
  packable?: boolean;
}

/** One is used, one is filled, one is on the way; where nobody reads ahead, one is used. */
const ringSlots = ({ readsAhead = true }: PlanOptions) => (readsAhead ? 3 : 1);
/**
 * Tokens of a prompt in one pass over streamed weights, where their activations take at most an eighth of the memory;
 * the last ones, for a single pass of a short prompt, whatever they take.
 */
const STREAMED_BATCHES = [256, 128, 64];
const STREAMED_BATCH_SHARE = 1 / 8;

/** The layout for a model; throws E_CONTEXT, E_MODEL_TOO_LARGE or E_MEMORY with what would fit. */
export function plan(subject: Subject, options: PlanOptions): Layout {
  const [next, ...rest] = options.shorterContexts ?? [];
  if (next === undefined) return planContext(subject, options);
  try {
    return planContext(subject, options);
  } catch {
    return plan(subject, { ...options, contextLength: next, shorterContexts: rest });
  }
}

function planContext(subject: Subject, options: PlanOptions): Layout {
  checkContext(subject.config, options.contextLength);
  const limit = Math.min(options.ramBytes ?? ADDRESSABLE_BYTES, ADDRESSABLE_BYTES);
  const resident = layOutResident(subject, options);
  if (resident.totalBytes <= limit) return resident;
  if (options.streamable) {
    const streamed = planStreamed(subject, options, limit);
    if (streamed.totalBytes <= limit) return streamed;
  } else if (resident.totalBytes > ADDRESSABLE_BYTES) throw tooLarge(subject, options, resident);
  throw tooLittleMemory(subject, options, limit);
}

/** The layout that asks for least, however large: what is shown of a model that does not fit. */
export function leastLayout(subject: Subject, options: PlanOptions): Layout {
  const asked = { ...options, contextLength: options.shorterContexts?.at(-1) ?? options.contextLength };
  checkContext(subject.config, asked.contextLength);
  return least(subject, asked);
}

/** The smaller of both ways: a ring for a very small model would take more than its weights. */
function least(subject: Subject, options: PlanOptions): Layout {
  const resident = layOutResident(subject, options);
  if (!options.streamable) return resident;
  const streamed = planStreamed(subject, options, 0);
  return streamed.totalBytes < resident.totalBytes ? streamed : resident;
}

/** The streamed layout that keeps as much as `limit` bytes allow; larger than them where even the least is. */
function planStreamed(subject: Subject, options: PlanOptions, limit: number): Layout {
  const usable = Math.floor(limit / WASM_PAGE_BYTES) * WASM_PAGE_BYTES; // memory comes in whole pages
  const choose = (units: Parameters<typeof choosePinned>[0], taken: number) =>
    choosePinned(units, subject.config.layers, usable - taken);
  const candidates = (options.batches ?? STREAMED_BATCHES)
    .map((tokens) => Math.max(options.sequences, Math.min(tokens, options.contextLength)))
    .map((batchTokens) => layOutStreamed(subject, { ...options, batchTokens }, ringSlots(options), choose));
  const fits = (layout: Layout) => layout.bytes.scratch <= limit * STREAMED_BATCH_SHARE && layout.totalBytes <= limit;
  return candidates.find(fits) ?? candidates[candidates.length - 1];
}

function checkContext(config: Phi2Config, contextLength: number): void {
  if (!Number.isInteger(contextLength) || contextLength < 1) {
    throw new PiPhiError("E_USAGE", `The context must be a whole number of tokens, at least 1, not ${contextLength}.`);
  }
  if (contextLength > config.contextLength) {
    throw new PiPhiError(
      "E_CONTEXT",
      `A context of ${contextLength} tokens was asked for, but the model was made for ${config.contextLength}. Ask for ${config.contextLength} or fewer.`,
      { asked: contextLength, limit: config.contextLength },
    );
  }
}

function tooLarge(subject: Subject, options: PlanOptions, layout: Layout): PiPhiError {
  const pack = options.packable ? "Pack the model (piphi pack), so that its weights can be streamed, or use" : "Use";
  const remedy =
    layout.bytes.weights > ADDRESSABLE_BYTES - (1 << 28)
      ? `${pack} a smaller quantization, such as Q4_0 or Q4_K_M.`
      : `Use a shorter context: ${fittingContext(subject, options, ADDRESSABLE_BYTES)} tokens fit.`;
  return new PiPhiError(
    "E_MODEL_TOO_LARGE",
    `The model needs ${megabytes(layout.totalBytes)}, but WebAssembly can address only 4096 MiB. ${remedy}`,
    { needBytes: layout.totalBytes, limitBytes: ADDRESSABLE_BYTES },
  );
}

function tooLittleMemory(subject: Subject, options: PlanOptions, limit: number): PiPhiError {
  const { totalBytes } = least(subject, options);
  const context = fittingContext(subject, options, limit);
  const { overheadBytes = 0 } = options;
  const [needBytes, limitBytes] = [totalBytes + overheadBytes, limit + overheadBytes];
  const remedies = [
    ...(context >= 32 ? [`It fits with a context of ${context} tokens (contextLength: ${context}).`] : []),
    ...(fitsPacked(subject, options, limit) ? ["Packed (piphi pack), it fits."] : []),
    ...(context < 32 ? [moreMemory(options, totalBytes - limit, limit)] : []),
  ];
  return new PiPhiError(
    "E_MEMORY",
    `The model needs ${megabytes(needBytes)}, but only ${megabytes(limitBytes)} may be used. ${remedies.join(" ")}`,
    { needBytes, limitBytes, lackingBytes: needBytes - limitBytes, fittingContext: context },
  );
}

/** Whether it would fit if it were packed, so that its weights could be streamed. */
function fitsPacked(subject: Subject, options: PlanOptions, limit: number): boolean {
  if (!options.packable) return false;
  return least({ ...subject, stagingBytes: 0 }, { ...options, streamable: true }).totalBytes <= limit;
}

function moreMemory({ ramAsked, streamable, overheadBytes = 0 }: PlanOptions, lacking: number, limit: number): string {
  const more = ramAsked ? `Allow ${megabytes(lacking)} more (ram)` : `Free ${megabytes(lacking)} more`;
  if (limit <= 0) return `${more}: whatever the model, the process around it takes ${megabytes(overheadBytes)}.`;
  return `${more}, or use a smaller ${streamable ? "model" : "quantization"}.`;
}

/** The longest context, in steps of 32, that stays within `limit` bytes; 0 if none does. */
function fittingContext(subject: Subject, options: PlanOptions, limit: number): number {
  const size = (contextLength: number) => least(subject, { ...options, contextLength }).totalBytes;
  let low = 0;
  let high = Math.floor(options.contextLength / 32);
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (size(middle * 32) <= limit) low = middle;
    else high = middle - 1;
  }
  return low * 32;
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1048576)} MiB`;
}
