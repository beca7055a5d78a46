import { expect, test } from "vitest";
import { PiPhiError } from "../../runtime/errors.ts";
import { columns, formatBytes, formatMs, formatSpeed } from "../../tools/output.ts";
import { loadingBar } from "../../tools/progress.ts";
import { piphi } from "./fake.ts";

/** Speeds and engine differ between machines that run this. */
const steady = (text: string) => text.replace(/node v\S+ \(V8 [^)]+\)/, "node vN (V8 N)");

test("show", async () => {
  const { code, stdout, call } = await piphi(["show"]);
  expect(code).toBe(0);
  expect(call("inspect")?.input).toBe("/models/home.gguf");
  expect(call("load")).toBeUndefined();
  expect(stdout).toMatchSnapshot();
  expect((await piphi(["show", "--tensors"])).stdout).toMatchSnapshot();
  expect((await piphi(["show", "a.gguf"])).call("inspect")?.input).toBe("a.gguf");
  expect((await piphi(["show", "a.gguf", "b.gguf"])).code).toBe(2);
});

test("show --json is the inspection", async () => {
  const document = JSON.parse((await piphi(["show", "--json"])).stdout);
  expect(Object.keys(document)).toEqual([
    "name",
    "path",
    "architecture",
    "quantization",
    "parameters",
    "fileBytes",
    "config",
    "tensors",
    "vocabulary",
    "promptFormat",
    "prompt",
    "shards",
  ]);
});

test("tokenize", async () => {
  const { stdout, call } = await piphi(["tokenize", 'a"\n\u007f']);
  expect(stdout).toBe('0\t"a"\n1\t"\\""\n2\t"\\n"\n3\t"\\u007f"\n');
  expect(call("tokenize")?.options.model).toBeUndefined();
  const json = await piphi(["tokenize", "a.gguf", "hi", "--json"]);
  expect(JSON.parse(json.stdout)).toEqual({ ids: [0, 1], pieces: ["h", "i"] });
  expect(json.call("tokenize")?.options.model).toBe("a.gguf");
  expect((await piphi(["tokenize", "--model", "phi-2", "hi"])).call("tokenize")?.options.model).toBe("phi-2");
});

test("tokenize keeps the last line break of standard input", async () => {
  expect((await piphi(["tokenize"], { stdin: "hé\n" })).call("tokenize")?.input).toBe("hé\n");
});

test("score", async () => {
  const text = await piphi(["score", "turn on"]);
  expect(text.call("score")).toMatchObject({ input: "turn on", options: { top: 5 } });
  expect(text.stdout).toMatchSnapshot();
  const ids = await piphi(["score", "a.gguf", "--ids", "1, 2,3", "--top", "1", "--json"]);
  expect(ids.call("load")?.input).toBe("a.gguf");
  expect(ids.call("score")).toMatchObject({ input: [1, 2, 3], options: { top: 1 } });
  const position = (id: number) => ({ id, top: [[5, -0.25]] });
  expect(JSON.parse(ids.stdout)).toMatchObject({ model: "home", ids: [1, 2, 3], positions: [1, 2, 3].map(position) });
});

test("bench measures each round on a prompt of its own, after a warm-up", async () => {
  const { code, stdout, calls } = await piphi([
    "bench",
    "-p",
    "6",
    "-n",
    "4",
    "--repeat",
    "3",
    "--threads",
    "2",
    "--json",
  ]);
  expect(code).toBe(0);
  const rounds = calls.filter(({ method }) => method === "generate");
  const rest = [237, 274, 311, 348, 385];
  expect(rounds.map(({ input }) => input)).toEqual([200, 201, 202, 203].map((first) => [first, ...rest]));
  for (const { options } of rounds) expect(options).toMatchObject({ maxTokens: 4, ignoreEos: true });
  expect(JSON.parse(stdout)).toEqual({
    model: "home",
    kernel: "relaxed",
    threads: 2,
    engine: expect.stringMatching(/^node v\d+\.\S+ \(V8 \S+\)$/),
    repeat: 3,
    depth: 0,
    prefill: { tokens: 6, tokensPerSecond: { min: 100, median: 200, max: 300 } },
    bandwidth: { gigabytesPerSecond: 40, share: 0.25 },
    decode: {
      tokens: 4,
      tokensPerSecond: { min: 10, median: 20, max: 30 },
      bytesPerToken: 500_000_000,
      gigabytesPerSecond: 10,
    },
    memory: { peakRssBytes: 81_200_000, mode: "mapped", pinnedBytes: 1_234_567, streamedBytesPerToken: 0 },
  });
});

test("bench for people", async () => {
  expect(steady((await piphi(["bench"])).stdout)).toMatchSnapshot();
});

test("Ctrl-C ends the answers side by side, too", async () => {
  const interrupt = new AbortController();
  const onTogether = () => interrupt.abort();
  const { code, stdout, calls } = await piphi(["bench", "--parallel", "2"], { interrupt, onTogether });
  expect({ code, stdout }).toEqual({ code: 130, stdout: "" });
  expect(calls.filter(({ method }) => method === "generateAll")).toHaveLength(1);
});

test("bench keeps ids below the vocabulary", async () => {
  const { calls } = await piphi(["bench", "-p", "200", "-n", "2", "--repeat", "1"]);
  const ids = calls.flatMap(({ method, input }) => (method === "generate" ? (input as number[]) : []));
  expect(ids).toHaveLength(400);
  expect(Math.max(...ids)).toBeLessThan(512);
});

