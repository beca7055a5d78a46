/** Engines that nobody has tried yet are tried in a process of their own. */

import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { engineFlags, isV8, setting } from "../../devices/node/engine-flags.ts";
import { chooseMode, engineKey, runTrial } from "../../devices/node/engine-trial.ts";
import { temporaryPath } from "../fixtures/temporary.ts";

const known = () => JSON.parse(fs.readFileSync(path.join(process.env.PIPHI_HOME!, "engines.json"), "utf8"));
let stores = 0;
let before: string | undefined;
beforeEach(() => {
  before = process.env.PIPHI_HOME;
  process.env.PIPHI_HOME = temporaryPath(`engines-${++stores}`);
});
afterEach(() => {
  process.env.PIPHI_HOME = before;
});

describe("a mode is chosen by trial", () => {
  it("takes the fastest that goes well, and remembers it", async () => {
    const tried: string[] = [];
    const trial = async (mode: string) => {
      tried.push(mode);
      return mode === "fast" ? "it ended with SIGTRAP" : "";
    };
    expect(await chooseMode(trial)).toBe("plain");
    expect(tried).toEqual(["fast", "plain"]);
    expect(known()).toEqual({ [engineKey()]: "plain" });
    expect(await chooseMode(trial)).toBe("plain");
    expect(tried).toHaveLength(2);
  });

  it("takes the engine as it is where nothing goes well, and asks again next time", async () => {
    expect(await chooseMode(async () => "it ended with 1")).toBe("untouched");
    expect(fs.existsSync(path.join(process.env.PIPHI_HOME!, "engines.json"))).toBe(false);
  });

  it("does without a store", async () => {
    process.env.PIPHI_HOME = "/dev/null/nowhere";
    expect(await chooseMode(async () => "")).toBe("fast");
  });
});

it("really answers in a process of its own, and says how one ended that did not", async () => {
  expect(await runTrial("plain")).toBe("");
  const options = process.env.NODE_OPTIONS;
  process.env.NODE_OPTIONS = "--max-old-space-size=1";
  try {
    expect(await runTrial("plain")).toMatch(/^it ended with /);
  } finally {
    if (options === undefined) delete process.env.NODE_OPTIONS;
    else process.env.NODE_OPTIONS = options;
  }
});

it("sets no flags on engines that are not V8", () => {
  expect(isV8()).toBe(true);
  expect(engineFlags("fast")).toContain("--no-liftoff");
  expect(engineFlags("untouched")).toEqual([]);
});

it("reads the environment where it is allowed to", () => {
  process.env.PIPHI_REVECTORIZE = "0";
  expect(setting("PIPHI_REVECTORIZE")).toBe("0");
  delete process.env.PIPHI_REVECTORIZE;
  expect(setting("PIPHI_REVECTORIZE")).toBeUndefined();
});

const run = promisify(execFile);
const cli = path.resolve("dist/tools/cli.js");
const failure = (flags: string[]) =>
  run(process.execPath, [...flags, cli, "run", "hello"]).then(
    () => "",
    ({ stderr }: { stderr: string }) => stderr,
  );

it("says what is missing where the engine lacks it", async () => {
  expect(await failure(["--jitless"])).toContain("WebAssembly is switched off in this engine");
  const permission = process.allowedNodeEnvironmentFlags.has("--permission")
    ? "--permission"
    : "--experimental-permission";
  expect(await failure([permission, "--allow-fs-read=*"])).toContain("--allow-worker");
});
