import { hostName } from "../../devices/node/host.ts";
import type { GenerateResult, ModelInfo, Phi } from "../../devices/node/index.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import type { Context } from "../context.ts";
import { JSON_FLAG, LOAD_FLAGS, MODEL_FLAG, toLoadOptions } from "../flags.ts";
import { onlyModel } from "../input.ts";
import { describeMemory, withModel } from "../model.ts";
import { defineCommand, integer, toggle } from "../options.ts";
import { columns, formatBytes, formatRate, plural, printable, writeJson } from "../output.ts";
import { statusLine } from "../progress.ts";

const DEFAULTS = { promptTokens: 128, maxTokens: 32, repeats: 3 };
/** The first token comes with the prefill: one alone would leave nothing to time. */
const LEAST_ANSWER = 2;

/** Tokens of a round: what is in the context before, the prompt, the answer. */
interface Lengths {
  depth: number;
  promptTokens: number;
  maxTokens: number;
}

/**
 * Ordinary words' ids, the same on every machine: `depth` of them in every round, then the prompt, with another first id
 * each round, so that no more than `depth` tokens can come from the cache.
 */
function promptIds({ depth, promptTokens }: Lengths, round: number, vocabulary: number): number[] {
  const ids = Array.from({ length: depth + promptTokens }, (_, i) => (200 + ((i * 37) % 40_000)) % vocabulary);
  ids[depth] = (200 + round) % vocabulary;
  return ids;
}

/** What was asked for, or a default shrunk to the context; throws E_CONTEXT. */
function lengths({ contextLength, config }: ModelInfo, asked: Partial<Lengths>): Lengths {
  const { depth = 0 } = asked;
  const room = Math.max(LEAST_ANSWER + 1, contextLength - depth);
  const maxTokens = asked.maxTokens ?? Math.max(LEAST_ANSWER, Math.min(DEFAULTS.maxTokens, room >> 1));
  const promptTokens = asked.promptTokens ?? Math.max(1, Math.min(DEFAULTS.promptTokens, room - maxTokens));
  if (depth + promptTokens + maxTokens > contextLength) {
    const remedy = contextLength < config.contextLength ? "choose smaller ones or raise --ctx" : "choose smaller ones";
    const flags = depth > 0 ? `-d ${depth}, -p ${promptTokens}` : `-p ${promptTokens}`;
    const message = `${flags} and -n ${maxTokens} do not fit into the context of ${contextLength} tokens; ${remedy}.`;
    throw new PiPhiError("E_CONTEXT", message, { depth, promptTokens, maxTokens, contextLength });
  }
  return { depth, promptTokens, maxTokens };
}

async function measure(
  phi: Phi,
  prompt: number[],
  { expectCached, ...options }: { maxTokens: number; expectCached: number; signal: AbortSignal; profile: boolean },
): Promise<GenerateResult> {
  const { maxTokens } = options;
  const result = await phi.generate(prompt, { ...options, ignoreEos: true, drafts: 0 });
  if (result.stopReason === "cancelled") throw cancelled();
  if (result.cachedTokens !== expectCached || result.generatedTokens !== maxTokens) {
    const { cachedTokens, generatedTokens } = result;
    const message = `A round of ${maxTokens} tokens generated ${generatedTokens} and took ${cachedTokens} of its prompt from the cache; this is a bug, please report it.`;
    throw new PiPhiError("E_ENGINE", message, { cachedTokens, generatedTokens, maxTokens });
  }
  return result;
}

function cancelled(): PiPhiError {
  return new PiPhiError("E_CANCELLED", "The measurement was cancelled. Start it again.");
}

/** Tokens a second of all answers together. */
async function measureTogether(
  phi: Phi,
  sequences: number,
  tokens: Lengths,
  repeats: number,
  signal: AbortSignal,
): Promise<Spread> {
  const { maxTokens } = tokens;
  const rates: number[] = [];
  for (let round = 0; round < repeats; round++) {
    const prompts = Array.from({ length: sequences }, (_, i) => {
      return promptIds(tokens, round * sequences + i, phi.info.config.vocabSize);
    });
    const options = { maxTokens, ignoreEos: true, drafts: 0, signal };
    const { decodeMs, decodedTokens } = await phi.generateAll(prompts, options);
    if (signal.aborted) throw cancelled();
    rates.push((decodedTokens * 1000) / decodeMs);
  }
  return spread(rates);
}

interface Spread {
  min: number;
  median: number;
  max: number;
}

