/**
 * `piphi serve` as Home Assistant uses it: a new connection for each sentence, in a house of 200 entities.
 *
 *   node tools/bench/wyoming.mjs [--entities 200] [--sentences 200] [--idle 100] [--slow 20] [--starts 5] [--json]
 *
 * From starting the process to the first answered `describe`, from a sentence to its intent, the same beside clients that are
 * idle or send a byte at a time, and the memory of the process. Exits with 1 if a goal is missed.
 */

import { requireBuild } from "./limits/pack.mjs";
import { isMet } from "./many/report.mjs";
import { describeMachine, warnIfBusy } from "./peers/machine.mjs";
import { failWith, parseOptions } from "./usage.mjs";
import { measureWyoming } from "./wyoming/measure.mjs";
import { formatWyoming, goalsOf } from "./wyoming/report.mjs";

async function main() {
  const { values, numbers } = parseOptions(
    process.argv.slice(2),
    {
      entities: [200, 10, 10_000],
      sentences: [200, 20, 100_000],
      idle: [100, 0, 200],
      slow: [20, 0, 50],
      starts: [5, 1, 100],
    },
    { json: { type: "boolean", default: false } },
  );
  requireBuild();
  const busy = await warnIfBusy();
  const measured = await measureWyoming(numbers, (what) => console.error(what));
  const goals = goalsOf(measured);
  const document = { machine: describeMachine(), busyCores: busy, ...numbers, measured, goals };
  process.stdout.write(values.json ? `${JSON.stringify(document, null, 2)}\n` : formatWyoming(measured, goals));
  if (!goals.every(isMet)) process.exitCode = 1;
}

await main().catch(failWith);
