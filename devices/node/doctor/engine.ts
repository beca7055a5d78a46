/** The JavaScript engine, and what its WebAssembly can do. */

import type { KernelReport } from "../../../runtime/index.ts";
import { engineName, isV8, revectorizes } from "../engine-flags.ts";
import { type Check, good } from "./check.ts";

/** `trial`: why an answer in a process of its own went wrong, or "". */
export function engineChecks(kernels: readonly KernelReport[], trial: string): Check[] {
  return [engine(), answers(trial), features(kernels)];
}

function engine(): Check {
  const value = `${engineName()}, ${process.platform} ${process.arch}`;
  const slow = isV8() && Number.parseInt(process.versions.v8, 10) < 13;
  return slow
    ? good("engine", value, "Node 24 or newer reads prompts about twice as fast; upgrade if you can.")
    : good("engine", value);
}

function answers(trial: string): Check {
  if (trial === "") return good("answer", "the embedded model answers");
  return {
    name: "answer",
    ok: false,
    value: trial,
    advice: "This engine cannot run PiPhi's kernels. Use Node 20, 22, 24 or 26.",
  };
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
