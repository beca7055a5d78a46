/** What the bundled tests import as "vitest": its runner and its assertions, without its processes and transformers. */

import { ASYMMETRIC_MATCHERS_OBJECT, chai, JestAsymmetricMatchers, JestChaiExpect, JestExtend } from "@vitest/expect";
import { startTests } from "@vitest/runner";

export { afterAll, beforeAll, describe, it, test } from "@vitest/runner";

for (const plugin of [JestExtend, JestChaiExpect, JestAsymmetricMatchers]) chai.use(plugin);
export const expect = Object.assign(
  (value, message) => chai.expect(value, message),
  chai.expect,
  globalThis[ASYMMETRIC_MATCHERS_OBJECT],
);

const TIMEOUT_MS = 30 * 60 * 1000; // emulated, on a busy machine

const config = {
  root: "/",
  setupFiles: [],
  sequence: { seed: 0, hooks: "stack", setupFiles: "list" },
  maxConcurrency: 1,
  testTimeout: TIMEOUT_MS,
  hookTimeout: TIMEOUT_MS,
  retry: 0,
  tags: [],
};

/** The names of a test's suites and its own. */
function titleOf(task) {
  const names = [];
  for (let each = task; each?.name; each = each.suite) names.unshift(each.name);
  return names.join(" > ");
}

function* testsOf(tasks) {
  for (const task of tasks) {
    if (task.type === "test") yield task;
    else yield* testsOf(task.tasks);
  }
}

/** Failures of a file itself, such as an import that throws, and of its tests. */
function report(files) {
  const failures = [];
  const count = { passed: 0, failed: 0 };
  for (const file of files) {
    const errors = file.result?.errors ?? [];
    for (const { message } of errors) failures.push(`${file.name}: ${message}`);
    if (errors.length > 0) count.failed++;
    for (const test of testsOf(file.tasks)) {
      const passed = test.result?.state === "pass";
      count[passed ? "passed" : "failed"]++;
      if (!passed) failures.push(`${titleOf(test)}: ${test.result?.errors?.[0]?.message ?? "did not run"}`);
    }
  }
  return { ...count, failures };
}

/** Runs test files, given as [name, import]; the last line of stdout is the counts and the failures as JSON. */
export async function run(entries) {
  const modules = new Map(entries);
  const runner = {
    config,
    importFile: (name) => modules.get(name)(),
    onAfterRunTask: (test) => process.stderr.write(test.result?.state === "pass" ? "." : "F"),
  };
  const files = await startTests(
    entries.map(([filepath]) => ({ filepath })),
    runner,
  );
  process.stderr.write("\n");
  const result = report(files);
  console.log(JSON.stringify(result));
  process.exitCode = result.failed > 0 || result.passed === 0 ? 1 : 0;
}
