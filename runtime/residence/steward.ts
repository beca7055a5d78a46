/** Gives way while the model runs, as pressure.ts says, and remembers for the caller what it gave up and why. */

import type { MemoryUse } from "../api.ts";
import type { Pool } from "../cache/pool.ts";
import type { Team } from "../compute/team.ts";
import type { Device, Pressure } from "../device.ts";
import { initialState, respond } from "./pressure.ts";
import type { Residence } from "./residence.ts";
import type { Weights } from "./weights.ts";

/** The device is asked at most this often. */
const INTERVAL_MS = 250;
/** Between answers nobody calls: then this often. */
const IDLE_MS = 1000;
const MIB = 1 << 20;

/** Why nothing was given back, where nothing was. */
const NOTHING_TO_GIVE: Record<MemoryUse["mode"], string> = {
  mapped: "the weights are in the file's own pages, which the system takes by itself",
  resident: "weights that were read into memory cannot be given back",
  streamed: "there was nothing (more) to give back, or the optional package koffi is missing",
};

/** The thread that leads the team, as far as giving way is concerned. */
export interface Leader {
  team: Pick<Team, "threads" | "active">;
  weights: Weights;
  /** Called before each pass. */
  beforePass: () => void;
}

export class Steward {
  private state;
  private askedMs = Number.NEGATIVE_INFINITY;
  /** Bytes of copies of the file, and of caches put aside, that were given back. */
  private copiesBytes = 0;
  private readonly streamedAtFirst: number;
  private readonly reasons = new Map<"memory" | "heat", string>();
  private readonly idle: ReturnType<typeof setInterval> | undefined;

  constructor(
    private readonly device: Device,
    private readonly leader: Leader,
    private readonly residence: Residence,
    private readonly memory: WebAssembly.Memory,
    private readonly pool: Pool,
  ) {
    this.state = initialState(leader.team.threads);
    this.streamedAtFirst = leader.weights.streamedBytes;
    if (!device.pressure) return;
    leader.beforePass = () => this.tend();
    this.idle = setInterval(() => this.tend(), IDLE_MS);
  }

  /** To be called between passes only, however often. */
  tend(): void {
    const nowMs = performance.now();
    if (nowMs - this.askedMs < INTERVAL_MS) return;
    this.askedMs = nowMs;
    const { team, weights } = this.leader;
    const sample = this.device.pressure!();
    const holdings = { threads: team.threads, returnableBytes: weights.returnableBytes };
    const { state, letGoBytes, takeBack } = respond(this.state, sample, holdings, nowMs);
    this.state = state;
    team.active = state.threads;
    if (sample.throttled !== undefined && state.threads < team.threads) this.reasons.set("heat", sample.throttled);
    if (letGoBytes > 0) this.giveBack(letGoBytes, sample);
    else if (takeBack) weights.takeBack();
  }

  close(): void {
    clearInterval(this.idle);
  }

  /** Bytes of weights that have lost their place since loading. */
  get releasedBytes(): number {
    return this.leader.weights.streamedBytes - this.streamedAtFirst;
  }

  /** What was given up so far; undefined where nothing had to be. */
  report(): MemoryUse["pressure"] {
    if (this.reasons.size === 0) return undefined;
    return {
      releasedBytes: this.releasedBytes + this.copiesBytes,
      threads: this.state.threads,
      reasons: [...this.reasons.values()],
    };
  }

  private giveBack(bytes: number, { availableBytes = 0, stalledShare = 0 }: Pressure): void {
    const copies = this.pool.giveBack() + this.residence.giveBackCopies();
    this.copiesBytes += copies;
    const { device, memory } = this;
    const free = this.leader.weights.letGo(bytes - copies, (unit) => {
      return device.releasePages?.(memory, unit.address, unit.bytes) === true;
    });
    const waited = stalledShare > 0.01 ? `, waited for in ${Math.round(100 * stalledShare)} % of the time` : "";
    const gave = this.copiesBytes + this.releasedBytes + free > 0 ? "" : `; ${NOTHING_TO_GIVE[this.residence.mode]}`;
    this.reasons.set("memory", `memory was short: ${Math.floor(availableBytes / MIB)} MiB left${waited}${gave}`);
  }
}
