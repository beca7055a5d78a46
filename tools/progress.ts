/**
 * One line on a terminal that is rewritten in place. Twenty lines of our own instead of a library: a phone's and a
 * Pi's installation stay free of a dependency whose options would all be switched off.
 */

import type { Progress } from "../devices/node/index.ts";
import type { Environment, Output } from "./context.ts";
import { formatBytes, formatCount, plural } from "./output.ts";

export interface StatusLine {
  show(text: string): void;
  clear(): void;
}

/** Silent where stderr is no terminal. */
export function statusLine(stream: Output, env: Environment): StatusLine {
  const active = stream.isTTY === true && env.TERM !== "dumb";
  let shown = false;
  return {
    show(text) {
      if (!active) return;
      stream.write(`\r\u001b[2K${text}`);
      shown = true;
    },
    clear() {
      if (shown) stream.write("\r\u001b[2K");
      shown = false;
    },
  };
}

const BAR_CELLS = 24;
/** Loads that are over sooner show no bar. */
const PATIENCE_MS = 300;
const REDRAW_MS = 100;

const PHASES: Record<Progress["phase"], string> = {
  download: "Downloading",
  pack: "Packing",
  check: "Checking",
  weights: "Loading",
  warm: "Reading prompts",
};

/** A bar for `onProgress`; `now` in milliseconds. */
export function loadingBar(line: StatusLine, now: () => number = () => performance.now()) {
  const startedMs = now();
  let drawnMs = Number.NEGATIVE_INFINITY;
  return ({ phase, loadedBytes, totalBytes }: Progress): void => {
    if (now() - startedMs < PATIENCE_MS || now() - drawnMs < REDRAW_MS) return;
    drawnMs = now();
    const share = totalBytes > 0 ? Math.min(1, loadedBytes / totalBytes) : 0;
    const cells = Math.round(share * BAR_CELLS);
    const bar = "#".repeat(cells) + "-".repeat(BAR_CELLS - cells);
    const percent = `${Math.floor(share * 100)}`.padStart(3);
    const done =
      phase === "warm"
        ? `${formatCount(loadedBytes)} of ${plural(totalBytes, "token")}`
        : `${formatBytes(loadedBytes)} of ${formatBytes(totalBytes)}`;
    line.show(`${PHASES[phase]}  ${bar}  ${percent} %  ${done}`);
  };
}
