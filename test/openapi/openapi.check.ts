/** The server against its own OpenAPI document, by PyPI's schemathesis. */

import { execFileSync, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";
import { httpDoor } from "../../tools/serve/http/door.ts";
import { serve } from "../serve/serving.ts";

const FOLDER = fileURLToPath(new URL("../../.schemathesis/", import.meta.url));
const SCHEMATHESIS = `${FOLDER}venv/bin/schemathesis`;

/** What no schema can say: which areas a house has, how many tokens a model knows, which texts are JSON Schemas. */
const BEYOND_SCHEMAS = "positive_data_acceptance";

function install(): void {
  if (existsSync(SCHEMATHESIS)) return;
  execFileSync("python3", ["-m", "venv", `${FOLDER}venv`]);
  execFileSync(`${FOLDER}venv/bin/pip`, ["install", "--quiet", "schemathesis==4.32.5"]);
}

/** Its report and exit code; the server runs in this process, so that this must not wait for it. */
function run(args: readonly string[]): Promise<{ code: number | null; report: string }> {
  return new Promise((resolve) => {
    const child = spawn(SCHEMATHESIS, ["run", ...args], { cwd: FOLDER, env: { ...process.env, NO_COLOR: "1" } });
    let report = "";
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => (report += data));
    child.on("close", (code) => resolve({ code, report }));
  });
}

it.each([1, 2])("keeps to its document, seed %i", async (seed) => {
  install();
  await using served = await serve(httpDoor, { house: true, settings: { "log-level": "error" } });
  const document = `${served.url}/openapi.json`;
  const amount = ["--max-examples", "25", "--phases", "coverage,fuzzing", "--seed", String(seed)];
  const { code, report } = await run([
    document,
    ...amount,
    "--exclude-checks",
    BEYOND_SCHEMAS,
    "--request-timeout",
    "60",
  ]);
  expect(code, report.slice(-6000)).toBe(0);
  expect(report).toMatch(/Tested: 20/);
  expect(served.logged).toEqual([]);
});
