#!/usr/bin/env node
/** The `piphi` process: streams, signals, exit code. */

import { main, SIGNAL_CODES } from "./main.ts";
import { reportError } from "./report.ts";

const interrupt = new AbortController();

for (const [name, code] of Object.entries(SIGNAL_CODES)) {
  process.on(name, () => {
    // The first one ends the work, and saves what is to be saved; a second one does not wait for it.
    if (interrupt.signal.aborted) process.exit(code);
    interrupt.abort(name);
  });
}

process.on("uncaughtException", (error) => {
  process.exit(reportError(error, false, process));
});

process.exitCode = await main(process.argv.slice(2), {
  stdin: process.stdin,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  interrupt: interrupt.signal,
  exit: (code) => process.exit(code),
  api: () => import("../devices/node/index.ts"),
  home: () => import("../devices/node/home/index.ts"),
});
