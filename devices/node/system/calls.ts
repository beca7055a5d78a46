/**
 * Calls of the C library, made by one thread that stays as long as the program does: npm's koffi leaves mappings behind in
 * every thread that has loaded it, and an engine's threads come and go. A call is a message, and waits for its answer.
 */

import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from "node:worker_threads";
import { threadsWithin } from "../address-space.ts";
import { createWorker } from "../threads.ts";
import { type Libc, libc, libcMissing } from "./libc.ts";
import type { PromotionTask } from "./promotion.ts";

/** How a thread reaches the one that calls. */
export interface Connection {
  port: MessagePort;
  /** One i32 that counts the answers. */
  words: SharedArrayBuffer;
}

/** What the thread can be asked for; the address of shared memory is that of its first byte. */
export interface SystemCalls {
  address(memory: SharedArrayBuffer): bigint;
  mapFile: Libc["mapFile"];
  mapZeros: Libc["mapZeros"];
  advise: Libc["advise"];
  adviseFile: Libc["adviseFile"];
  /** Begins to move mapped weights into huge pages; the promotion's number. */
  promote(task: PromotionTask): number;
  /** Ends a promotion, also one that has ended by itself; the bytes that it has moved. */
  endPromotion(promotion: number): number;
}

/** A message to the thread. Without a reply nothing waits for it. */
export type Request =
  | { join: Connection }
  | { call: keyof SystemCalls; args: unknown[]; reply: boolean }
  /** Why the library cannot be called, if so. */
  | { call: "missing"; args: []; reply: true };

/** Calls take microseconds, the first one some milliseconds, and all wait for a stretch of a promotion. */
const ANSWER_LIMIT_MS = 10_000;

/** How a thread of this package makes its calls: through the one that stays, itself, or not at all. */
export type Way = Connection | "itself" | "none";

/** This thread's own way, once it is known. */
let own: Way | undefined;
/** The thread itself, where this one has started it. */
let started: Worker | undefined;
let calls: SystemCalls | string | undefined;

/** The C library's calls, or why there are none. */
export function systemCalls(): SystemCalls | string {
  calls ??= connect();
  return calls;
}

/** The address of a memory's first byte; one that is not shared can be seen by this thread only. */
export function addressOf(system: SystemCalls, { buffer }: WebAssembly.Memory): bigint {
  if (buffer instanceof SharedArrayBuffer) return system.address(buffer);
  const here = libc();
  if (typeof here === "string") throw new Error(here);
  return here.address(new Uint8Array(buffer));
}

/** Tells a thread of this package its way. */
export function adoptWay(way: Way): void {
  own = way;
}

/** The way of a thread that is about to be started by this one. */
export function wayForThread(): Way {
  const to = whomToAsk();
  if (typeof to === "string") return to;
  const { port1, port2 } = new MessageChannel();
  const words = new SharedArrayBuffer(4);
  to.postMessage({ join: { port: port2, words } } satisfies Request, [port2]);
  return { port: port1, words };
}

function whomToAsk(): MessagePort | Worker | "itself" | "none" {
  if (typeof own === "string") return own;
  if (own !== undefined) return own.port;
  if (started !== undefined) return started;
  // Under a limit of addresses each thread counts.
  if (libcMissing() !== undefined || threadsWithin() < Number.POSITIVE_INFINITY) return "itself";
  started = createWorker("system");
  started.unref();
  return started;
}

function connect(): SystemCalls | string {
  const missing = libcMissing();
  if (missing !== undefined) return missing;
  own ??= wayForThread();
  if (own === "none") return "this thread calls nothing";
  if (own === "itself") return callsHere();
  const { port } = own;
  const ask = asker(own);
  const refused = ask({ call: "missing", args: [], reply: true }, "the thread for system calls does not answer");
  if (typeof refused === "string") return refused;
  const wait =
    <T>(call: keyof SystemCalls, otherwise: T) =>
    (...args: unknown[]): T =>
      ask({ call, args, reply: true }, otherwise) as T;
  return {
    address: wait("address", 0n),
    mapFile: wait("mapFile", false),
    mapZeros: wait("mapZeros", false),
    advise: wait("advise", false),
    adviseFile: (...args) => port.postMessage({ call: "adviseFile", args, reply: false } satisfies Request),
    promote: wait("promote", 0),
    endPromotion: wait("endPromotion", 0),
  };
}

/** Sends requests, one after the other. A thread that did not answer once is not asked again: `otherwise` is the answer. */
function asker({ port, words }: Connection): (request: Request, otherwise: unknown) => unknown {
  const state = new Int32Array(words);
  let silent = false;
  return (request, otherwise) => {
    if (silent) return otherwise;
    const answered = Atomics.load(state, 0);
    port.postMessage(request);
    silent = Atomics.wait(state, 0, answered, ANSWER_LIMIT_MS) === "timed-out";
    const received = silent ? undefined : receiveMessageOnPort(port);
    silent ||= received === undefined;
    return received === undefined ? otherwise : received.message;
  };
}

/** Without a thread of their own: promotions would keep this one, so there are none. */
function callsHere(): SystemCalls | string {
  const c = libc();
  if (typeof c === "string") return c;
  return {
    ...c,
    address: (memory) => c.address(new Uint8Array(memory)),
    promote: () => 0,
    endPromotion: () => 0,
  };
}
