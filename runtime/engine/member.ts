/**
 * One thread of the team: its kernels, its view of the memory, and the jobs that all threads run together.
 * The leader describes a job in shared memory and starts it; members wait for the next.
 */

import { instantiateKernels } from "../compute/instance.ts";
import type { KernelChoice, Kernels } from "../compute/kernels.ts";
import { askToStop, type JobEnd, type Operation, refuseLost, reportLoss, Stopped, Team } from "../compute/team.ts";
import type { Device } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import { Phi2, type Step } from "../phi2.ts";
import type { Layout } from "../plan/layout.ts";
import type { WeightFile } from "../residence/on-demand.ts";
import { StreamFault } from "../residence/stream.ts";
import { Weights } from "../residence/weights.ts";
import { Loader, type LoadPlan } from "../weights/load.ts";

/** What a thread gets to know when it joins; sent as a message. */
export interface Membership {
  memory: WebAssembly.Memory;
  choice: KernelChoice;
  layout: Layout;
  loadPlan: LoadPlan;
  index: number;
}

const JOB_KIND = 0;
const JOB_TOKENS = 1;
const JOB_LOGITS_FROM = 2;
/** 1 + index of a piece that could not be loaded; 0 = none. */
const JOB_FAILED_PIECE = 3;

const KIND_LOAD = 1;
const KIND_FORWARD = 2;
const KIND_LEAVE = 3;
const KIND_PROBE = 4;

/** The probe reads at least this much, in items of this size. */
const PROBE_BYTES = 1 << 30;
const PROBE_ITEM_BYTES = 1 << 20;

export class Member {
  readonly kernels: Kernels;
  readonly team: Team;
  private readonly phi2: Phi2;
  readonly weights: Weights;
  /** Leader: called before each pass. */
  beforePass: () => void = () => {};
  private readonly job: Int32Array;

  constructor(
    private readonly device: Device,
    private readonly membership: Membership,
    /** Leader: the pack whose weights are streamed. */
    file?: WeightFile,
  ) {
    const { memory, choice, layout, index } = membership;
    this.kernels = instantiateKernels(device, choice.module, memory);
    this.team = new Team(this.kernels, memory.buffer, layout.control, layout.threads, index);
    this.weights = new Weights(layout, memory.buffer, index === 0, file);
    this.phi2 = new Phi2(this.kernels, choice.form, layout, this.team, this.weights, memory.buffer);
    this.job = new Int32Array(memory.buffer, layout.job, 16);
  }

  /** The life of a team worker: joins, says so, and follows the leader. Its end by an error is told to the team. */
  static serve(device: Device, membership: Membership, joined: () => void): void {
    try {
      const member = new Member(device, membership);
      joined();
      member.follow();
    } catch (error) {
      reportLoss(membership.memory.buffer, membership.layout.control);
      throw error;
    }
  }

  /** Follows the leader until it sends the team away. */
  private follow(): void {
    for (;;) {
      this.team.next();
      const kind = this.job[JOB_KIND];
      if (kind === KIND_LEAVE) return;
      this.attempt(() => {
        if (kind === KIND_LOAD) this.loadShare(() => {});
        else if (kind === KIND_PROBE) this.readAll();
        else this.phi2.forward(this.job[JOB_TOKENS], this.job[JOB_LOGITS_FROM]);
      });
    }
  }

  /** Leader: loads all weights with the team. `onBytes` is told how far the files have been read. */
  load(onBytes: (bytes: number) => void): void {
    const { loadPlan } = this.membership;
    let sum = 0;
    const ends = loadPlan.pieces.map(({ bytes }) => (sum += bytes));
    this.job[JOB_KIND] = KIND_LOAD;
    this.job[JOB_FAILED_PIECE] = 0;
    this.team.start();
    const end = this.attempt(() => this.loadShare((piece) => onBytes(ends[piece])));
    const failed = Atomics.load(this.job, JOB_FAILED_PIECE);
    if (failed > 0) {
      this.withLoader((loader) => loader.load(failed - 1)); // again, here, for its error
      throw new PiPhiError("E_FILE_READ", "A read of the model file failed. Try again.", { piece: failed - 1 });
    }
    if (end !== "done")
      throw new PiPhiError("E_CANCELLED", "Loading was cancelled. Load the model again if you still need it.");
  }

