/** The workers of PiPhi in a browser: an engine, or a member of an engine's team. The first message says which. */

import { chooseKernels } from "../../runtime/compute/builds.ts";
import type { Thread, WorkerRole } from "../../runtime/device.ts";
import { Member, type Membership } from "../../runtime/engine/member.ts";
import { serveEngine, throttled } from "../../runtime/engine/service.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import type { FromEngine, ToEngine } from "../../runtime/protocol.ts";
import { type ReaderTask, serveReader } from "../../runtime/residence/reader.ts";
import { type ShardTask, serveShard } from "../../runtime/shards/shard.ts";
import { webDevice } from "./device.ts";
import { OpenFiles } from "./files.ts";
import { type Probe, sideBySide, takePart } from "./probe.ts";
import { provide } from "./store/provide.ts";
import type { FromStore, Gift, Order, Role } from "./thread.ts";
import { startThread } from "./thread.ts";

/** The engine refuses to load with more, but only when the team has been started. */
const MOST_THREADS = 64;
/** A worker starts within milliseconds; a busy phone takes longer. */
const START_LIMIT_MS = 10_000;

addEventListener(
  "message",
  ({ data }: MessageEvent<Role>) => {
    if (data.role === "engine") becomeEngine(data);
    else if (data.role === "team")
      becomeMember(data).catch(reportError); // so that whoever started it hears of it
    else if (data.role === "reader") becomeReader(data);
    else becomeShard(data);
  },
  { once: true },
);

function becomeEngine(role: Role): void {
  const files = new OpenFiles(role.files);
  const team: Thread[] = [];
  const startReader = () => startThread(sameWorker, { ...role, role: "reader", files: files.files });
  // The team runs already when the engine asks for it.
  const startWorker = (kind: WorkerRole) => (kind === "team" ? team.pop()! : startReader());
  const startShard = () => startsInTime(startThread(sameWorker, { ...role, role: "shard", files: files.files }));
  const device = webDevice(files, startWorker, role, startShard);
  const post = (message: FromEngine | FromStore) => {
    if (message.type === "ready") files.forget(); // the weights are where they belong now
    postMessage(message);
  };
  const listener = serveEngine(device, post);
  // Nothing needs to be said of success but that there is one.
  chooseKernels(device).then(
    () => postMessage({ type: "prepared" }),
    (error) => post({ type: "error", error: PiPhiError.from(error).toJSON() }),
  );
  addEventListener("message", async ({ data: message }: MessageEvent<ToEngine | Gift | Order>) => {
    try {
      if (message.type === "files") {
        for (const [name, parts] of message.files) files.files.set(name, parts);
        return;
      }
      if (message.type === "provide") {
        const { files: found, key } = await provide(device, message.model, {
          onProgress: throttled((progress) => post({ type: "progress", progress })),
          onStoring: () => post({ type: "storing" }),
        });
        for (const [name, parts] of found) files.files.set(name, parts);
        post({ type: "provided", name: [...found.keys()][0], key });
        return;
      }
      if (message.type === "load") await files.prepare();
      if (message.type === "load" && device.sharedMemory) {
        const { threads: asked } = message.options;
        team.push(...(await startTeam(asked ?? device.threads, { ...role, files: files.files }, device.warn)));
        const threads = asked === undefined ? await sideBySide(team) : team.length + 1;
        for (const surplus of team.splice(threads - 1)) surplus.terminate();
        if (asked === undefined || isFewer(threads, asked)) {
          listener({ ...message, options: { ...message.options, threads } });
          return;
        }
      }
      listener(message);
    } catch (error) {
      post({ type: "error", error: PiPhiError.from(error).toJSON() });
    }
  });
}

/**
 * Starts the engine's team and waits until it runs. Browsers start a worker only while its creator is idle, and an
 * engine that loads a model is not: it blocks until its team has done its share.
 */
async function startTeam(threads: number, role: Role, warn: (text: string) => void): Promise<Thread[]> {
  const others = Math.max(0, Math.min(threads, MOST_THREADS) - 1);
  const started = await Promise.all(Array.from({ length: others }, () => startMember(role)));
  const running = started.filter((thread) => thread !== undefined);
  if (running.length < others) {
    const left = running.length === 0 ? "1 thread" : `${running.length + 1} threads`;
    warn(`${others - running.length} of ${others + 1} threads did not start in time. The model runs on ${left}.`);
  }
  return running;
}

/** A member that runs, or undefined where it does not within the limit: some browsers leave a worker waiting for ever. */
function startMember(role: Role): Promise<Thread | undefined> {
  return new Promise((resolve, reject) => {
    const thread = startThread(sameWorker, { ...role, role: "team" });
    const timer = setTimeout(() => {
      thread.terminate();
      resolve(undefined);
    }, START_LIMIT_MS);
    thread.onMessage(() => {
      clearTimeout(timer);
      resolve(thread);
    });
    thread.onFailure(reject);
  });
}

const sameWorker = () => new Worker(location.href, { type: "module" });

/** Only engines start workers. */
const startsNone = (): never => {
  throw new PiPhiError("E_ENGINE", "Only an engine starts workers. Please report this as a bug.");
};

/** A thread that says whether it runs within the limit. */
function startsInTime(thread: Thread): Thread {
  const running = new Promise<boolean>((resolve) => {
    setTimeout(resolve, START_LIMIT_MS, false);
    thread.onMessage(() => resolve(true));
  });
  return { ...thread, running };
}

/** Whether fewer threads run than were asked for; nonsense is left to the engine to refuse. */
function isFewer(threads: number, asked: number): boolean {
  return Number.isInteger(asked) && asked >= 1 && asked <= MOST_THREADS && threads < asked;
}

async function becomeMember(role: Role): Promise<void> {
  const files = new OpenFiles(role.files);
  // A member reads each file once, to load its share, and then blocks for good: nothing here may keep the file.
  const openOnce = (name: string) => {
    const source = files.open(name);
    files.forget(name);
    return source;
  };
  await files.prepare();
  const device = webDevice({ open: openOnce }, startsNone, role);
  addEventListener("message", ({ data }: MessageEvent<Membership | Probe>) => {
    if ("type" in data) takePart(data, () => postMessage("probing"));
    else Member.serve(device, data, () => postMessage("joined"));
  });
  postMessage("running");
}

function becomeReader(role: Role): void {
  const files = new OpenFiles(role.files);
  const ready = files.prepare();
  const device = webDevice(files, startsNone, role);
  addEventListener("message", ({ data }: MessageEvent<ReaderTask>) => {
    ready.then(() => serveReader(device, data, (message) => postMessage(message))).catch(reportError);
  });
}

function becomeShard(role: Role): void {
  const files = new OpenFiles(role.files);
  const device = webDevice(files, startsNone, role);
  const ready = files.prepare();
  addEventListener("message", ({ data }: MessageEvent<ShardTask>) => {
    ready.then(() => serveShard(device, data, (message) => postMessage(message))).catch(reportError);
  });
  ready.then(() => postMessage({ type: "running" })).catch(reportError);
}
