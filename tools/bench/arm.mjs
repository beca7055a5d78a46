/**
 * The kernels on ARM without a board: an arm64 Node under qemu, as a Pi 4 (no DotProd) and as a Pi 5 (DotProd).
 *
 *   node tools/bench/arm.mjs [--folder FOLDER] [--cpu NAME …]
 *
 * On each CPU: the tests of the kernels, the same files that `npm test` runs, which hold every build and dot form
 * against its scalar reference bit for bit; the self-test that PiPhi makes at start; and answers of the embedded model,
 * whose tokens must be those of this machine. Emulation proves results, not speed: npm run bench:code predicts that.
 * stdout has a line for each check and a summary; exit code 0 if all passed, 1 if not, 2 if something is not installed.
 */

import { execFile, spawn } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { bundleTests } from "./arm/bundle.mjs";
import { CPUS, cacheFolder, MissingError, prepareArm } from "./arm/emulator.mjs";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const CLI = path.join(ROOT, "dist/tools/cli.js");
const TESTS = [
  "test/kernels/matmul.test.ts",
  "test/kernels/pointwise.test.ts",
  "test/kernels/attention.test.ts",
  "test/kernels/roll.test.ts",
  "test/compute/kernels.test.ts",
];
const PROMPT = "turn on the kitchen lights";
const BUILDS = ["relaxed", "simd"];
const TIMEOUT_MS = 30 * 60 * 1000;

/** What a program prints as its last line, as JSON; its progress goes to stderr. */
function runJson([program, ...args]) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"], timeout: TIMEOUT_MS });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (chunk) => (text += chunk));
    child.once("error", reject);
    child.once("close", (code, signal) => {
      try {
        resolve(JSON.parse(text.trim().split("\n").at(-1)));
      } catch {
        reject(new Error(`it ended with ${signal ?? code} and printed no result`));
      }
    });
  });
}

/** The tests, as { passed, failed, failures }. */
async function checkTests(node, bundle) {
  const { passed, failed, failures } = await runJson([...node, bundle]);
  const reasons = passed === 0 ? [...failures, "no test ran"] : failures;
  return { ok: failed === 0 && passed > 0, text: `${passed} tests of the kernels passed, ${failed} failed`, reasons };
}

/** The self-test of every build and form. */
async function checkSelfTest(node) {
  const { kernels } = await runJson([...node, CLI, "doctor", "--json"]);
  const reasons = kernels.filter(({ ok }) => !ok).map(({ name, reason }) => `${name}: ${reason}`);
  const names = kernels.map(({ name, ok }) => `${name} ${ok ? "ok" : "FAILED"}`);
  return { ok: reasons.length === 0 && kernels.length === 3, text: `self-test: ${names.join(", ")}`, reasons };
}

async function answer(node, build) {
  const { text, tokens, kernel } = await runJson([...node, CLI, "run", PROMPT, "--kernel", build, "--json"]);
  return { text, tokens: tokens.join(" "), kernel };
}

async function checkAnswer(node, build, expected) {
  const actual = await answer(node, build);
  const ok = actual.tokens === expected.tokens && actual.text === expected.text;
  const reasons = ok ? [] : [`wanted ${expected.text} (${expected.tokens})`, `got ${actual.text} (${actual.tokens})`];
  return { ok, text: `"${PROMPT}" by ${actual.kernel}: ${ok ? "the same" : "another"} answer`, reasons };
}

function parse(args) {
  const { values } = parseArgs({
    args,
    options: {
      folder: { type: "string", default: cacheFolder() },
      cpu: { type: "string", multiple: true, default: Object.keys(CPUS) },
    },
  });
  return { folder: path.resolve(values.folder), cpus: values.cpu };
}

async function main() {
  const { folder, cpus } = parse(process.argv.slice(2));
  const arm = prepareArm(folder);
  await promisify(execFile)(process.execPath, [path.join(ROOT, "tools/build.mjs")]);
  const bundle = path.join(fs.mkdtempSync(path.join(folder, "tests-")), "tests.mjs");
  const count = { passed: 0, failed: 0 };
  try {
    await bundleTests(TESTS, bundle);
    const expected = await answer([process.execPath], "relaxed");
    console.log(arm.description);
    for (const cpu of cpus) {
      console.log(`\n${cpu}${CPUS[cpu] ? ` (${CPUS[cpu]})` : ""}`);
      const node = arm.command(cpu);
      const checks = [
        () => checkSelfTest(node),
        ...BUILDS.map((build) => () => checkAnswer(node, build, expected)),
        () => checkTests(node, bundle),
      ];
      for (const check of checks) {
        const { ok, text, reasons } = await check().catch(({ message }) => ({ ok: false, text: message, reasons: [] }));
        count[ok ? "passed" : "failed"]++;
        console.log(`  ${ok ? "ok    " : "FAILED"}  ${text}`);
        for (const reason of reasons) console.log(`          ${reason}`);
      }
    }
  } finally {
    fs.rmSync(path.dirname(bundle), { recursive: true, force: true });
  }
  console.log(`\nARM: ${count.passed} checks passed, ${count.failed} failed on ${cpus.join(", ")}.`);
  return count.failed === 0 ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof MissingError ? error.message : error);
  process.exitCode = error instanceof MissingError ? 2 : 1;
}