  /** Leader: runs the forward pass of a batch with the team; throws E_FILE_READ where the embedding cannot be read. */
  forward(ids: readonly number[], logitsFrom: number): JobEnd {
    const { memory, layout } = this.membership;
    refuseLost(memory.buffer, layout.control);
    this.beforePass();
    this.weights.fetchEmbedding(ids);
    this.job[JOB_KIND] = KIND_FORWARD;
    this.job[JOB_TOKENS] = ids.length;
    this.job[JOB_LOGITS_FROM] = logitsFrom;
    this.team.start();
    const end = this.attempt(() => this.phi2.forward(ids.length, logitsFrom));
    if (end !== "done") this.weights.restart();
    return end;
  }

  /** Of shards: the steps of a forward pass, and what does their operations on this thread. */
  steps(tokens: number, logitsFrom: number): Iterable<Step> {
    return this.phi2.steps(tokens, logitsFrom);
  }

  readonly run = (...operations: readonly Operation[]): void => this.team.run(...operations);

  /** Leader: bytes a second at which the team can read the weights that stay in memory; the best of three rounds. */
  probe(): number {
    refuseLost(this.membership.memory.buffer, this.membership.layout.control);
    let best = 0;
    for (let round = 0; round < 3; round++) {
      this.job[JOB_KIND] = KIND_PROBE;
      this.team.start();
      const start = performance.now();
      let bytes = 0;
      if (this.attempt(() => (bytes = this.readAll())) === "done") {
        best = Math.max(best, (bytes * 1000) / (performance.now() - start));
      }
    }
    return best;
  }

  /** Reads the weights' memory with the team, as often as it takes. */
  private readAll(): number {
    const { vectors, totalBytes } = this.membership.layout;
    const items = Math.floor((totalBytes - vectors) / PROBE_ITEM_BYTES);
    const rounds = items === 0 ? 0 : Math.ceil(PROBE_BYTES / (items * PROBE_ITEM_BYTES));
    const run = (item: number) => {
      this.kernels.probe_read(vectors + (item % items) * PROBE_ITEM_BYTES, PROBE_ITEM_BYTES);
    };
    this.team.run({ name: "probe", items: items * rounds, run });
    return items * rounds * PROBE_ITEM_BYTES;
  }

  /** Leader: starts its profile anew, or ends it; returns milliseconds by operation so far. */
  profile(on: boolean): Record<string, number> {
    const before = this.team.profile ?? [];
    this.team.profile = on ? new Map() : undefined;
    return Object.fromEntries(before);
  }

  /** Leader: sends the team away. */
  dismiss(): void {
    this.weights.close();
    this.job[JOB_KIND] = KIND_LEAVE;
    this.team.active = this.team.threads;
    this.team.start();
  }

  private attempt(work: () => void): JobEnd {
    try {
      work();
      return "done";
    } catch (error) {
      if (error instanceof Stopped) return "stopped";
      // All threads wait for the same unit; none may still do so when the leader begins anew.
      if (error instanceof StreamFault) return this.attempt(() => this.team.meet()) === "done" ? "fault" : "stopped";
      // This thread will not come to the barrier where the others wait for it.
      reportLoss(this.membership.memory.buffer, this.membership.layout.control);
      throw error;
    }
  }

  private loadShare(onPiece: (index: number) => void): void {
    const { memory, layout, loadPlan } = this.membership;
    this.withLoader((loader) => {
      const run = (index: number) => {
        if (Atomics.load(this.job, JOB_FAILED_PIECE) > 0) return;
        try {
          loader.load(index);
          onPiece(index);
        } catch {
          Atomics.compareExchange(this.job, JOB_FAILED_PIECE, 0, index + 1);
          askToStop(memory.buffer, layout.control);
        }
      };
      this.team.run({ name: "load", items: loadPlan.pieces.length, run });
    });
  }

  private withLoader(work: (loader: Loader) => void): void {
    const { memory, layout, loadPlan, index } = this.membership;
    const staging = layout.threadScratch + index * layout.threadScratchBytes + layout.stagingOffset;
    const sources = loadPlan.sources.map((name) => this.device.open(name));
    try {
      work(new Loader(loadPlan, sources, this.kernels, memory.buffer, staging, layout.stagingBytes));
    } finally {
      for (const source of sources) source.close();
    }
  }
}
