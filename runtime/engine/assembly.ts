/** How the parts of an engine come together: the model is opened, planned, its team started, its weights brought in. */

import type { LoadOptions, Progress } from "../api.ts";
import { chooseKernels } from "../compute/builds.ts";
import { allocateMemory } from "../compute/instance.ts";
import type { KernelChoice } from "../compute/kernels.ts";
import { reportLoss } from "../compute/team.ts";
import type { Device, Thread } from "../device.ts";
import { PiPhiError } from "../errors.ts";
import { denseOf, planOptions } from "../options.ts";
import { subjectOf } from "../plan/estimate.ts";
import type { Layout } from "../plan/layout.ts";
import { plan } from "../plan/plan.ts";
import { Residence } from "../residence/residence.ts";
import { shareOf } from "../shards/cut.ts";
import { planShards, shardCount } from "../shards/plan.ts";
import { ShardLeader, startShards } from "../shards/team.ts";
import { Identity } from "../weights/identity.ts";
import { type Model, openModel } from "../weights/model.ts";
import { matrixBytes } from "../weights/shape.ts";
import { Language } from "./language.ts";
import { Member, type Membership } from "./member.ts";

/** Options that can cross to another thread. */
export type EngineLoadOptions = Omit<LoadOptions, "onProgress" | "signal">;

/** The parts of a loaded model. */
export interface Parts {
  device: Device;
  /** What remains of the model's file, whose vocabulary and merges are not needed any more. */
  description: Pick<Model, "name" | "quantization" | "parameters" | "fileBytes"> & { bytesPerToken: number };
  language: Language;
  layout: Layout;
  memory: WebAssembly.Memory;
  choice: KernelChoice;
  leader: Member;
  threads: readonly Thread[];
  residence: Residence;
  identity: Identity;
  /** Of the memory that may be used, what the layout leaves. */
  spareBytes: number;
  loadMs: number;
  /** Threads that each have a share of the weights, where memory is not shared: their layouts, and who leads them. */
  shards?: { layouts: readonly Layout[]; leader: ShardLeader };
}

/** Throws every error that a bad file, option or machine can cause; `check` may, once it is known what is planned. */
export async function assemble(
  device: Device,
  file: string,
  options: EngineLoadOptions,
  check: (language: Language, layout: Layout) => void,
  onProgress: (progress: Progress) => void,
): Promise<Parts> {
  const start = performance.now();
  const model = openModel((name) => device.open(name), file, denseOf(options));
  const threads: Thread[] = [];
  let residence: Residence | undefined;
  try {
    const language = await Language.open(model.metadata, model.config.vocabSize, options.template);
    const asked = planOptions(device, model.config, model.weights.pack !== undefined, options);
    const subject = subjectOf(model);
    const count = shardsFor(device, model, options);
    const planAll = (ramBytes = asked.ramBytes) => {
      const limited = { ...asked, ramBytes };
      return count > 1 ? planShards(subject, limited, count) : [plan(subject, limited)];
    };
    let planned = planAll();
    check(language, planned[0]);
    for (let index = 1; index < planned[0].threads; index++) threads.push(device.startWorker("team"));
    const choice = await chooseKernels(device, options.kernel);
    if (await dropThoseThatWait(device, threads)) {
      asked.threads = threads.length + 1;
      planned = planAll();
    }
    const alone = ({ message }: Error) => {
      device.warn(`${message} The model runs on 1 thread.`);
      return undefined;
    };
    const { layouts, memory } = allocate(device, planned, planAll);
    const [layout] = layouts;
    const shards = count > 1 ? await startShards(device, file, choice, layouts).catch(alone) : undefined;
    if (count > 1 && !shards)
      return await assemble({ ...device, startShard: undefined }, file, options, check, onProgress);
    threads.push(...(shards?.threads ?? []));
    const own = shards ? shareOf(device, model, { index: 0, count }) : { device, model };
    residence = new Residence(own.device, own.model, layout, memory, options.share ?? false);
    const { loadPlan } = residence;
    const member = (index: number): Membership => ({ memory, choice, layout, loadPlan, index });
    const team = shards ? [] : threads;
    const joined = Promise.all(team.map((thread, i) => join(thread, member(i + 1))));
    joined.catch(() => {}); // seen below, unless an error comes first
    const leader = new Member(own.device, member(0), residence.file);
    await joined;
    await residence.fill((onBytes) => leader.load(onBytes), onProgress);
    await shards?.joined;
    const { name, quantization, parameters, fileBytes } = model;
    const description = { name, quantization, parameters, fileBytes, bytesPerToken: matrixBytes(model.shape) };
    const loadMs = performance.now() - start;
    const identity = new Identity(model, denseOf(options));
    const takenBytes = layouts.reduce((sum, { totalBytes }) => sum + totalBytes, 0);
    const spareBytes = (asked.ramBytes ?? Number.POSITIVE_INFINITY) - takenBytes;
    const made = { device, description, language, layout, memory, choice, leader, threads, residence };
    const led = shards && {
      layouts: layouts.slice(1),
      leader: new ShardLeader(leader, residence, shards.peers, memory.buffer, model.shape),
    };
    return { ...made, identity, spareBytes, loadMs, shards: led };
  } catch (error) {
    for (const thread of threads) thread.terminate();
    residence?.close();
    throw error;
  } finally {
    model.close();
  }
}

