/** The JavaScript engine, and what its WebAssembly can do. */

import type { KernelReport } from "../../../runtime/index.ts";
import { revectorizes } from "../engine-flags.ts";
import { type Check, good } from "./check.ts";

export function engineChecks(kernels: readonly KernelReport[]): Check[] {
  return [engine(), features(kernels)];
}

function engine(): Check {
  const value = `node ${process.version} (V8 ${process.versions.v8}), ${process.platform} ${process.arch}`;
  const current = Number(process.versions.node.split(".")[0]) >= 24;
  return current
    ? good("engine", value)
    : good("engine", value, "Node 24 or newer compiles WebAssembly better; upgrade if you can.");
}

function features(kernels: readonly KernelReport[]): Check {
  const proven = (build: string) => kernels.some(({ name, ok }) => ok && name.startsWith(build));
  const all = {
    simd: proven("simd"),
    "relaxed SIMD": proven("relaxed"),
    threads: sharesMemory(),
    "256 bits": revectorizes(),
  };
  const value = Object.entries(all)
    .map(([name, there]) => (there ? name : `no ${name}`))
    .join(", ");
  if (!all.simd && !all["relaxed SIMD"]) {
    return {
      name: "WebAssembly",
      ok: false,
      value,
      advice: "PiPhi needs SIMD that passes its self-test: update Node.",
    };
  }
  if (!all["relaxed SIMD"]) {
    return good("WebAssembly", value, "The plain SIMD kernels are used, at about 2/3 of the speed.");
  }
  return good("WebAssembly", value);
}

function sharesMemory(): boolean {
  try {
    return new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer instanceof SharedArrayBuffer;
  } catch {
    return false;
  }
}
