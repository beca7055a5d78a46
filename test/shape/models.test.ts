/** A short share of `npm run check:shapes`, which asks for 10,000 answers. */

import { afterAll, beforeAll, expect, test } from "vitest";
import { type Models, openModels } from "./models.ts";
import { caseOf, prove } from "./proof.ts";

const ANSWERS = 240;
const SEED = 1;

let models: Models;
beforeAll(async () => {
  models = await openModels();
});
afterAll(() => models.close());

test("complete answers of random models have their shapes, whatever else is asked for", async () => {
  const report = await prove(models.answer, SEED, 0, ANSWERS);
  expect(report.answers).toBe(ANSWERS);
  expect(report.complete).toBeGreaterThan(ANSWERS / 2);
});

test("an answer is the same beside others as alone", async () => {
  const numbers = [0, 1, 3, 5, 8, 9];
  const ask = (number: number) => models.answer(caseOf(number).ask, SEED + number).then(({ text }) => text);
  const together = await Promise.all(numbers.map(ask));
  for (const [i, number] of numbers.entries()) expect([number, await ask(number)]).toEqual([number, together[i]]);
});
