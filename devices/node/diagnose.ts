/** What this machine and its engine offer to PiPhi, each with advice where it is not what it should be. */

import os from "node:os";
import { examineKernels } from "../../runtime/compute/builds.ts";
import type { KernelReport } from "../../runtime/index.ts";
import { nodeDevice } from "./device.ts";
import type { Check } from "./doctor/check.ts";
import { engineChecks } from "./doctor/engine.ts";
import { memoryChecks } from "./doctor/memory.ts";
import { processorChecks } from "./doctor/processor.ts";
import { storageCheck } from "./doctor/storage.ts";
import { thisMachine } from "./machine.ts";
import { storeFolder } from "./paths.ts";
import { runProgram } from "./thermal.ts";
import { HOST_TREE } from "./tree.ts";
import { settleEngineFlags } from "./trial.ts";

export interface Diagnosis {
  checks: Check[];
  kernels: KernelReport[];
}

export async function diagnose(): Promise<Diagnosis> {
  const trial = await settleEngineFlags(true);
  const kernels = await examineKernels(nodeDevice());
  const checks = [
    ...engineChecks(kernels, trial),
    ...processorChecks(HOST_TREE, thisMachine(), runProgram),
    ...memoryChecks(HOST_TREE, os.totalmem()),
    await storageCheck(storeFolder()),
  ];
  return { checks, kernels };
}