test("bench and the context", async () => {
  const defaults = await piphi(["bench", "--json"], { contextLength: 40 });
  expect(JSON.parse(defaults.stdout)).toMatchObject({ prefill: { tokens: 20 }, decode: { tokens: 20 } });
  const tooLong = await piphi(["bench", "-p", "250", "-n", "7"]);
  expect(tooLong).toMatchObject({ code: 1, stdout: "" });
  expect(tooLong.stderr).toContain("-p 250 and -n 7 do not fit into the context of 256 tokens");
  expect((await piphi(["bench", "-p", "250", "-n", "6"])).code).toBe(0);
  const tooDeep = await piphi(["bench", "-d", "240", "-p", "10", "-n", "7"]);
  expect(tooDeep.stderr).toContain("-d 240, -p 10 and -n 7 do not fit into the context of 256 tokens");
  // One token would be none to time.
  expect((await piphi(["bench", "-d", "254"])).stderr).toContain("-d 254, -p 1 and -n 2 do not fit");
});

test("bench at a depth changes only what follows it from round to round", async () => {
  const args = ["bench", "-d", "3", "-p", "2", "-n", "2", "--repeat", "2"];
  const { code, stdout, calls } = await piphi([...args, "--json"], { reusesPrefix: true });
  expect(code).toBe(0);
  const prompts = calls.filter(({ method }) => method === "generate").map(({ input }) => input);
  expect(prompts).toEqual([200, 201, 202].map((first) => [200, 237, 274, first, 348]));
  expect(JSON.parse(stdout)).toMatchObject({ depth: 3, prefill: { tokens: 2 }, decode: { tokens: 2 } });
  expect((await piphi(args, { reusesPrefix: true })).stdout).toMatch(/^ +depth +3 tokens in the context/m);
  expect((await piphi(args)).stderr).toContain("took 0 of its prompt from the cache");
});

test("bench refuses to measure a cached prompt, and to report a cancelled round", async () => {
  expect((await piphi(["bench"], { cachedTokens: 1 })).stderr).toContain("took 1 of its prompt from the cache");
  const interrupt = new AbortController();
  const onDelta = () => interrupt.abort();
  expect(await piphi(["bench"], { interrupt, onDelta })).toMatchObject({ code: 130, stdout: "", stderr: "" });
  const json = await piphi(["bench", "--json"], { interrupt: new AbortController(), answerError: cancelled });
  expect(JSON.parse(json.stdout).error.code).toBe("E_CANCELLED");
});
const cancelled = new PiPhiError("E_CANCELLED", "The request was cancelled. Send it again if you still need it.");

test("doctor", async () => {
  expect((await piphi(["doctor"])).stdout).toMatchSnapshot();
  const { checks, kernels } = JSON.parse((await piphi(["doctor", "--json"])).stdout);
  expect(checks[1]).toEqual({ name: "swap", ok: false, value: "0 B", advice: "add 2 GB of swap" });
  expect(kernels[0]).toEqual({ name: "simd", ok: true, gigabytesPerSecond: 9.74 });
});

test("units", () => {
  const bytes = [0, 999, 1000, 1_602_000_000, 16_020_000_000, 999_999, 5e15].map(formatBytes);
  expect(bytes).toEqual(["0 B", "999 B", "1.00 kB", "1.60 GB", "16.0 GB", "1000 kB", "5000 TB"]);
  expect([312.34, 9.876, 0.04321, 0.912].map(formatSpeed)).toEqual(["312.3", "9.88", "0.043", "0.91"]);
  expect([0, 9.96, 34.4, 999, 1500].map(formatMs)).toEqual(["0.0 ms", "10.0 ms", "34 ms", "999 ms", "1.50 s"]);
});

test("columns ignore the width of colours", () => {
  expect(
    columns([
      ["\u001b[1ma\u001b[22m", "b"],
      ["ccc", "d"],
    ]),
  ).toBe("  \u001b[1ma\u001b[22m    b\n  ccc  d\n");
});

test("the bar waits, redraws seldom, and stays within its width", () => {
  const shown: string[] = [];
  let nowMs = 0;
  const bar = loadingBar({ show: (text) => shown.push(text), clear: () => undefined }, () => nowMs);
  const at = (ms: number, loadedBytes: number) => {
    nowMs = ms;
    bar({ phase: "weights", loadedBytes, totalBytes: 1_600_000_000 });
  };
  at(0, 0);
  at(299, 1);
  expect(shown).toEqual([]);
  at(300, 720_000_000);
  at(350, 800_000_000);
  at(400, 1_600_000_001);
  expect(shown).toEqual([
    "Loading  ###########-------------   45 %  720 MB of 1.60 GB",
    "Loading  ########################  100 %  1.60 GB of 1.60 GB",
  ]);
});

test("a slow load shows its bar on a terminal only, and takes it away", async () => {
  const duringLoad = async ({ onProgress }: { onProgress?: (progress: never) => void }) => {
    await new Promise((resolve) => setTimeout(resolve, 310));
    onProgress?.({ phase: "weights", loadedBytes: 1, totalBytes: 2 } as never);
  };
  const terminal = await piphi(["run", "hi"], { tty: true, duringLoad });
  expect(terminal.stderr).toBe("\r\u001b[2KLoading  ############------------   50 %  1 B of 2 B\r\u001b[2K");
  expect((await piphi(["run", "hi"], { duringLoad })).stderr).toBe("");
});
