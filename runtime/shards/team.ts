/** The leader's side of shards: it starts the others, and runs passes with them. */

import type { JobEnd } from "../compute/team.ts";
import type { Device, Thread } from "../device.ts";
import type { Member, Membership } from "../engine/member.ts";
import { PiPhiError } from "../errors.ts";
import type { Layout } from "../plan/layout.ts";
import type { Residence } from "../residence/residence.ts";
import { StreamFault } from "../residence/stream.ts";
import type { WeightShape } from "../weights/shape.ts";
import { cutWeights } from "./cut.ts";
import { Exchange, Peer, PeerFault, type Port } from "./exchange.ts";
import type { FromShard, ShardTask } from "./shard.ts";

/** Threads that were started for shards, and load. */
export interface Shards {
  threads: readonly Thread[];
  peers: readonly Peer[];
  /** Resolves when all have their share; rejects with what one of them could not do. */
  joined: Promise<void>;
}

/** Starts all shards but the leader; rejects with E_ENGINE where one does not run. */
export async function startShards(
  device: Device,
  file: string,
  choice: Membership["choice"],
  layouts: readonly Layout[],
): Promise<Shards> {
  const count = layouts.length;
  const threads = layouts.slice(1).map(() => device.startShard!());
  try {
    const failed = new Promise<never>((_, reject) => {
      for (const thread of threads) thread.onFailure((error) => reject(lost(error.message)));
    });
    const running = await Promise.race([Promise.all(threads.map((thread) => thread.running)), failed]);
    if (running.includes(false)) throw lost("it did not begin to run in time");
    const ends = connectAll(count);
    const peers = Peer.all(ends[0]);
    for (const [i, thread] of threads.entries()) thread.onFailure((error) => peers[i].lose(lost(error.message)));
    const joins = threads.map((thread, i) => join(thread, peers[i]));
    threads.forEach((thread, i) => {
      const task: ShardTask = { file, choice, layout: layouts[i + 1], index: i + 1, count, ports: ends[i + 1] };
      thread.post(task, [...ends[i + 1].values()] as unknown as Transferable[]);
    });
    const joined = Promise.race([Promise.all(joins), failed]).then(() => {});
    joined.catch(() => {}); // seen when the leader has loaded its own share
    return { threads, peers, joined };
  } catch (error) {
    for (const thread of threads) thread.terminate();
    throw error;
  }
}

/** For each of them, the ports to all others. */
function connectAll(count: number): Map<number, Port>[] {
  const ends = Array.from({ length: count }, () => new Map<number, Port>());
  for (let a = 0; a < count; a++) {
    for (let b = a + 1; b < count; b++) {
      const { port1, port2 } = new MessageChannel();
      ends[a].set(b, port1);
      ends[b].set(a, port2);
    }
  }
  return ends;
}

function join(thread: Thread, peer: Peer): Promise<void> {
  return new Promise((resolve, reject) => {
    thread.onMessage((received) => {
      const message = received as FromShard;
      if (message.type === "joined") resolve();
      if (message.type !== "error") return;
      const error = PiPhiError.fromJSON(message.error);
      peer.lose(error);
      reject(error);
    });
  });
}

function lost(reason: string): PiPhiError {
  return new PiPhiError("E_ENGINE", `A worker with a part of the model ended (${reason}). Load the model again.`);
}

/** Runs passes with all shards. */
export class ShardLeader {
  private readonly exchange: Exchange;
  private passes = 0;

  constructor(
    private readonly leader: Member,
    private readonly residence: Residence,
    private readonly peers: readonly Peer[],
    buffer: ArrayBufferLike,
    whole: WeightShape,
  ) {
    const count = peers.length + 1;
    const shapes = Array.from({ length: count }, (_, index) => cutWeights(whole, { index, count }).shape);
    this.exchange = new Exchange(
      buffer,
      0,
      shapes,
      peers,
      leader.run,
      () => residence.lastFault(),
      (ms) => {
        leader.team.count("messages", ms);
      },
    );
  }

  /** As Member.forward; rejects with E_ENGINE where a shard is lost. */
  async forward(ids: readonly number[], logitsFrom: number): Promise<JobEnd> {
    const { leader, residence, peers } = this;
    const pass = ++this.passes;
    const tokens = ids.length;
    leader.beforePass();
    leader.weights.fetchEmbedding(ids);
    for (const peer of peers) peer.post({ type: "pass", pass, tokens, logitsFrom });
    try {
      await this.exchange.pass(pass, leader.steps(tokens, logitsFrom));
      return "done";
    } catch (error) {
      leader.weights.restart();
      if (error instanceof PeerFault) residence.meet(error.error);
      else if (!(error instanceof StreamFault)) throw error;
      return "fault";
    }
  }
}
