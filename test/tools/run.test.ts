import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { PassThrough, Readable } from "node:stream";
import { afterAll, expect, test } from "vitest";
import { PiPhiError } from "../../runtime/errors.ts";
import { piphi, Screen } from "./fake.ts";

const folder = mkdtempSync(path.join(tmpdir(), "piphi-run-"));
afterAll(() => rmSync(folder, { recursive: true }));

const weights = path.join(folder, "weights");
writeFileSync(weights, "");

const user = (content: string) => [{ role: "user", content }];

test("prints just the answer line, from the embedded model, and closes it", async () => {
  const { code, stdout, stderr, call, calls } = await piphi(["run", "turn on the kitchen lights"]);
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "On.\n", stderr: "" });
  expect(call("load")?.input).toBeUndefined();
  expect(call("chat")?.input).toEqual(user("turn on the kitchen lights"));
  expect(calls.map(({ method }) => method)).toEqual(["load", "chat", "close"]);
});

test("deltas are written as they come", async () => {
  const stdout = new Screen();
  const seen: string[] = [];
  await piphi(["run", "hi"], { stdout, deltas: ["  ", "\n a", " b", "c"], onDelta: () => void seen.push(stdout.text) });
  expect(seen).toEqual(["", "", "a", "a b"]);
  expect(stdout.text).toBe("a bc\n");
});

test.each([
  ["a line break that is already there is not doubled", ["run", "x"], ["a\n"], "a\n"],
  ["--raw keeps the blanks at the start", ["run", "--raw", "x"], [" a"], " a\n"],
  ["an empty answer prints nothing", ["run", "x"], [], ""],
])("%s", async (_, args, deltas, expected) => {
  expect((await piphi(args, { deltas })).stdout).toBe(expected);
});

test.each([
  [["a.gguf", "why", "so?"], "a.gguf", "why so?"],
  [["A.GGUF", "hi"], "A.GGUF", "hi"],
  [["./models/a", "hi"], "./models/a", "hi"],
  [[weights, "hi"], weights, "hi"],
  [["test"], undefined, "test"],
  [["on/off"], undefined, "on/off"],
  [["philosophy", "in", "short"], undefined, "philosophy in short"],
  [["on / off", "please"], undefined, "on / off please"],
  [["on/off now"], undefined, "on/off now"],
  [["-m", "phi-2", "models/a"], "phi-2", "models/a"],
  [["phi-2", "-p", "hi"], "phi-2", "hi"],
  [["-p", "a.gguf"], undefined, "a.gguf"],
])("%j: which is the model and which the prompt", async (args, model, prompt) => {
  const { call, code } = await piphi(["run", ...args]);
  expect(code).toBe(0);
  expect(call("load")?.input).toBe(model);
  expect(call("chat")?.input).toEqual(user(prompt));
});

test.each([
  [["run"], "good night\r\n", "good night"],
  [["run"], "two\nlines\n\n", "two\nlines\n"],
  [["run", "a.gguf"], "hi", "hi"],
  [["run", "Summarize:", "-"], "a\nb\n", "Summarize:\na\nb"],
  [["run", "-p", "Summarize:", "-"], "a\nb\n", "Summarize:\na\nb"],
  [["run", "hello"], "ignored", "hello"],
])("%j with %j piped in", async (args, stdin, prompt) => {
  expect((await piphi(args, { stdin })).call("chat")?.input).toEqual(user(prompt));
});

test("a pipe that nobody closes does not hold up a prompt that was given", async () => {
  const { code } = await piphi(["run", "hi"], { stdin: new PassThrough() });
  expect(code).toBe(0);
});

test("Ctrl-C while waiting for standard input", async () => {
  const interrupt = new AbortController();
  setTimeout(() => interrupt.abort(), 10);
  const { code, stderr } = await piphi(["run"], { stdin: new PassThrough(), interrupt });
  expect({ code, stderr }).toEqual({ code: 130, stderr: "" });
});

test("standard input without an end is refused", async () => {
  const block = Buffer.alloc(1 << 20, "a");
  const endless = new Readable({
    read() {
      this.push(block);
    },
  });
  const { code, stderr } = await piphi(["run"], { stdin: endless });
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining("E_PROMPT_TOO_LONG") });
});

test("nothing piped in is an empty prompt", async () => {
  expect(await piphi(["run"], { stdin: "\n" })).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("E_PROMPT_EMPTY"),
  });
});

