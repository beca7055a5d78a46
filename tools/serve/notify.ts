/** Tells systemd how it goes, by its own program `systemd-notify`: Node has no datagram sockets of Unix. */

import { execFile } from "node:child_process";
import type { Environment } from "../context.ts";

export interface Notifier {
  tell(state: "READY=1" | "STOPPING=1" | "WATCHDOG=1"): void;
  close(): void;
}

/** Says WATCHDOG=1 twice in each of systemd's intervals for as long as `alive` resolves. Does nothing without systemd. */
export function systemdNotifier(env: Environment, alive: () => Promise<unknown>): Notifier {
  if (!env.NOTIFY_SOCKET) return { tell: () => undefined, close: () => undefined };
  // systemd may look at the parent of the program that tells.
  const tell = (state: string) => {
    execFile("systemd-notify", [`--pid=${process.pid}`, state], () => undefined);
  };
  const everyMs = Number(env.WATCHDOG_USEC ?? 0) / 2000;
  const watch = () =>
    void alive().then(
      () => tell("WATCHDOG=1"),
      () => undefined,
    );
  const timer = everyMs > 0 ? setInterval(watch, everyMs) : undefined;
  return { tell, close: () => clearInterval(timer) };
}
