/** The installed command as a process: exit codes, streams and signals, with files as bad as users have them. */

import { execFile, execFileSync, spawn } from "node:child_process";
import { readFileSync, symlinkSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { writeGguf } from "../fixtures/gguf-writer.ts";
import { randomModel, randomModelParts, writeShards } from "../fixtures/random-model.ts";
import { temporaryFile, temporaryPath } from "../fixtures/temporary.ts";

const CLI = fileURLToPath(new URL("../../dist/tools/cli.js", import.meta.url));

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

function piphi(args: string[], stdin = ""): Promise<Outcome> {
  return new Promise((resolve) => {
    const options = { env: process.env, maxBuffer: 1 << 26 };
    const child = execFile(process.execPath, [CLI, ...args], options, (_, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr });
    });
    child.stdin!.end(stdin);
  });
}

const good = randomModel({ seed: 5, contextLength: 64 });

function namedPipe(): string {
  const path = temporaryPath("pipe.gguf");
  execFileSync("mkfifo", [path]);
  return path;
}

/** The good model with the bytes of one tensor replaced. */
function withTensor(name: string, change: (data: Uint8Array) => void): Uint8Array {
  const parts = randomModelParts({ seed: 5, type: "Q8_0" });
  change(parts.tensors.find((tensor) => tensor.name === name)!.data);
  return writeGguf(parts);
}

describe("bad model files: one line, a code, exit 1", () => {
  const cases: [string, string, () => string][] = [
    ["missing", "E_NOT_FOUND", () => temporaryPath("missing.gguf")],
    ["a folder", "E_FILE_READ", () => temporaryPath(".")],
    ["a pipe that nobody writes to", "E_FILE_READ", namedPipe],
    ["empty", "E_NOT_GGUF", () => temporaryFile("empty.gguf", "")],
    ["a web page", "E_NOT_GGUF", () => temporaryFile("page.gguf", "<!doctype html><title>Sign in</title>")],
    ["cut in the header", "E_FILE_TRUNCATED", () => temporaryFile("cut1.gguf", good.slice(0, 1000))],
    ["cut in the weights", "E_FILE_TRUNCATED", () => temporaryFile("cut2.gguf", good.slice(0, good.length - 5000))],
    ["one shard of two", "E_NOT_FOUND", () => temporaryFile("lone-00001-of-00002.gguf", shard())],
    [
      "NaN in the weights",
      "E_TENSOR_VALUES",
      () => temporaryFile("nan.gguf", withTensor("blk.1.ffn_up.weight", nanScale)),
    ],
    [
      "NaN in a norm",
      "E_TENSOR_VALUES",
      () => temporaryFile("nan2.gguf", withTensor("blk.0.attn_norm.weight", nanFloat)),
    ],
    [
      "NaN in the embedding",
      "E_TENSOR_VALUES",
      () => temporaryFile("nan3.gguf", withTensor("token_embd.weight", nanScales)),
    ],
  ];
  const shard = () => writeShards(randomModelParts({ seed: 5 }), 2)[0];
  const nanScale = (data: Uint8Array) => data.set([0x00, 0x7e], 34 * 7);
  const nanScales = (data: Uint8Array) => {
    for (let i = 0; i < data.length; i += 34) data.set([0x00, 0x7e], i);
  };
  const nanFloat = (data: Uint8Array) => data.set([0, 0, 0xc0, 0x7f], 4);

  test.each(cases)("%s: %s", async (_, code, file) => {
    const model = file();
    const { stdout, ...rest } = await piphi(["run", model, "-p", "hello", "-n", "4", "--json"]);
    expect(JSON.parse(stdout).error).toMatchObject({ code });
    expect(rest.code).toBe(1);
    const human = await piphi(["run", model, "-p", "hello", "-n", "4"]);
    expect(human).toMatchObject({ code: 1, stdout: "" });
    expect(human.stderr).not.toMatch(/^\s+at /m);
  });

  test("a context, memory and prompt that do not fit", async () => {
    const model = temporaryFile("good.gguf", good);
    const code = async (...args: string[]) => {
      const { stdout } = await piphi(["run", model, "--json", ...args]);
      return JSON.parse(stdout).error.code;
    };
    expect(await code("-p", "x", "--ctx", "4096")).toBe("E_CONTEXT");
    expect(await code("-p", "x", "--ram", "1M")).toBe("E_MEMORY");
    expect(await code("-p", "word ".repeat(200))).toBe("E_PROMPT_TOO_LONG");
  });
});

