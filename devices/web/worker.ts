/** The workers of PiPhi in a browser: an engine, or a member of an engine's team. The first message says which. */

import type { Thread } from "../../runtime/device.ts";
import { Member, type Membership } from "../../runtime/engine/member.ts";
import { serveEngine } from "../../runtime/engine/service.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import type { FromEngine, ToEngine } from "../../runtime/protocol.ts";
import { type KernelAddresses, webDevice } from "./device.ts";
import { type Files, openFile } from "./files.ts";
import { type Role, startThread } from "./thread.ts";

/** The engine refuses to load with more, but only when the team has been started. */
const MOST_THREADS = 64;

addEventListener(
  "message",
  ({ data: { role, files, kernels } }: MessageEvent<Role>) =>
    role === "engine" ? becomeEngine(files, kernels) : becomeMember(files),
  { once: true },
);

function becomeEngine(files: Files, kernels: KernelAddresses | undefined): void {
  const team: Thread[] = [];
  const device = webDevice((name) => openFile(files, name), team, kernels);
  const post = (message: FromEngine) => {
    if (message.type === "ready") files.clear(); // the weights are where they belong now
    postMessage(message);
  };
  const listener = serveEngine(device, post);
  addEventListener("message", async ({ data: message }: MessageEvent<ToEngine>) => {
    try {
      if (message.type === "load" && device.sharedMemory) {
        const asked = message.options.threads ?? device.threads;
        team.push(...(await startTeam(asked, files)));
        if (team.length + 1 < Math.min(asked, MOST_THREADS)) message.options.threads = team.length + 1;
      }
      listener(message);
    } catch (error) {
      post({ type: "error", error: PiPhiError.from(error).toJSON() });
    }
  });
}

/** A worker that has not begun after so long does not begin: it was seen to happen in 4 of 100 loads under WebDriver. */
const START_MS = 10_000;

/**
 * Starts the engine's team and waits until it runs; those that do not begin in time are left out. Browsers start a worker only
 * while its creator is idle, and an engine that loads a model is not: it blocks until its team has done its share.
 */
async function startTeam(threads: number, files: Files): Promise<Thread[]> {
  const others = Math.min(threads, MOST_THREADS) - 1;
  const create = () => new Worker(location.href, { type: "module" });
  const start = () => {
    return new Promise<Thread | undefined>((resolve, reject) => {
      const thread = startThread(create, { role: "team", files });
      const late = setTimeout(() => {
        thread.terminate();
        resolve(undefined);
      }, START_MS);
      thread.onMessage(() => {
        clearTimeout(late);
        resolve(thread);
      });
      thread.onFailure(reject);
    });
  };
  const started = await Promise.all(Array.from({ length: others }, start));
  return started.filter((thread) => thread !== undefined);
}

function becomeMember(files: Files): void {
  // A member reads each file once, to load its share, and then blocks for good: nothing here may keep the file.
  const openOnce = (name: string) => {
    const source = openFile(files, name);
    files.delete(name);
    return source;
  };
  const device = webDevice(openOnce, []);
  const follow = ({ data }: MessageEvent<Membership>) => Member.serve(device, data, () => postMessage("joined"));
  addEventListener("message", follow, { once: true });
  postMessage("running");
}
