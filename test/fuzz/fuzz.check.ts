/**
 * `npm run check:fuzz`: damaged files for every reader, by default 24,000 and another seed each day.
 * FUZZ_EXECUTIONS, FUZZ_SEED, FUZZ_READER (one reader alone) and FUZZ_FROM (one execution alone) choose others.
 */

import { expect, test } from "vitest";
import { fuzz, printReport } from "./fuzz.ts";
import { READERS } from "./readers.ts";

const { FUZZ_EXECUTIONS = "24000", FUZZ_SEED, FUZZ_READER, FUZZ_FROM } = process.env;
const seed = Number(FUZZ_SEED ?? Math.floor(Date.now() / 86_400_000));
const chosen = READERS.filter(({ name }) => FUZZ_READER === undefined || name === FUZZ_READER);
const shares = chosen.reduce((sum, { share }) => sum + share, 0);

test.each(chosen)("$name", async (reader) => {
  const count = Math.ceil((Number(FUZZ_EXECUTIONS) * reader.share) / shares);
  const from = Number(FUZZ_FROM ?? 0);
  const report = await fuzz(reader, seed, from, FUZZ_FROM === undefined ? count : from + 1);
  printReport(report);
  expect(report.executions).toBeGreaterThan(0);
});
