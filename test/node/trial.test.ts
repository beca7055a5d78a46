/** What PiPhi does where an engine, a limit or a permission stands in its way. */

import { execFile } from "node:child_process";
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, it, test } from "vitest";
import { explainMemory, threadsWithin } from "../../devices/node/address-space.ts";
import { engineFlags } from "../../devices/node/engine-flags.ts";
import { hostName } from "../../devices/node/host.ts";
import { settleEngineFlags, tryFlags } from "../../devices/node/trial.ts";
import { fakeTree } from "../fixtures/fake-tree.ts";
import { temporaryFile, temporaryPath } from "../fixtures/temporary.ts";

const CLI = fileURLToPath(new URL("../../dist/tools/cli.js", import.meta.url));
const COMMAND = "turn on the kitchen lights";
const INTENT = '{"intent":"HassTurnOn","area":"kitchen","domain":"light"}';

/** stdout and stderr of `piphi run`, as a shell starts it. */
function run(before: string, options: string[] = []): Promise<string> {
  const line = [before, `"${process.execPath}"`, ...options, `"${CLI}"`, "run", `"${COMMAND}"`].join(" ");
  const env = { ...process.env, PIPHI_HOME: temporaryPath("run-store") };
  return new Promise((resolve) => {
    execFile("sh", ["-c", line], { env }, (_, stdout, stderr) => resolve(stdout + stderr));
  });
}

describe("a trial", () => {
  const store = process.env.PIPHI_HOME;
  afterEach(() => {
    process.env.PIPHI_HOME = store;
  });

  it("survives with this engine's flags", async () => {
    expect(engineFlags("fast")).toContain("--no-liftoff");
    expect(await tryFlags("fast")).toBe("survived");
  });

  it("tells a dead process from one that failed", async () => {
    const abort = temporaryFile("abort.cjs", "process.abort();");
    expect(await tryFlags("fast", abort)).toMatchObject({ death: expect.stringMatching(/SIGABRT|SIGTRAP|exit/) });
    expect(await tryFlags("fast", temporaryFile("fail.cjs", "process.exit(1);"))).toBe("unknown");
    expect(await tryFlags("fast", temporaryFile("kill.cjs", "process.kill(process.pid, 'SIGKILL');"))).toBe("unknown");
  });

  it("falls back to the flags that survive, and remembers them", async () => {
    process.env.PIPHI_HOME = temporaryPath("trial-store");
    const picky = temporaryFile("picky.cjs", "if (process.argv[2] === 'fast') process.abort();");
    const first = await settleEngineFlags(false, picky);
    expect(first).toMatchObject({ set: "safe", outcomes: [{ death: expect.any(String) }, "survived"] });
    expect(readdirSync(temporaryPath("trial-store/engines"))).toHaveLength(1);
    expect(await settleEngineFlags(false, "not needed")).toEqual({ set: "safe", outcomes: [] });
    const anew = await settleEngineFlags(true, temporaryFile("fine.cjs", ""));
    expect(anew).toEqual({ set: "fast", outcomes: ["survived"] });
  });

  it("is an error where no flags survive", async () => {
    process.env.PIPHI_HOME = temporaryPath("no-store");
    const abort = temporaryFile("always.cjs", "process.abort();");
    await expect(settleEngineFlags(true, abort)).rejects.toMatchObject({ code: "E_ENGINE" });
  });
});

test("Node 26 and what follows get no flags that V8 dies of", () => {
  const flags = engineFlags("fast");
  const major = Number.parseInt(process.versions.v8, 10);
  expect(flags.includes("--no-wasm-deopt")).toBe(major >= 14);
  expect(engineFlags("safe")).toEqual([]);
  expect(hostName()).toBe(`node ${process.version} (V8 ${process.versions.v8})`);
});

describe.skipIf(process.platform !== "linux")("a limit of address space", () => {
  const limits = (gib: number, cmdline = "node") => {
    return fakeTree({
      "/proc/self/limits": `Max address space         ${gib * 2 ** 30}   unlimited  bytes\n`,
      "/proc/self/cmdline": cmdline,
    });
  };

  it("leaves room for one thread, for more, or for as many as there are without guards", () => {
    expect([3, 12, 14, 20].map((gib) => threadsWithin(limits(gib)))).toEqual([1, 1, 2, 5]);
    expect(threadsWithin(limits(3, "node --disable-wasm-trap-handler"))).toBe(Number.POSITIVE_INFINITY);
    expect(threadsWithin(fakeTree({}))).toBe(Number.POSITIVE_INFINITY);
  });

  it("is named where memory was refused for it", () => {
    const refused = { code: "E_MEMORY" as const, message: "Refused.", details: { refusedBytes: 1 } };
    expect(explainMemory(refused, limits(3)).message).toContain("--disable-wasm-trap-handler");
    expect(explainMemory(refused, fakeTree({})).message).toBe("Refused.");
    expect(explainMemory({ ...refused, details: {} }, limits(3)).message).toBe("Refused.");
  });

  it("is answered in: with the option, or from 12 GiB with one thread", async () => {
    // Node 24 checks accesses itself where guards find no room.
    const answer = await run("ulimit -v 4194304;");
    if (Number.parseInt(process.versions.node, 10) >= 24) expect(answer).toContain(INTENT);
    else expect(answer).toContain("--disable-wasm-trap-handler");
    expect(await run("ulimit -v 4194304;", ["--disable-wasm-trap-handler"])).toContain(INTENT);
    expect(await run("ulimit -v 13631488;")).toContain(INTENT);
  });
});

test("an engine without WebAssembly or SIMD says which it lacks", async () => {
  expect(await run("", ["--jitless"])).toContain("WebAssembly turned off");
  if (process.arch === "x64") expect(await run("", ["--no-enable-sse4-1"])).toContain("no WebAssembly SIMD");
});

test("a permission that is missing is named", async () => {
  const model = Number(process.versions.node.split(".")[0]) >= 24 ? "--permission" : "--experimental-permission";
  expect(await run("", [model, "--allow-fs-read=*"])).toContain("--allow-worker");
  expect(await run("", [model, "--allow-fs-read=*", "--allow-worker"])).toContain(INTENT);
});
