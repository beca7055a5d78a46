/** The threads of PiPhi under Node: an engine, or a member of an engine's team. */

import { parentPort, workerData } from "node:worker_threads";
import { Member, type Membership } from "../../runtime/compute/member.ts";
import type { ToEngine } from "../../runtime/protocol.ts";
import { serveEngine } from "../../runtime/service.ts";
import { nodeDevice } from "./device.ts";

const port = parentPort!;
const device = nodeDevice();

if (workerData.role === "engine") {
  const listener = serveEngine(device, (message) => port.postMessage(message));
  port.on("message", (message: ToEngine) => listener(message));
} else {
  port.once("message", (membership: Membership) => {
    Member.serve(device, membership, () => port.postMessage("joined"));
  });
}