describe("packing refuses before it begins, and leaves everything as it was", () => {
  const model = () => temporaryFile("model.gguf", good);

  test("a pack in the place of its own model, by whatever name", async () => {
    const file = model();
    const link = temporaryPath("link.gguf");
    symlinkSync(file, link);
    for (const output of [file, link]) {
      const { code, stderr } = await piphi(["pack", file, output]);
      expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining("Give the pack another name.") });
    }
    expect(readFileSync(file)).toEqual(Buffer.from(good));
  });

  test.each<[string, () => string, string]>([
    ["a folder", () => temporaryPath("."), "(EISDIR: is a directory). There is a folder of that name"],
    ["in no folder", () => temporaryPath("none/x.gguf"), "(ENOENT: no such file or directory). The folder does not"],
  ])("%s: a message without the name of a temporary file", async (_, output, message) => {
    const { code, stderr } = await piphi(["pack", model(), output()]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining(message) });
    expect(stderr).not.toContain(".part");
  });

  test("a model that is not there, a pack, and what is none", async () => {
    const file = model();
    const missing = await piphi(["pack", temporaryPath("nothing.gguf"), temporaryPath("out.gguf")]);
    expect(missing.stderr).toMatch(/nothing.gguf. Check the path. \[E_NOT_FOUND\]/);
    const pack = temporaryPath("model.pack.gguf");
    expect((await piphi(["pack", file, pack])).code).toBe(0);
    expect((await piphi(["pack", pack, temporaryPath("again.gguf")])).stderr).toContain(`${pack} is a pack already`);
    expect((await piphi(["pack", "--check", file])).stderr).toContain(
      "is not a pack, and only packs have checksums. Make one",
    );
    const cut = temporaryFile("cut.pack.gguf", readFileSync(pack).subarray(0, 300_000));
    expect((await piphi(["pack", "--check", cut])).stderr).toMatch(
      /incomplete.*Pack the model again.*E_FILE_TRUNCATED/,
    );
  });
});

describe("usage: exit 2", () => {
  test.each([
    [["run", "--tempp", "1"], "--temp"],
    [["rum", "x"], "run"],
    [["run", "-p", "x", "--temp", "hot"], "temp"],
    [["run", "-p", "x", "-n"], "-n"],
  ])("%j", async (args, hint) => {
    const { code, stdout, stderr } = await piphi(args);
    expect(code).toBe(2);
    expect(stdout).toBe("");
    expect(stderr).toContain(hint);
  });
});

describe("streams and signals", () => {
  const endless = () => temporaryFile("endless.gguf", randomModel({ seed: 9, contextLength: 2048, layers: 8 }));

  test("a reader that leaves early ends the command quietly", async () => {
    const child = spawn(process.execPath, [CLI, "run", endless(), "-p", "hello", "--raw", "--temp", "2"]);
    let stderr = "";
    child.stderr.on("data", (data) => (stderr += data));
    child.stdout.once("data", () => child.stdout.destroy());
    const code = await new Promise((resolve) => child.once("close", resolve));
    expect(code).toBe(0);
    expect(stderr).toBe("");
  });

  test("Ctrl-C ends a generation with what there is", async () => {
    const args = ["run", endless(), "-p", "hello", "--raw", "--stats"];
    const child = spawn(process.execPath, [CLI, ...args]);
    let stderr = "";
    child.stderr.on("data", (data) => (stderr += data));
    child.stdout.once("data", () => child.kill("SIGINT"));
    const code = await new Promise((resolve) => child.once("close", resolve));
    expect(code).toBe(130);
    expect(stderr).toContain("cancelled");
  });

  test("the README's first command", async () => {
    const { code, stdout, stderr } = await piphi(["run", "turn on the kitchen lights"]);
    expect(stdout).toBe('{"intent":"HassTurnOn","area":"kitchen","domain":"light"}\n');
    expect(stderr).toBe("");
    expect(code).toBe(0);
  });
});

describe("a conversation over several processes", () => {
  test("says what it says in one, past the end of the context too", async () => {
    const model = temporaryFile("talk.gguf", randomModel({ seed: 4, contextLength: 128, peaked: 5 }));
    const turns = ["the light", "and the light", "is it so", "the end"].map((line) => `${line}\n`);
    const args = ["chat", model, "-n", "70"];
    const whole = await piphi(args, turns.join(""));
    // Each answer ends where -n cuts it, which it says.
    expect(whole).toMatchObject({ code: 0, stderr: expect.stringMatching(/^(note: the answer was cut [^\n]+\n){4}$/) });
    const file = temporaryPath("talk.piphi");
    let said = "";
    for (const turn of turns) {
      const { code, stdout, stderr } = await piphi([...args, "--session", file], turn);
      expect(code, stderr).toBe(0);
      said += stdout;
    }
    expect(said).toBe(whole.stdout);
    const stats = await piphi([...args, "--session", file], "more\n/stats\n");
    expect(stats.stderr).toMatch(/left the context/);
    const refused = await piphi([...args, "--session", file, "--kv", "f16"], "more\n");
    expect(refused).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("E_SESSION_KV") });
  });

  test.skipIf(process.platform === "win32").each([
    ["SIGTERM", 143],
    ["SIGHUP", 129],
    ["SIGINT", 130],
  ] as const)("is saved where %s ends it", async (signal, code) => {
    const file = temporaryPath(`${signal}.piphi`);
    const child = spawn(process.execPath, [CLI, "chat", "--session", file]);
    child.stdin.write("turn on the kitchen lights\n");
    // Standard input stays open: the signal comes while the next line is waited for.
    child.stdout.once("data", () => setTimeout(() => child.kill(signal), 300));
    expect(await new Promise((resolve) => child.once("close", resolve))).toBe(code);
    const exported = temporaryPath(`${signal}.json`);
    const again = await piphi(["chat", "--session", file], `/export ${exported}\n`);
    expect(again).toMatchObject({ code: 0 });
    const { messages } = JSON.parse(readFileSync(exported, "utf8"));
    expect(messages).toEqual([
      { role: "user", content: "turn on the kitchen lights" },
      { role: "assistant", content: expect.stringContaining("HassTurnOn") },
    ]);
  });
});
