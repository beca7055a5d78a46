/** The threads of PiPhi under Node: an engine, a member of its team, the reader of its weights, a packer, or the one that calls the system. */

import { parentPort, workerData } from "node:worker_threads";
import { Member, type Membership } from "../../runtime/engine/member.ts";
import { serveEngine } from "../../runtime/engine/service.ts";
import type { ToEngine } from "../../runtime/protocol.ts";
import { type ReaderTask, serveReader } from "../../runtime/residence/reader.ts";
import { explainMemory } from "./address-space.ts";
import { nodeDevice } from "./device.ts";
import { type PackTask, servePacker } from "./packing.ts";
import { adoptWay } from "./system/calls.ts";
import { serveSystem } from "./system/service.ts";
import type { ThreadRole } from "./threads.ts";

const port = parentPort!;
const device = nodeDevice();
adoptWay(workerData.way ?? "itself");

const roles: Record<ThreadRole, () => void> = {
  engine() {
    const listener = serveEngine(device, (message) => {
      port.postMessage(message.type === "error" ? { ...message, error: explainMemory(message.error) } : message);
    });
    port.on("message", (message: ToEngine) => listener(message));
  },
  team() {
    port.once("message", (membership: Membership) => {
      Member.serve(device, membership, () => port.postMessage("joined"));
    });
  },
  reader() {
    port.once("message", (task: ReaderTask) => void serveReader(device, task, (message) => port.postMessage(message)));
  },
  packer() {
    port.once("message", (task: PackTask) => void servePacker(device, task, (message) => port.postMessage(message)));
  },
  system: () => serveSystem(port),
};
roles[workerData.role as ThreadRole]();
