/**
 * `npm run check:shapes`: answers of random-weight models in every shape, by default 10,000 and another seed each day.
 * SHAPES_ANSWERS, SHAPES_SEED and SHAPES_FROM (one answer alone) choose others.
 */

import { afterAll, beforeAll, expect, test } from "vitest";
import { type Models, openModels } from "./models.ts";
import { prove } from "./proof.ts";

const { SHAPES_ANSWERS = "10000", SHAPES_SEED, SHAPES_FROM } = process.env;
const seed = Number(SHAPES_SEED ?? Math.floor(Date.now() / 86_400_000));
const from = Number(SHAPES_FROM ?? 0);
const to = SHAPES_FROM === undefined ? Number(SHAPES_ANSWERS) : from + 1;

let models: Models;
beforeAll(async () => {
  models = await openModels();
});
afterAll(() => models.close());

test(`seed ${seed}, answers ${from} to ${to}`, async () => {
  const { answers, complete, cut, neverComplete } = await prove(models.answer, seed, from, to);
  console.log(`${answers} answers: ${complete} complete, ${cut} cut by the limit of tokens`);
  if (neverComplete.length > 0) console.log(`never complete: ${neverComplete.join("; ")}`);
  expect(answers).toBeGreaterThan(0);
});
