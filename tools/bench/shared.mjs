/**
 * Whether two processes that run one pack share its pages: node tools/bench/shared.mjs [--model FILE] [--threads N]
 *
 * Both map the pack as `piphi run --share` does, answer, and stay while the kernel is asked for their memory (Linux). PSS
 * divides each page by those who have it. Without --model, a small one is made and removed. Exit code 0 if at least 90 % of
 * the weights are there once, and both say the same.
 */

import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { endOnSignals, makeModel, preparePack, requireBuild, temporaryFolder } from "./limits/pack.mjs";
import { formatShared } from "./limits/report.mjs";
import { measureShared, sharesPages } from "./limits/shared.mjs";
import { failWith, UsageError, wholeNumber } from "./usage.mjs";

const SMALL = ["--layers", "4"];

async function main() {
  const { values } = parseArgs({
    options: {
      model: { type: "string" },
      threads: { type: "string", default: `${os.availableParallelism()}` },
    },
  });
  const threads = wholeNumber("threads", values.threads, 1, 64);
  if (process.platform !== "linux") throw new UsageError("Only Linux says how processes share memory.");
  requireBuild();
  endOnSignals();
  const folder = temporaryFolder();
  const pack = preparePack(values.model ? path.resolve(values.model) : makeModel(folder, SMALL), undefined, folder);
  const found = await measureShared(process.execPath, { model: pack, threads, contextLength: 512, generateTokens: 8 });
  process.stdout.write(formatShared(found));
  const ok = sharesPages(found);
  console.log(ok ? "ok: the weights are in memory once." : `FAILED: mode ${found.mode}, same text: ${found.same}`);
  process.exitCode = ok ? 0 : 1;
}

await main().catch(failWith);
