/** What a profile must be, checked by hand: every figure with its unit, its basis and its source. */

import { STORAGE_KINDS } from "../../devices/profiles/profiles.ts";

type Fields = Record<string, unknown>;
const BASES = ["measured", "published", "predicted"];
const FIGURE_KEYS = ["basis", "source", "unit", "value"];

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Everything that is wrong with a profile, as "place: what". */
export function faultsOf(profile: unknown): string[] {
  const faults: string[] = [];
  const fault = (place: string, what: string) => faults.push(`${place}: ${what}`);

  /** The fields of an object that has these and no others. */
  const fields = (value: unknown, place: string, required: readonly string[], optional: readonly string[] = []) => {
    if (!isFields(value)) {
      fault(place, "is no object");
      return {};
    }
    for (const key of required) if (!(key in value)) fault(place, `lacks ${key}`);
    for (const key of Object.keys(value)) {
      if (!required.includes(key) && !optional.includes(key)) fault(place, `has ${key}`);
    }
    return value;
  };

  const figure = (value: unknown, place: string, unit: string, valid: (it: unknown) => boolean) => {
    const it = fields(value, place, FIGURE_KEYS);
    if (!valid(it.value)) fault(place, `has the value ${JSON.stringify(it.value)}`);
    if (it.unit !== unit) fault(place, `is in ${it.unit}, not ${unit}`);
    if (!BASES.includes(String(it.basis))) fault(place, `has the basis ${it.basis}`);
    if (typeof it.source !== "string" || it.source.length < 10) fault(place, "names no source");
    if (it.basis === "published" && !/https:\/\/|name|manual|SharedArrayBuffer/.test(String(it.source))) {
      fault(place, "was published nowhere");
    }
  };
  const number = (from: number, to: number) => (it: unknown) => typeof it === "number" && it >= from && it <= to;
  const whole = (from: number, to: number) => (it: unknown) => Number.isInteger(it) && number(from, to)(it);

  const top = fields(profile, "profile", [
    ..."id name kind matches cores clock features instructionsPerWeight instructionsPerCycle".split(" "),
    ..."memory storage ram threads sharedMemory".split(" "),
  ]);
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(String(top.id))) fault("id", `is ${top.id}`);
  if (typeof top.name !== "string" || top.name === "") fault("name", "is no text");
  if (!["board", "webview", "computer"].includes(String(top.kind))) fault("kind", `is ${top.kind}`);
  const matches = Array.isArray(top.matches) ? top.matches : [];
  if (!Array.isArray(top.matches) || (top.kind === "board") !== matches.length > 0)
    fault("matches", "do not suit the kind");
  for (const one of matches) new RegExp(String(one));

  const cores = fields(top.cores, "cores", ["fast", "slow"]);
  figure(cores.fast, "cores.fast", "cores", whole(1, 64));
  figure(cores.slow, "cores.slow", "cores", whole(0, 64));
  figure(top.clock, "clock", "GHz", number(0.3, 7));
  figure(top.features, "features", "names in /proc/cpuinfo", (it) => Array.isArray(it) && it.length > 0);
  const perWeight = fields(top.instructionsPerWeight, "instructionsPerWeight", ["int4", "int8"]);
  for (const type of ["int4", "int8"]) {
    figure(perWeight[type], `instructionsPerWeight.${type}`, "instructions/weight", number(0.05, 3));
  }
  figure(top.instructionsPerCycle, "instructionsPerCycle", "instructions/cycle", number(0.2, 8));
  const memory = fields(top.memory, "memory", ["one", "all"]);
  for (const threads of ["one", "all"]) figure(memory[threads], `memory.${threads}`, "GB/s", number(0.5, 1000));

  const storage = fields(top.storage, "storage", ["usual", "reads"]);
  const reads = fields(storage.reads, "storage.reads", [], STORAGE_KINDS);
  for (const [kind, read] of Object.entries(reads)) figure(read, `storage.reads.${kind}`, "MB/s", number(5, 20_000));
  const usual = String(storage.usual);
  if (top.kind === "webview" ? usual !== "none" : !(usual in reads)) fault("storage.usual", `is ${usual}`);

  const ram = fields(top.ram, "ram", ["usual", "sizes"]);
  const sizes = isFields(ram.sizes) ? ram.sizes : {};
  if (!(String(ram.usual) in sizes)) fault("ram.usual", `is ${ram.usual}`);
  let last = 0;
  for (const [name, size] of Object.entries(sizes)) {
    const { total, usable } = fields(size, `ram.${name}`, ["total", "usable"]) as Record<string, { value: number }>;
    figure(total, `ram.${name}.total`, "bytes", whole(1 << 28, 2 ** 37));
    figure(usable, `ram.${name}.usable`, "bytes", whole(1 << 27, total?.value - 1));
    if (!(total?.value > last)) fault(`ram.${name}`, "comes before a smaller one");
    last = total?.value;
  }
  figure(top.threads, "threads", "threads", whole(1, 64));
  figure(top.sharedMemory, "sharedMemory", "boolean", (it) => typeof it === "boolean");
  return faults;
}
