#!/usr/bin/env node
/** The `piphi` process: streams, signals, exit code. */

import { environment } from "../devices/node/host.ts";
import { main, SIGNAL_CODES } from "./main.ts";
import { reportError } from "./report.ts";

const interrupt = new AbortController();

/** Deno asks for a permission for each variable; one that may not be read is not set. */
const env = new Proxy<Record<string, string | undefined>>({}, { get: (_, name) => environment(String(name)) });

for (const [name, code] of Object.entries(SIGNAL_CODES)) {
  process.on(name, () => {
    // The first one ends the work, and saves what is to be saved; a second one does not wait for it.
    if (interrupt.signal.aborted) process.exit(code);
    interrupt.abort(name);
  });
}

process.on("uncaughtException", (error) => {
  process.exit(reportError(error, false, { stdout: process.stdout, stderr: process.stderr, env }));
});

process.exitCode = await main(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env,
  interrupt: interrupt.signal,
  exit: (code) => process.exit(code),
  api: () => import("../devices/node/index.ts"),
  home: () => import("../devices/node/home/index.ts"),
});
