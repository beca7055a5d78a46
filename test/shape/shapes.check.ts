/**
 * `npm run check:shapes`: answers of random weights at temperature 1.5 over all shapes of the corpora, by default 10,000 and
 * another seed each day. SHAPES_ANSWERS, SHAPES_SEED and SHAPES_FROM (one answer alone) choose others.
 */

import { expect, test } from "vitest";
import { load } from "../../devices/node/index.ts";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryFile } from "../fixtures/temporary.ts";
import { prove } from "./proof.ts";

const { SHAPES_ANSWERS = "10000", SHAPES_SEED, SHAPES_FROM } = process.env;
const seed = Number(SHAPES_SEED ?? Math.floor(Date.now() / 86_400_000));
const from = Number(SHAPES_FROM ?? 0);
const to = SHAPES_FROM === undefined ? Number(SHAPES_ANSWERS) : from + 1;
/** As many as one engine answers side by side. */
const SIDES = 4;

test(`${to - from} answers, seed ${seed}`, async () => {
  const file = temporaryFile("shapes.gguf", randomModel({ contextLength: 512, seed: 5 }));
  await using phi = await load(file, { threads: 2, parallel: SIDES, contextLength: 512 });
  const sampling = { temperature: 1.5, topK: 0, topP: 1, minP: 0, maxTokens: 400 };
  const answer = async (ask: object, seed: number) => phi.generate("x", { ...sampling, ...ask, seed });
  const step = Math.ceil((to - from) / SIDES);
  const shares = Array.from({ length: SIDES }, (_, i) => [from + i * step, Math.min(to, from + (i + 1) * step)]);
  const reports = await Promise.all(shares.map(([first, last]) => prove(answer, seed, first, Math.max(first, last))));
  const complete = reports.reduce((sum, report) => sum + report.complete, 0);
  const cut = reports.reduce((sum, report) => sum + report.cut, 0);
  console.log(`${complete} complete and judged right, ${cut} cut by the limit of tokens, seed ${seed}`);
  expect(complete + cut).toBe(to - from);
  expect(complete).toBeGreaterThan((to - from) / 2);
});
