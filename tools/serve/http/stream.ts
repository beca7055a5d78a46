/** Answers that come as they are written: server-sent events, and lines of JSON. */

import { type HttpError, httpError } from "./errors.ts";

/** Proxies and clients give up on a connection that says nothing. */
const KEEP_ALIVE_MS = 10_000;
/** What is wrong with a request shows within this: then it is an error with a status, not one in the middle of a stream. */
const PATIENCE_MS = 250;

export interface Framing {
  contentType: string;
  frame(value: unknown): string;
  /** Said while there is nothing to say; absent where the format has nothing of the kind. */
  keepAlive?: string;
  error(error: HttpError): unknown;
  /** The last words. */
  end?: string;
}

/** A response whose body is what `values` gives; its reader's leaving ends them. Throws what comes before the first value. */
export async function streamed(values: AsyncGenerator<unknown, void>, framing: Framing): Promise<Response> {
  const first = values.next();
  let early: IteratorResult<unknown, void> | undefined;
  // Fails here, where it can still become a status.
  const soon = first.then((result) => (early = result));
  await Promise.race([soon, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
  let pending: Promise<IteratorResult<unknown, void>> | undefined = early ? Promise.resolve(early) : first;
  const encoder = new TextEncoder();
  const { keepAlive } = framing;
  let timer: NodeJS.Timeout | undefined;
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      if (keepAlive === undefined) return;
      timer = setInterval(() => {
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(keepAlive));
      }, KEEP_ALIVE_MS);
    },
    async pull(controller) {
      try {
        const { value, done } = await (pending ?? values.next());
        pending = undefined;
        if (!done) return controller.enqueue(encoder.encode(framing.frame(value)));
        if (framing.end !== undefined) controller.enqueue(encoder.encode(framing.end));
      } catch (error) {
        controller.enqueue(encoder.encode(framing.frame(framing.error(httpError(error)))));
      }
      clearInterval(timer);
      controller.close();
    },
    async cancel() {
      clearInterval(timer);
      await values.return();
    },
  });
  return new Response(body, {
    headers: { "Content-Type": framing.contentType, "Cache-Control": "no-cache", "X-Accel-Buffering": "no" },
  });
}

/** So many answers of one request run at once; the others wait without taking the queue's places from other clients. */
const AT_ONCE = 4;

/** What several generators give, each as soon as it is there. */
export async function* merged<T>(all: readonly AsyncGenerator<T, void>[]): AsyncGenerator<T, void> {
  const next = (generator: AsyncGenerator<T, void>) => generator.next().then((result) => ({ generator, result }));
  const later = all.slice(AT_ONCE);
  const waiting = new Map(all.slice(0, AT_ONCE).map((generator) => [generator, next(generator)]));
  try {
    while (waiting.size > 0) {
      const { generator, result } = await Promise.race(waiting.values());
      if (!result.done) {
        waiting.set(generator, next(generator));
        yield result.value;
        continue;
      }
      waiting.delete(generator);
      const following = later.shift();
      if (following) waiting.set(following, next(following));
    }
  } finally {
    for (const promise of waiting.values()) promise.catch(() => undefined);
    await Promise.allSettled(all.map((generator) => generator.return()));
  }
}

/** What `work` makes of each, in their order. */
export async function answeredAll<T, R>(
  all: readonly T[],
  work: (one: T, index: number) => PromiseLike<R>,
): Promise<R[]> {
  const results: R[] = [];
  let at = 0;
  const worker = async () => {
    while (at < all.length) {
      const index = at++;
      results[index] = await work(all[index], index);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, all.length) }, worker));
  return results;
}
