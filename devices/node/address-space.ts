/** A limit of the process's address space (ulimit -v), of which WebAssembly reserves far more than it uses. */

import type { SerializedError } from "../../runtime/errors.ts";
import { environment } from "./host.ts";
import { HOST_TREE, type Tree } from "./tree.ts";

/** Guards around each shared memory: 10 GiB of addresses, so that what goes beyond it traps without a check. */
const NO_GUARDS = "--disable-wasm-trap-handler";
/** With less, V8 aborts the process when a second thread starts; each further one takes no more than the second figure. */
const FIRST_THREAD_BYTES = 12 * 2 ** 30;
const THREAD_BYTES = 2 * 2 ** 30;

export const ADDRESS_SPACE_REMEDY = `Lift the limit (ulimit -v unlimited), or start Node with ${NO_GUARDS}.`;

/** Bytes of the limit; undefined where there is none, or where the system does not tell. */
export function addressSpace(tree: Tree = HOST_TREE): number | undefined {
  const limit = /^Max address space\s+(\d+)/m.exec(tree.read("/proc/self/limits") ?? "")?.[1];
  return limit === undefined ? undefined : Number(limit);
}

/** How many threads the limit has room for. */
export function threadsWithin(tree: Tree = HOST_TREE): number {
  const limit = addressSpace(tree);
  const guards = !`${tree.read("/proc/self/cmdline")} ${environment("NODE_OPTIONS")}`.includes(NO_GUARDS);
  if (limit === undefined || !guards) return Number.POSITIVE_INFINITY;
  return 1 + Math.max(0, Math.floor((limit - FIRST_THREAD_BYTES) / THREAD_BYTES));
}

/** An engine's error, with the way out where it lacks addresses instead of memory. */
export function explainMemory(error: SerializedError, tree: Tree = HOST_TREE): SerializedError {
  if (error.code !== "E_MEMORY" || error.details.refusedBytes === undefined) return error;
  if (addressSpace(tree) === undefined) return error;
  const message = `${error.message} This process has a limit of address space: ${ADDRESS_SPACE_REMEDY.replace("L", "l")}`;
  return { ...error, message };
}