/** Of what was refused, so much is tried next. */
const NEXT_SHARE = 0.85;

/**
 * The memory of the first layout; where it is refused and the device does not know how much there is, of `smaller` ones. Throws
 * E_MEMORY, with what would fit once that is known.
 */
function allocate(
  device: Device,
  layouts: readonly Layout[],
  smaller: (ramBytes: number) => Layout[],
): { layouts: readonly Layout[]; memory: WebAssembly.Memory } {
  try {
    return { layouts, memory: allocateMemory(layouts[0].totalBytes, device.sharedMemory) };
  } catch (error) {
    if (!device.triesMemory || PiPhiError.from(error).code !== "E_MEMORY") throw error;
    const bytes = layouts.reduce((sum, { totalBytes }) => sum + totalBytes, 0);
    return allocate(device, smaller(bytes * NEXT_SHARE), smaller);
  }
}

/** Into how many shards a model is cut: it must be a pack, of which each can read its own part. */
function shardsFor(device: Device, { weights, shape }: Model, { threads }: EngineLoadOptions): number {
  if (device.sharedMemory || !device.startShard || !weights.pack) return 1;
  return shardCount(shape, threads ?? device.threads, threads !== undefined);
}

/**
 * Ends the threads that have not begun to run within the device's time limit, and says so: the engine works without them.
 * Resolves with whether there were any.
 */
async function dropThoseThatWait(device: Device, threads: Thread[]): Promise<boolean> {
  const asked = threads.length;
  const running = await Promise.all(threads.map((thread) => thread.running ?? true));
  for (let i = asked - 1; i >= 0; i--) if (!running[i]) threads.splice(i, 1)[0].terminate();
  const lost = asked - threads.length;
  if (lost === 0) return false;
  const left = threads.length === 0 ? "1 thread" : `${threads.length + 1} threads`;
  device.warn(`${lost} of ${asked + 1} threads did not start in time. The model runs on ${left}.`);
  return true;
}

/** Resolves when a team worker follows its leader: one that leads is blocked, and would wait for it for ever. */
function join(thread: Thread, membership: Membership): Promise<void> {
  return new Promise((resolve, reject) => {
    thread.onMessage(() => resolve());
    thread.onFailure(({ message }) => {
      reportLoss(membership.memory.buffer, membership.layout.control);
      reject(
        new PiPhiError("E_ENGINE", `A thread could not be started (${message}). Use fewer threads, or free memory.`),
      );
    });
    thread.post(membership);
  });
}
