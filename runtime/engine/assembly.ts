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
import { Identity } from "../weights/identity.ts";
import { type Model, openModel } from "../weights/model.ts";
import { Language } from "./language.ts";
import { Member, type Membership } from "./member.ts";

/** Options that can cross to another thread. */
export type EngineLoadOptions = Omit<LoadOptions, "onProgress" | "signal">;

/** The parts of a loaded model. */
export interface Parts {
  device: Device;
  /** What remains of the model's file, whose vocabulary and merges are not needed any more. */
  description: Pick<Model, "name" | "quantization" | "parameters" | "fileBytes">;
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
    let planned = plan(subject, asked);
    check(language, planned);
    for (let index = 1; index < planned.threads; index++) threads.push(device.startWorker("team"));
    const choice = await chooseKernels(device, options.kernel);
    if (await dropThoseThatWait(device, threads)) {
      asked.threads = threads.length + 1;
      planned = plan(subject, asked);
    }
    const { layout, memory } = allocate(device, planned, (ramBytes) => plan(subject, { ...asked, ramBytes }));
    residence = new Residence(device, model, layout, memory, options.share ?? false);
    const { loadPlan } = residence;
    const member = (index: number): Membership => ({ memory, choice, layout, loadPlan, index });
    const joined = Promise.all(threads.map((thread, i) => join(thread, member(i + 1))));
    joined.catch(() => {}); // seen below, unless an error comes first
    const leader = new Member(device, member(0), residence.file);
    await joined;
    await residence.fill((onBytes) => leader.load(onBytes), onProgress);
    const { name, quantization, parameters, fileBytes } = model;
    const description = { name, quantization, parameters, fileBytes };
    const loadMs = performance.now() - start;
    const identity = new Identity(model, denseOf(options));
    const spareBytes = (asked.ramBytes ?? Number.POSITIVE_INFINITY) - layout.totalBytes;
    const made = { device, description, language, layout, memory, choice, leader, threads, residence };
    return { ...made, identity, spareBytes, loadMs };
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
 * The memory of a layout; where it is refused and the device does not know how much there is, that of `smaller` ones. Throws
 * E_MEMORY, with what would fit once that is known.
 */
function allocate(
  device: Device,
  layout: Layout,
  smaller: (ramBytes: number) => Layout,
): { layout: Layout; memory: WebAssembly.Memory } {
  try {
    return { layout, memory: allocateMemory(layout.totalBytes, device.sharedMemory) };
  } catch (error) {
    if (!device.triesMemory || PiPhiError.from(error).code !== "E_MEMORY") throw error;
    return allocate(device, smaller(layout.totalBytes * NEXT_SHARE), smaller);
  }
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
