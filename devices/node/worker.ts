/** The threads of PiPhi under Node: an engine, a member of its team, the reader or promoter of its weights, or a packer. */

import { parentPort, workerData } from "node:worker_threads";
import { Member, type Membership } from "../../runtime/engine/member.ts";
import { serveEngine } from "../../runtime/engine/service.ts";
import type { ToEngine } from "../../runtime/protocol.ts";
import { type ReaderTask, serveReader } from "../../runtime/residence/reader.ts";
import { explainMemory } from "./address-space.ts";
import { nodeDevice, type ThreadRole } from "./device.ts";
import { type PackTask, servePacker } from "./packing.ts";
import { promote } from "./promotion.ts";

const port = parentPort!;
const device = nodeDevice();

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
  promoter() {
    port.once("message", promote);
  },
  packer() {
    port.once("message", (task: PackTask) => void servePacker(device, task, (message) => port.postMessage(message)));
  },
};
roles[workerData.role as ThreadRole]();
