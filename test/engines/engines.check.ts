/** The commands, the library and the kernels on one engine after the other: each gives what the first one gives. */

import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "vitest";
import { randomModel } from "../fixtures/random-model.ts";
import { temporaryFile, temporaryPath } from "../fixtures/temporary.ts";
import { installedEngines, type Named } from "./installed.ts";

const CLI = fileURLToPath(new URL("../../dist/tools/cli.js", import.meta.url));
const PACKAGE = fileURLToPath(new URL("../../", import.meta.url));
const COMMAND = "turn on the kitchen lights";
const INTENT = '{"intent":"HassTurnOn","area":"kitchen","domain":"light"}';
const ANSWER = ["-p", "the light", "--raw", "-n", "12", "--json", "--threads", "2"];

const { PIPHI_ENGINES } = process.env;

/** This process's own engine first: the others are compared with it. */
const engines: Named[] = [
  { name: "own", command: [process.execPath] },
  ...(PIPHI_ENGINES === undefined ? installedEngines() : named(PIPHI_ENGINES)),
];

/** "Name=command" in lines. */
function named(lines: string): Named[] {
  return lines
    .split("\n")
    .filter(Boolean)
    .map((line) => {
      const [name, command] = line.split("=", 2);
      return { name, command: command.split(" ") };
    });
}

/** Loads a pack as it likes, and in the least memory in which it runs. */
const LIBRARY_SCRIPT = `
import { estimate, load } from "piphi";
const pack = process.argv[2];
const leastRam = async () => {
  for (let mib = 64; ; mib += 2) {
    const phi = await load(pack, { threads: 2, ram: mib + "M" }).catch((error) => {
      if (error.code !== "E_MEMORY") throw error;
    });
    if (phi) return phi;
  }
};
const texts = [];
const modes = [];
for (const loaded of [() => load(pack, { threads: 2 }), leastRam]) {
  const phi = await loaded();
  const { text } = await phi.generate("the light", { maxTokens: 12, ignoreEos: true });
  texts.push(text);
  modes.push(phi.info.memory.mode);
  await phi.close();
}
const { fits } = await estimate(pack);
console.log(JSON.stringify({ texts, modes, fits }));
`;

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs a script; rejects nothing: a death of the engine is a code, too. */
function start(command: readonly string[], args: readonly string[], stdin = ""): Promise<Outcome> {
  const [program, ...before] = command;
  const env = { ...process.env, PIPHI_HOME: temporaryPath("engines-store"), NO_COLOR: "1" };
  return new Promise((resolve) => {
    const child = execFile(program, [...before, ...args], { env, maxBuffer: 1 << 26 }, (_, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr });
    });
    child.stdin!.end(stdin);
  });
}

const model = temporaryFile(
  "engines.gguf",
  randomModel({ layers: 24, hiddenSize: 256, contextLength: 128, peaked: 5 }),
);
const pack = temporaryPath("engines.pack.gguf");
/** What the first engine says, by what was asked. */
const first = new Map<string, unknown>();

function expectSame(what: string, value: unknown): void {
  if (!first.has(what)) first.set(what, value);
  expect(value, what).toEqual(first.get(what));
}

/** An app that depends on the package: Deno takes packages only from there. */
const app = temporaryPath("engines-app");

beforeAll(() => {
  mkdirSync(path.join(app, "node_modules"), { recursive: true });
  symlinkSync(PACKAGE, path.join(app, "node_modules", "piphi"), "junction");
  writeFileSync(path.join(app, "package.json"), '{ "type": "module", "dependencies": { "piphi": "*" } }');
  writeFileSync(path.join(app, "library.mjs"), LIBRARY_SCRIPT);
  execFileSync(process.execPath, [CLI, "pack", model, pack]);
});

describe.each(engines)("$name", ({ name, command }) => {
  const piphi = async (args: readonly string[], stdin = "") => {
    const { code, stdout, stderr } = await start(command, [CLI, ...args], stdin);
    expect({ code, stderr: code === 0 ? "" : stderr }, args.join(" ")).toEqual({ code: 0, stderr: "" });
    return stdout;
  };

  it("answers a command, and chats", async () => {
    expect((await piphi(["run", COMMAND])).trim()).toBe(INTENT);
    expect(await piphi(["chat"], `${COMMAND}\n`)).toContain(INTENT);
  });

  it("gives the same tokens resident, mapped, streamed, on one thread, and with exact caches", async () => {
    const cases: [string, string[]][] = [
      ["resident", [model]],
      ["mapped", [pack]],
      ["one thread", [pack, "--threads", "1"]],
      ["simd", [model, "--kernel", "simd"]],
      ["f16", [model, "--kv", "f16"]],
    ];
    for (const [what, options] of cases) {
      const { text, memory } = JSON.parse(await piphi(["run", ...ANSWER, ...options]));
      expectSame(what === "f16" ? "f16" : "int8", text);
      if (what === "resident") expect(memory.mode).toBe("resident");
    }
  });

  it("packs, and says what it plans, scores, counts and shows", async () => {
    const own = temporaryPath(`${name}.pack.gguf`);
    await piphi(["pack", model, own]);
    expectSame("pack", JSON.parse(await piphi(["run", ...ANSWER, own])).text);
    expectSame("plan", JSON.parse(await piphi(["plan", model, "--json", "--ctx", "128"])).bytes.weights);
    const { usage: _, ...scored } = JSON.parse(await piphi(["score", model, "the light", "--json"]));
    expectSame("score", scored); // how long a request waited is each engine's own
    expectSame("tokenize", JSON.parse(await piphi(["tokenize", "the light", "--json"])));
    expectSame("show", JSON.parse(await piphi(["show", model, "--json"])).config);
  });

  it("is examined by the doctor: every build of the kernels is proven, or refused by the engine", async () => {
    const { stdout } = await start(command, [CLI, "doctor", "--json"]);
    const { kernels, checks } = JSON.parse(stdout);
    expect(kernels.find((kernel: { name: string }) => kernel.name === "simd")).toMatchObject({ ok: true });
    const kind = command[0].match(/(bun|deno)$/)?.[0] ?? "node";
    const engine = checks.find((check: { name: string }) => check.name === "engine");
    expect(engine.value.startsWith(kind)).toBe(true);
  });

  it("serves the library, streamed as from memory", async () => {
    const script = path.join(app, "library.mjs");
    const { code, stdout, stderr } = await start(command, [script, pack]);
    expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
    const { texts, modes, fits } = JSON.parse(stdout);
    expect(fits).toBe(true);
    expect(modes[1]).toBe("streamed");
    expect(texts[1]).toBe(texts[0]);
    expectSame("library", texts[0]);
  });
});
