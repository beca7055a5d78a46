/**
 * As much of vitest as the kernels' tests use, in one file without native parts: bundled with them, it runs where vitest
 * itself cannot. Its `expect` is vitest's own.
 */

import { JestAsymmetricMatchers, JestChaiExpect, JestExtend } from "@vitest/expect";
import * as chai from "chai";

chai.use(JestExtend);
chai.use(JestChaiExpect);
chai.use(JestAsymmetricMatchers);
export const expect = (actual, message) => chai.expect(actual, message);

const queue = [];
let path = [];

/** "%s" and "$name" of a title, from one row of a table. */
function titleOf(title, row) {
  let next = 0;
  const filled = title.replace(/%[sdijf]/g, () => String(row[next++]));
  return filled.replace(/\$(\w+)/g, (_, key) => String(row[0]?.[key]));
}

function withEach(register) {
  const one = (title, body) => register(title, body);
  one.each = (table) => (title, body) => {
    for (const entry of table) {
      const row = Array.isArray(entry) ? entry : [entry];
      register(titleOf(title, row), () => body(...row));
    }
  };
  return one;
}

const blocks = [];
export const describe = withEach((title, body) => {
  const outer = path;
  blocks.push(async () => {
    path = [...outer, title];
    await body();
    path = outer;
  });
});
export const it = withEach((title, body) => queue.push({ name: [...path, title].join(" > "), body }));
export const test = it;

/** Runs everything; prints each failure and one line at the end. Returns how many failed. */
export async function run() {
  while (blocks.length > 0) await blocks.shift()();
  let failed = 0;
  for (const { name, body } of queue) {
    try {
      await body();
    } catch (error) {
      failed++;
      console.error(`FAILED ${name}\n${error.message}`);
    }
  }
  console.log(`${queue.length - failed} passed, ${failed} failed`);
  return failed;
}