test("every flag reaches the library", async () => {
  const flags =
    "--ctx 128 --threads 3 --ram 1G --kv f16 --dense exact --kernel simd --temp .5 --top-k 7 --top-p 0.9 --min-p 0.1 " +
    "--ctx-overflow roll --repeat-penalty 1.2 --seed 42 --stop a --stop b -n 9";
  const { call } = await piphi(["run", "--raw", ...flags.split(" "), "hi"]);
  const load = { contextLength: 128, threads: 3, ram: "1G", kv: "f16", dense: "exact", kernel: "simd" };
  expect(call("load")?.options).toMatchObject(load);
  expect(call("generate")?.input).toBe("hi");
  expect(call("generate")?.options).toMatchObject({
    maxTokens: 9,
    temperature: 0.5,
    topK: 7,
    topP: 0.9,
    minP: 0.1,
    overflow: "roll",
    repeatPenalty: 1.2,
    seed: 42,
    stop: ["a", "b"],
  });
});

test("without flags the library's defaults hold", async () => {
  const { call } = await piphi(["run", "hi"]);
  const { signal, onProgress, pack, ...load } = call("load")!.options;
  const { signal: _, schema, ...chat } = call("chat")!.options;
  expect(schema).toMatchObject({ anyOf: expect.any(Array) }); // the embedded model's commands
  expect(signal).toBeInstanceOf(AbortSignal);
  expect(onProgress).toBeTypeOf("function");
  expect(pack).toBe(true);
  for (const value of [...Object.values(load), ...Object.values(chat)]) expect(value).toBeUndefined();
  const others = [await piphi(["run", "/models/phi-2.gguf", "hi"]), await piphi(["run", "--raw", "hi"])];
  for (const { calls } of others) {
    for (const { options } of calls) expect(options.schema).toBeUndefined();
  }
  const held = await piphi(["run", "--regex", "a+", "hi"]);
  expect(held.call("chat")!.options).toMatchObject({ regex: "a+", schema: undefined });
});

