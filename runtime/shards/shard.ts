/** The life of a shard that does not lead: its share of the weights, and passes as they come. */

import { allocateMemory } from "../compute/instance.ts";
import type { KernelChoice } from "../compute/kernels.ts";
import type { Device } from "../device.ts";
import { Member } from "../engine/member.ts";
import { PiPhiError, type SerializedError } from "../errors.ts";
import type { Layout } from "../plan/layout.ts";
import { Residence } from "../residence/residence.ts";
import { StreamFault } from "../residence/stream.ts";
import { openModel } from "../weights/model.ts";
import { cutWeights, shareOf } from "./cut.ts";
import { Exchange, Peer, PeerFault, type Port } from "./exchange.ts";

/** What a shard gets to know; sent as a message, with the ports to all others, by their numbers. */
export interface ShardTask {
  file: string;
  layout: Layout;
  choice: KernelChoice;
  index: number;
  count: number;
  ports: Map<number, Port>;
}

export type FromShard = { type: "joined" } | { type: "error"; error: SerializedError };

/** Loads its share, says so, and takes part in all passes to come. */
export async function serveShard(device: Device, task: ShardTask, post: (message: FromShard) => void): Promise<void> {
  const { layout, choice, index, count, ports } = task;
  try {
    const whole = openModel((name) => device.open(name), task.file, "int8");
    const share = shareOf(device, whole, { index, count });
    const memory = allocateMemory(layout.totalBytes, false);
    const residence = new Residence(share.device, share.model, layout, memory, false);
    const member = new Member(
      share.device,
      { memory, choice, layout, loadPlan: residence.loadPlan, index: 0 },
      residence.file,
    );
    await residence.fill(
      (onBytes) => member.load(onBytes),
      () => {},
    );
    whole.close();
    const peers = Peer.all(ports);
    const shapes = Array.from({ length: count }, (_, i) => cutWeights(whole.shape, { index: i, count }).shape);
    const exchange = new Exchange(memory.buffer, index, shapes, peers, member.run, () => residence.lastFault());
    post({ type: "joined" });
    for (;;) {
      const { pass, tokens, logitsFrom } = await peers[0].nextPass();
      try {
        await exchange.pass(pass, member.steps(tokens, logitsFrom));
      } catch (error) {
        if (!(error instanceof PeerFault || error instanceof StreamFault)) throw error; // the leader knows how passes end that others began
        member.weights.restart();
      }
    }
  } catch (error) {
    post({ type: "error", error: PiPhiError.from(error).toJSON() });
  }
}
