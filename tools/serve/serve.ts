/** `piphi serve`: opens the doors, loads behind them, and drains when it is told to end. */

import type { Output } from "../context.ts";
import { plural } from "../output.ts";
import type { Door, OpenDoor, Serving } from "./door.ts";
import { httpDoor } from "./http/door.ts";
import type { Notifier } from "./notify.ts";
import { wyomingDoor } from "./wyoming/door.ts";

export const DOORS: readonly OpenDoor[] = [httpDoor, wyomingDoor];

export interface ServeOptions extends Serving {
  /** Fires when it is to end. */
  signal: AbortSignal;
  stderr: Output;
  notifier: Notifier;
}

/** All doors, or none: where one cannot be opened, the others are closed again. */
async function openDoors(serving: Serving, open: readonly OpenDoor[]): Promise<Door[]> {
  const opened = await Promise.allSettled(open.map((one) => one(serving)));
  const doors = opened.flatMap((one) => (one.status === "fulfilled" && one.value ? [one.value] : []));
  const failed = opened.find((one) => one.status === "rejected");
  if (failed === undefined) return doors;
  await Promise.all(doors.map((door) => door.close(0)));
  throw failed.reason;
}

/**
 * Serves until `signal` fires or nobody can come any more. Resolves when all is closed. Rejects where a door cannot be opened
 * and where a model cannot be loaded.
 */
export async function runServer(options: ServeOptions, open: readonly OpenDoor[] = DOORS): Promise<void> {
  const { backend, settings, log, signal, stderr, notifier } = options;
  const doors = await openDoors(options, open);
  for (const { name, addresses } of doors) stderr.write(`${name}: ${addresses.join(", ")}\n`);
  let failure: unknown;
  const ended = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
    for (const door of doors) void door.ended?.then(resolve);
    backend.ready().then(
      () => {
        log.info({ models: backend.models.map(({ id }) => id), house: backend.knowsHouse }, "ready");
        notifier.tell("READY=1");
      },
      (error) => {
        // Told to end while it loads: no failure.
        if (!signal.aborted) failure = error;
        resolve();
      },
    );
  });
  await ended;
  notifier.tell("STOPPING=1");
  if (failure === undefined) log.info({}, `draining, for ${plural(settings.grace, "second")} at most`);
  await Promise.all(doors.map((door) => door.close(failure === undefined ? settings.grace * 1000 : 0)));
  notifier.close();
  await backend.close();
  if (failure !== undefined) throw failure;
}
