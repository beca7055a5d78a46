/** What a profile must be, checked by hand: every figure with its unit, its basis and its source. */

import { STORAGE_KINDS } from "../../devices/profiles/profiles.ts";

type Fields = Record<string, unknown>;
const BASES = ["measured", "published", "predicted"];
const FIGURE_KEYS = ["basis", "source", "unit", "value"];

/** A published figure has an address, or is what the thing itself says. */
const CITED = /https:\/\/|the product's name|reference manual|SharedArrayBuffer/;

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Collects what is wrong, as "place: what". */
class Faults {
  readonly all: string[] = [];

  add(place: string, what: string): void {
    this.all.push(`${place}: ${what}`);
  }

  /** The fields of an object that has these and no others. */
  fields(value: unknown, place: string, required: readonly string[], optional: readonly string[] = []): Fields {
    if (!isFields(value)) {
      this.add(place, "is no object");
      return {};
    }
    for (const key of required) if (!(key in value)) this.add(place, `lacks ${key}`);
    for (const key of Object.keys(value)) {
      if (!required.includes(key) && !optional.includes(key)) this.add(place, `has ${key}`);
    }
    return value;
  }

  figure(value: unknown, place: string, unit: string, valid: (it: unknown) => boolean): void {
    const it = this.fields(value, place, FIGURE_KEYS);
    if (!valid(it.value)) this.add(place, `has the value ${JSON.stringify(it.value)}`);
    if (it.unit !== unit) this.add(place, `is in ${it.unit}, not ${unit}`);
    if (!BASES.includes(String(it.basis))) this.add(place, `has the basis ${it.basis}`);
    if (typeof it.source !== "string" || it.source.length < 10) this.add(place, "names no source");
    else if (it.basis === "published" && !CITED.test(it.source)) this.add(place, "was published nowhere");
  }
}

const number = (from: number, to: number) => (it: unknown) => typeof it === "number" && it >= from && it <= to;
const whole = (from: number, to: number) => (it: unknown) => Number.isInteger(it) && number(from, to)(it);

/** Everything that is wrong with a profile. */
export function faultsOf(profile: unknown): string[] {
  const faults = new Faults();
  const top = faults.fields(profile, "profile", [
    ..."id name kind matches cores clock features instructionsPerWeight instructionsPerCycle".split(" "),
    ..."memory storage ram threads sharedMemory".split(" "),
  ]);
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(String(top.id))) faults.add("id", `is ${top.id}`);
  if (typeof top.name !== "string" || top.name === "") faults.add("name", "is no text");
  if (!["board", "webview", "computer"].includes(String(top.kind))) faults.add("kind", `is ${top.kind}`);
  const matches = Array.isArray(top.matches) ? top.matches : [];
  if (!Array.isArray(top.matches) || (top.kind === "board") !== matches.length > 0) {
    faults.add("matches", "do not suit the kind");
  }
  for (const one of matches) new RegExp(String(one));
  checkSpeed(faults, top);
  checkStorage(faults, top);
  checkRam(faults, top);
  faults.figure(top.threads, "threads", "threads", whole(1, 64));
  faults.figure(top.sharedMemory, "sharedMemory", "boolean", (it) => typeof it === "boolean");
  return faults.all;
}

function checkSpeed(faults: Faults, top: Fields): void {
  const cores = faults.fields(top.cores, "cores", ["fast", "slow"]);
  faults.figure(cores.fast, "cores.fast", "cores", whole(1, 64));
  faults.figure(cores.slow, "cores.slow", "cores", whole(0, 64));
  faults.figure(top.clock, "clock", "GHz", number(0.3, 7));
  faults.figure(top.features, "features", "names in /proc/cpuinfo", (it) => Array.isArray(it) && it.length > 0);
  const perWeight = faults.fields(top.instructionsPerWeight, "instructionsPerWeight", ["int4", "int8"]);
  for (const type of ["int4", "int8"]) {
    faults.figure(perWeight[type], `instructionsPerWeight.${type}`, "instructions/weight", number(0.05, 3));
  }
  faults.figure(top.instructionsPerCycle, "instructionsPerCycle", "instructions/cycle", number(0.2, 8));
  const memory = faults.fields(top.memory, "memory", ["one", "all"]);
  for (const threads of ["one", "all"]) faults.figure(memory[threads], `memory.${threads}`, "GB/s", number(0.5, 1000));
}

function checkStorage(faults: Faults, top: Fields): void {
  const storage = faults.fields(top.storage, "storage", ["usual", "reads"]);
  const reads = faults.fields(storage.reads, "storage.reads", [], STORAGE_KINDS);
  for (const [kind, read] of Object.entries(reads)) {
    faults.figure(read, `storage.reads.${kind}`, "MB/s", number(5, 20_000));
  }
  const usual = String(storage.usual);
  if (top.kind === "webview" ? usual !== "none" : !(usual in reads)) faults.add("storage.usual", `is ${usual}`);
}

function checkRam(faults: Faults, top: Fields): void {
  const ram = faults.fields(top.ram, "ram", ["usual", "sizes"]);
  const sizes = isFields(ram.sizes) ? ram.sizes : {};
  if (!(String(ram.usual) in sizes)) faults.add("ram.usual", `is ${ram.usual}`);
  let last = 0;
  for (const [name, size] of Object.entries(sizes)) {
    const { total, usable } = faults.fields(size, `ram.${name}`, ["total", "usable"]);
    const bytes = isFields(total) ? Number(total.value) : 0;
    faults.figure(total, `ram.${name}.total`, "bytes", whole(1 << 28, 2 ** 37));
    faults.figure(usable, `ram.${name}.usable`, "bytes", whole(1 << 27, bytes - 1));
    if (!(bytes > last)) faults.add(`ram.${name}`, "comes before a smaller one");
    last = bytes;
  }
}
