/** The JavaScript engine, and what its WebAssembly can do. */

import type { KernelReport } from "../../../runtime/index.ts";
import { revectorizes } from "../engine-flags.ts";
import { hostName, isNode } from "../host.ts";
import type { Trial } from "../trial.ts";
import { bad, type Check, good } from "./check.ts";

export function engineChecks(kernels: readonly KernelReport[], trial: Trial): Check[] {
  return [engine(), survival(trial), features(kernels)];
}

/** The first of those that are about equally fast, by `bench:peers` over several Nodes with Phi-2 in Q4_0 (docs/speed.md). */
const FAST_NODE = 24;
const ADVICE = "Node 24 and 26 are faster: a prompt takes less than half the time that it takes here.";

export function engine(versions: NodeJS.ProcessVersions = process.versions): Check {
  const value = `${hostName(versions)}, ${process.platform} ${process.arch}`;
  if (!isNode(versions)) return good("engine", value);
  const major = Number(versions.node.split(".")[0]);
  return major >= FAST_NODE ? good("engine", value) : good("engine", value, ADVICE);
}

/** Whether a child process that answered as `run` does lived to its end. */
export function survival({ set, outcomes }: Trial): Check {
  const first = outcomes[0];
  if (first === undefined || first === "unknown") return good("compiler", "not tried in a process of its own");
  if (set === "fast") return good("compiler", "survives the kernels");
  const death = typeof first === "object" ? first.death : first;
  const advice = "Another version of Node is faster: 20, 22, 24 and 26 are tested.";
  return bad("compiler", `ends the process with PiPhi's options (${death}); run without them`, advice);
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
      advice: "PiPhi needs SIMD that passes its self-test: update Node, or use a processor with it (x64: SSE4.1).",
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
