#!/usr/bin/env node
/** The `piphi` process: streams, signals, exit code. */

import { environment } from "../devices/node/host.ts";
import { main } from "./main.ts";
import { reportError } from "./report.ts";

const interrupt = new AbortController();

/** Deno asks for a permission for each variable; one that may not be read is not set. */
const env = new Proxy<Record<string, string | undefined>>({}, { get: (_, name) => environment(String(name)) });

process.on("SIGINT", () => {
  // The first press ends the work, a second one does not wait for it.
  if (interrupt.signal.aborted) process.exit(130);
  interrupt.abort();
});

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