test("--json prints one document of the promised shape", async () => {
  const { code, stdout, stderr } = await piphi(["run", "--json", "hi"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout.trimEnd().split("\n")).toHaveLength(1);
  expect(JSON.parse(stdout)).toEqual({
    model: "home",
    text: "On.",
    tokens: [100, 101],
    promptTokens: 1,
    cachedTokens: 0,
    generatedTokens: 2,
    usage: { promptTokens: 1, cachedTokens: 0, generatedTokens: 2, queueMs: 0 },
    stopReason: "eos",
    timings: {
      loadMs: 12.3,
      firstTokenMs: 34,
      prefillMs: 34,
      prefillTokensPerSecond: 500,
      decodeMs: 1500,
      decodeTokensPerSecond: 50,
    },
    memory: { peakRssBytes: 81_200_000, mode: "mapped", pinnedBytes: 1_234_567, streamedBytesPerToken: 0 },
    kernel: "relaxed",
    threads: 2,
  });
  expect(JSON.parse((await piphi(["run", "--json", "--raw", "hi"])).stdout).text).toBe(" On.");
});

test("--stats goes to stderr and leaves stdout alone", async () => {
  const { stdout, stderr } = await piphi(["run", "--stats", "hi"]);
  expect(stdout).toBe("On.\n");
  expect(stderr).toMatchSnapshot();
  const json = await piphi(["run", "--stats", "--json", "hi"]);
  expect(JSON.parse(json.stdout).text).toBe("On.");
  expect(json.stderr).toBe(stderr);
});

test("what was given up while running shows in --stats, and the threads that are left in JSON", async () => {
  const pressure = {
    releasedBytes: 120_000_000,
    threads: 1,
    reasons: ["memory was short: 12 MiB left", "cpu is at 85 °C"],
  };
  const { stderr } = await piphi(["run", "--stats", "hi"], { memory: { pressure } });
  expect(stderr).toMatch(
    /gave way +120 MB of weights, 1 of 2 threads now \(memory was short: 12 MiB left; cpu is at 85 °C\)\n/,
  );
  const { stdout } = await piphi(["run", "--json", "hi"], { memory: { pressure } });
  expect(JSON.parse(stdout)).toMatchObject({ threads: 1, memory: { pressure } });
  const resident = { ...pressure, releasedBytes: 0, threads: 2 };
  expect((await piphi(["run", "--stats", "hi"], { memory: { pressure: resident } })).stderr).toMatch(
    /gave way +nothing now \(/,
  );
});

test("Ctrl-C prints what came and exits with 130; with --json the document tells too", async () => {
  const cancelAtSecond = () => {
    const interrupt = new AbortController();
    return { interrupt, onDelta: (index: number) => void (index === 1 && interrupt.abort()) };
  };
  const plain = await piphi(["run", "hi"], cancelAtSecond());
  expect(plain).toMatchObject({ code: 130, stdout: "On\n", stderr: "" });
  expect(plain.calls.at(-1)?.method).toBe("close");

  const json = await piphi(["run", "--json", "hi"], cancelAtSecond());
  expect(json).toMatchObject({ code: 130, stderr: "" });
  expect(JSON.parse(json.stdout)).toMatchObject({ text: "On", stopReason: "cancelled", generatedTokens: 1 });
});

test("Ctrl-C while loading", async () => {
  const interrupt = new AbortController();
  const setting = {
    interrupt,
    duringLoad: () => interrupt.abort(),
    loadError: new PiPhiError("E_CANCELLED", "Loading was cancelled. Load the model again if you still need it."),
  };
  expect(await piphi(["run", "hi"], setting)).toMatchObject({ code: 130, stdout: "", stderr: "" });
});

test("a reader that leaves ends the generation quietly", async () => {
  const stdout = new Screen();
  const deltas = Array<string>(1000).fill("word ");
  let asked = 0;
  const onDelta = async (index: number) => {
    asked = index;
    if (index === 3) stdout.fail = "EPIPE";
    await new Promise((resolve) => setImmediate(resolve));
  };
  const { code, stderr, calls } = await piphi(["run", "hi"], { stdout, deltas, onDelta });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(asked).toBeLessThan(10);
  expect(calls.at(-1)?.method).toBe("close");
});

test("an error in the middle of an answer ends its line and closes the model", async () => {
  const answerError = new PiPhiError("E_NUMERIC", "The computation produced NaN. Check the file.");
  const { code, stdout, stderr, calls } = await piphi(["run", "hi"], { answerError });
  expect({ code, stdout }).toEqual({ code: 1, stdout: "On.\n" });
  expect(stderr).toContain("[E_NUMERIC]");
  expect(calls.at(-1)?.method).toBe("close");
});

test("control characters of a model reach a file but not a terminal", async () => {
  const deltas = ["\u001b]0;x\u0007", "ok\n"];
  expect((await piphi(["run", "hi"], { deltas })).stdout).toBe("\u001b]0;x\u0007ok\n");
  expect((await piphi(["run", "hi"], { deltas, tty: true })).stdout).toBe("\\u001b]0;x\\u0007ok\n");
});

test.each(["phi", "phi-2", "dolphin-phi", "models/phi-2", "Llama-3.2:1b"])(
  "%s is no text: a model that is not there",
  async (name) => {
    const { code, stderr, calls } = await piphi(["run", name, "Why is the sky blue"]);
    expect({ code, calls }).toEqual({ code: 1, calls: [] });
    expect(stderr).toMatch(/There is no model file ".*Give the path of a \.gguf file, or .* -p\. \[E_NOT_FOUND\]/);
  },
);

test.each([
  ["UTF-8 with a mark", Buffer.from("\ufeffgood night\r\n")],
  ["UTF-16, little end first", Buffer.from("\ufeffgood night\r\n", "utf16le")],
  ["UTF-16, big end first", Buffer.from("\ufeffgood night\r\n", "utf16le").swap16()],
])("standard input as %s", async (_, bytes) => {
  const { call } = await piphi(["run"], { stdin: Readable.from([bytes]) });
  expect(call("chat")?.input).toEqual(user("good night"));
});

test("UTF-16 without a mark is refused by name", async () => {
  const { code, stderr } = await piphi(["run"], { stdin: Readable.from([Buffer.from("good", "utf16le")]) });
  expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringMatching(/looks like UTF-16 .* as UTF-8/) });
});

test.each([
  [["-n", "2"], "after 2 tokens: that is what -n allows"],
  [[], "after 2 tokens: the context is full. Give a larger --ctx"],
])("an answer that was cut says so on stderr, with %j", async (flags, message) => {
  const { stdout, stderr, code } = await piphi(["run", ...flags, "hi"], { stopReason: "length" });
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "On.\n", stderr: expect.stringContaining(message) });
});

test("--stop understands escapes", async () => {
  const { call } = await piphi(["run", "--stop", "\\n\\n", "--stop", "a\\\\b", "hi"]);
  expect(call("chat")?.options.stop).toEqual(["\n\n", "a\\b"]);
});

test("prompt formats: a name, a file, and the switches", async () => {
  const file = path.join(folder, "mine.jinja");
  writeFileSync(file, "\ufeff{{ messages }}");
  expect((await piphi(["run", "--template", "chatml", "hi"])).call("load")?.options.template).toBe("chatml");
  expect((await piphi(["run", "--template", file, "hi"])).call("load")?.options.template).toBe("{{ messages }}");
  expect((await piphi(["run", "--template", "./none.jinja", "hi"])).stderr).toContain("of --template cannot be read");
  expect((await piphi(["run", "--no-format-stops", "hi"])).call("chat")?.options.formatStops).toBe(false);
  expect((await piphi(["run", "--raw", "--special", "hi"])).call("generate")?.options.special).toBe(true);
});

test.each([
  ["SIGTERM", 143],
  ["SIGHUP", 129],
])("%s ends the work as Ctrl-C does, with its own exit code", async (signal, code) => {
  const interrupt = new AbortController();
  setTimeout(() => interrupt.abort(signal), 10);
  expect(await piphi(["run"], { stdin: new PassThrough(), interrupt })).toMatchObject({ code, stderr: "" });
});
