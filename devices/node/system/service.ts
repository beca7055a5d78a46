/** The thread that calls the C library for all others. */

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { MessagePort } from "node:worker_threads";
import type { Connection, Request, SystemCalls } from "./calls.ts";
import { type Libc, libc } from "./libc.ts";
import { type Promotion, type PromotionTask, promote } from "./promotion.ts";

/** Serves all that join through `port`, and whoever joins through them. */
export function serveSystem(port: MessagePort): void {
  const collect = collector();
  const join = ({ port, words }: Connection) => {
    const promotions: Promotion[] = [];
    port.on("message", (request: Request) => {
      if ("join" in request) return join(request.join);
      const value = answer(request, promotions);
      if (!request.reply) return;
      port.postMessage(value);
      Atomics.add(new Int32Array(words), 0, 1);
      Atomics.notify(new Int32Array(words), 0);
    });
    port.on("close", () => {
      for (const promotion of promotions) promotion.end();
      collect();
    });
  };
  port.on("message", (request: { join: Connection }) => join(request.join));
}

function answer({ call, args }: Exclude<Request, { join: Connection }>, promotions: Promotion[]): unknown {
  const c = libc();
  if (typeof c === "string") return call === "missing" ? c : undefined;
  if (call === "missing") return undefined;
  const function_ = answers(c, promotions)[call] as (...args: unknown[]) => unknown;
  return function_(...args);
}

function answers(c: Libc, promotions: Promotion[]): SystemCalls {
  return {
    ...c,
    // A view, not the buffer: koffi refuses a SharedArrayBuffer on Node 20.
    address: (memory) => c.address(new Uint8Array(memory)),
    promote: (task: PromotionTask) => promotions.push(promote(c, task)) - 1,
    endPromotion: (promotion) => promotions[promotion].end(),
  };
}

/**
 * A memory lives as long as any thread has seen it and not collected its garbage. This thread makes hardly any, so nothing
 * would ever be collected: it is told to when a thread that it served has ended.
 */
function collector(): () => void {
  try {
    setFlagsFromString("--expose-gc");
    return runInNewContext("gc");
  } catch {
    return () => {}; // not V8
  }
}
