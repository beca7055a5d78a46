#!/usr/bin/env node
/** The `piphi` process: streams, signals, exit code. */

import { main } from "./main.ts";
import { reportError } from "./report.ts";

const interrupt = new AbortController();

process.on("SIGINT", () => {
  // The first press ends the work, a second one does not wait for it.
  if (interrupt.signal.aborted) process.exit(130);
  interrupt.abort();
});

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
