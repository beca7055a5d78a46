/** The options that exist: a misspelled one is refused instead of ignored. */

import type { GenerateOptions, LoadOptions } from "./api.ts";
import { PiPhiError } from "./errors.ts";

/** Every option once; the type sees to it that none is forgotten. */
const LOAD: Record<keyof LoadOptions, true> = {
  contextLength: true,
  kv: true,
  threads: true,
  parallel: true,
  queue: true,
  warm: true,
  diskCache: true,
  ram: true,
  dense: true,
  share: true,
  template: true,
  kernel: true,
  onProgress: true,
  signal: true,
};
const GENERATE: Record<keyof GenerateOptions, true> = {
  temperature: true,
  topK: true,
  topP: true,
  minP: true,
  repeatPenalty: true,
  seed: true,
  maxTokens: true,
  overflow: true,
  stop: true,
  formatStops: true,
  template: true,
  special: true,
  signal: true,
  ignoreEos: true,
  drafts: true,
  logprobs: true,
  echo: true,
  schema: true,
  regex: true,
  grammar: true,
  choices: true,
  automaton: true,
  profile: true,
};
const KNOWN = { load: LOAD, generate: GENERATE } as const;

/** Throws E_USAGE for an option that there is not. */
export function refuseUnknownOptions(call: keyof typeof KNOWN, options: object): void {
  const known = Object.keys(KNOWN[call]);
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const name = unknown.slice(0, 40);
  const simple = (one: string) => one.toLowerCase().replace(/[^a-z]/g, "");
  const near = known.find((one) => simple(one) === simple(name) || simple(name).startsWith(simple(one)));
  const hint = near === undefined ? `The options are ${known.join(", ")}.` : `Did you mean "${near}"?`;
  throw new PiPhiError("E_USAGE", `There is no option "${name}" of ${call}. ${hint}`, { option: name });
}
