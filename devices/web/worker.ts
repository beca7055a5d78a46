/** The workers of PiPhi in a browser: an engine, or a member of an engine's team. The first message says which. */

import type { Thread } from "../../runtime/device.ts";
import { Member, type Membership } from "../../runtime/engine/member.ts";
import { serveEngine } from "../../runtime/engine/service.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import type { FromEngine, ToEngine } from "../../runtime/protocol.ts";
import { webDevice } from "./device.ts";
import { type Files, openFile } from "./files.ts";
import { type Role, startThread } from "./thread.ts";

/** The engine refuses to load with more, but only when the team has been started. */
const MOST_THREADS = 64;

addEventListener(
  "message",
  ({ data: { role, files } }: MessageEvent<Role>) => (role === "engine" ? becomeEngine(files) : becomeMember(files)),
  { once: true },
);

function becomeEngine(files: Files): void {
  const team: Thread[] = [];
  const device = webDevice((name) => openFile(files, name), team);
  const post = (message: FromEngine) => {
    if (message.type === "ready") files.clear(); // the weights are where they belong now
    postMessage(message);
  };
  const listener = serveEngine(device, post);
  addEventListener("message", async ({ data: message }: MessageEvent<ToEngine>) => {
    try {
      if (message.type === "load" && device.sharedMemory) {
        team.push(...(await startTeam(message.options.threads ?? device.threads, files)));
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
function startTeam(threads: number, files: Files): Promise<Thread[]> {
  const others = Math.min(threads, MOST_THREADS) - 1;
  const create = () => new Worker(location.href, { type: "module" });
  const start = () => {
    return new Promise<Thread>((resolve, reject) => {
      const thread = startThread(create, { role: "team", files });
      thread.onMessage(() => resolve(thread));
      thread.onFailure(reject);
    });
  };
  return Promise.all(Array.from({ length: others }, start));
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