function spread(values: number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  const median = (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2;
  return { min: sorted[0], median, max: sorted[sorted.length - 1] };
}

async function benchmark(
  phi: Phi,
  asked: Partial<Lengths> & { repeats: number; profile: boolean; parallel: number },
  context: Context,
) {
  const { info } = phi;
  const tokens = lengths(info, asked);
  const { depth, promptTokens, maxTokens } = tokens;
  const line = statusLine(context.stderr, context.env);
  const results: GenerateResult[] = [];
  try {
    for (let round = 0; round <= asked.repeats; round++) {
      line.show(round === 0 ? "Warming up" : `Round ${round} of ${asked.repeats}`);
      const prompt = promptIds(tokens, round, info.config.vocabSize);
      const expectCached = round === 0 ? 0 : depth;
      const { signal } = context;
      const result = await measure(phi, prompt, { maxTokens, expectCached, signal, profile: asked.profile });
      if (round > 0) results.push(result);
    }
  } finally {
    line.clear();
  }
  const prefill = spread(results.map(({ timings }) => timings.prefillTokensPerSecond));
  const decode = spread(results.map(({ timings }) => timings.decodeTokensPerSecond));
  const gigabytesPerSecond = (decode.median * info.bytesPerToken) / 1e9;
  const readable = (await phi.bandwidth()) / 1e9;
  const bandwidth = { gigabytesPerSecond: readable, share: gigabytesPerSecond / readable };
  const { parallel } = asked;
  const together =
    parallel > 1 ? await measureTogether(phi, parallel, tokens, asked.repeats, context.signal) : undefined;
  return {
    model: info.name,
    kernel: info.kernel,
    threads: info.threads,
    engine: hostName(),
    repeat: asked.repeats,
    depth,
    prefill: { tokens: promptTokens, tokensPerSecond: prefill },
    decode: { tokens: maxTokens, tokensPerSecond: decode, bytesPerToken: info.bytesPerToken, gigabytesPerSecond },
    bandwidth,
    ...(together && { parallel: { sequences: parallel, tokensPerSecond: together } }),
    memory: await phi.memory(),
    ...(asked.profile && { profile: results[results.length - 1].profile }),
  };
}

/** What decode takes of what it waits for: the memory, or the storage of streamed weights. */
function bandwidthRow({ bandwidth, memory }: Pick<Report, "bandwidth" | "memory">, tokensPerSecond: number): string[] {
  if (memory.streamedBytesPerToken > 0) {
    return ["storage", `${formatRate((memory.streamedBytesPerToken * tokensPerSecond) / 1e9)} GB/s`];
  }
  const { gigabytesPerSecond, share } = bandwidth;
  return ["bandwidth", `${formatRate(gigabytesPerSecond)} GB/s, of which decode takes ${percent(share)}`];
}

function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

/** "matmul  92.1 %", largest first. */
function profileRows(profile: Record<string, number>): string[][] {
  const total = Object.values(profile).reduce((sum, ms) => sum + ms, 0);
  const sorted = Object.entries(profile).toSorted((a, b) => b[1] - a[1]);
  return sorted.map(([name, ms]) => [name, `${((100 * ms) / total).toFixed(1)} %`]);
}

type Report = Awaited<ReturnType<typeof benchmark>>;

function format({ prefill, decode, ...report }: Report): string {
  const speedRow = (name: string, tokens: number, { min, median, max }: Spread) => {
    return [name, `${tokens}`, ...[min, median, max].map(formatRate)];
  };
  const facts = [
    ["model", printable(report.model)],
    ["kernel", `${report.kernel}, ${plural(report.threads, "thread")}`],
    ["engine", report.engine],
    ["memory", describeMemory(report.memory)],
    ...(report.depth > 0 ? [["depth", `${plural(report.depth, "token")} in the context before each prompt`]] : []),
    ["reads", `${formatBytes(decode.bytesPerToken)} a token, ${formatRate(decode.gigabytesPerSecond)} GB/s`],
    bandwidthRow(report, decode.tokensPerSecond.median),
  ];
  const speeds = [
    ["tok/s", "tokens", "min", "median", "max"],
    speedRow("prefill", prefill.tokens, prefill.tokensPerSecond),
    speedRow("decode", decode.tokens, decode.tokensPerSecond),
  ];
  const { parallel } = report;
  if (parallel) speeds.push(speedRow(`decode x ${parallel.sequences}`, decode.tokens, parallel.tokensPerSecond));
  const tables = [columns(facts), columns(speeds, "lrrrr")];
  for (const phase of ["prefill", "decode"] as const) {
    if (report.profile) tables.push(columns([[`${phase} time`, ""], ...profileRows(report.profile[phase])], "lr"));
  }
  return tables.join("\n");
}

export const bench = defineCommand({
  usage: "[MODEL]",
  notes: ["One round to warm up, then the measured ones, each with a prompt of its own."],
  options: {
    ...MODEL_FLAG,
    "prompt-tokens": integer("N", [1, 1_000_000], `tokens of the prompt; default: ${DEFAULTS.promptTokens}`, "p"),
    "max-tokens": integer("N", [LEAST_ANSWER, 1_000_000], `tokens to generate; default: ${DEFAULTS.maxTokens}`, "n"),
    depth: integer("N", [0, 1_000_000], "tokens already in the context when a round begins; default: none", "d"),
    parallel: integer("B", [1, 16], "also decode B answers side by side, one pass over the weights for all"),
    repeat: integer("N", [1, 1000], `measured rounds; default: ${DEFAULTS.repeats}`),
    profile: toggle("also show where the time of the last round went, on the leading thread"),
    ...LOAD_FLAGS,
    ...JSON_FLAG,
  },
  examples: [
    ["piphi bench", "the embedded model"],
    ["piphi bench phi-2.Q4_0.gguf -p 128 -n 32 --repeat 3 --threads 4", "a model of your own"],
    ["piphi bench --kernel simd --json", "without the relaxed instructions, for scripts"],
  ],

  async run(values, words, context) {
    const asked = {
      promptTokens: values["prompt-tokens"],
      maxTokens: values["max-tokens"],
      depth: values.depth,
      repeats: values.repeat ?? DEFAULTS.repeats,
      profile: values.profile ?? false,
      parallel: values.parallel ?? 1,
    };
    const options = { ...toLoadOptions(values), parallel: values.parallel };
    await withModel(context, onlyModel(values.model, words), options, async (phi) => {
      const report = await benchmark(phi, asked, context);
      if (values.json) writeJson(context.stdout, report);
      else context.stdout.write(format(report));
    });
  },
});
