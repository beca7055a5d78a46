import { expect, test } from "vitest";
import packageJson from "../../package.json" with { type: "json" };
import { COMMANDS } from "../../tools/main.ts";
import { flagLabel } from "../../tools/options.ts";
import { didYouMean } from "../../tools/suggest.ts";
import { notFound, piphi, Screen } from "./fake.ts";

test.each([["--version"], ["-v"], ["version"]])("%s prints the version", async (argument) => {
  expect(await piphi([argument])).toMatchObject({ code: 0, stdout: `${packageJson.version}\n`, stderr: "" });
});

test.each([[[]], [["help"]], [["--help"]], [["-h"]]])("piphi %j lists every command", async (args: string[]) => {
  const { code, stdout, stderr } = await piphi(args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  for (const [name, { summary }] of Object.entries(COMMANDS)) expect(stdout).toMatch(new RegExp(`${name} +${summary}`));
});

test("the commands of this release", () => {
  expect(Object.keys(COMMANDS)).toEqual([
    "run",
    "chat",
    "show",
    "tokenize",
    "score",
    "pack",
    "plan",
    "bench",
    "intent",
    "house",
    "serve",
    "doctor",
  ]);
});

test.each(Object.keys(COMMANDS))("help of %s names each of its flags and has examples", async (name) => {
  const { stdout, code } = await piphi([name, "--help"]);
  expect(code).toBe(0);
  const { options, examples } = await COMMANDS[name].load();
  for (const [flag, option] of Object.entries(options)) {
    expect(stdout).toContain(flagLabel(flag, option));
    expect(stdout).toContain(option.help);
  }
  expect(examples.length).toBeGreaterThan(1);
  for (const [line] of examples) expect(stdout).toContain(line);
  expect(Math.max(...stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(130);
  expect((await piphi(["help", name])).stdout).toBe(stdout);
});

test("the help of a command does not load the library", async () => {
  expect((await piphi(["run", "-h"])).calls).toEqual([]);
});

test("help of bench", async () => {
  expect((await piphi(["bench", "--help"])).stdout).toMatchSnapshot();
});

test.each([
  [["rnu"], 'Unknown command "rnu". Did you mean "run"?'],
  [["tokenise", "x"], 'Did you mean "tokenize"?'],
  [["frobnicate"], '"piphi help" lists the commands.'],
  [["constructor"], 'Unknown command "constructor".'],
  [["--verison"], 'Unknown option "--verison".'],
  [["help", "benhc"], 'Did you mean "bench"?'],
  [["run", "--tmep", "1", "x"], 'Unknown option "--tmep". Did you mean "--temp"?'],
  [["run", "-z", "x"], 'Unknown option "-z". Put -- before text that begins with a dash.'],
  [["run", "--constructor", "x"], 'Unknown option "--constructor".'],
  [["run", "--scheme", "file", "x"], 'Unknown option "--scheme".'],
  [["run", "--temp", "hot", "x"], '--temp must be a number from 0 to 5, not "hot".'],
  [["run", "--temp", "5.1", "x"], "--temp must be a number from 0 to 5"],
  [["run", "--temp", "", "x"], "--temp must be a number"],
  [["run", "--temp", "0x1", "x"], "--temp must be a number"],
  [["run", "-n", "1.5", "x"], "-n, --max-tokens must be a whole number from 1 to 1000000"],
  [["run", "--seed=-1", "x"], "--seed must be a whole number from 0"],
  [["run", "--kv", "f32", "x"], '--kv must be "int8" or "f16", not "f32".'],
  [["run", "--ram", "lots", "x"], "--ram must be a size in bytes or such as 512M or 1G"],
  [["run", "--stop", "", "x"], "--stop must be a text that is not empty"],
  [["run", "--raw=1", "x"], '--raw takes no value. Leave out "1".'],
  [["run", "x", "--seed"], "--seed needs a value: --seed N."],
  [["run", "--seed", "-1", "x"], '--seed must be a whole number from 0 to 4294967295, not "-1".'],
  [["run", "-n", "-1", "x"], '-n, --max-tokens must be a whole number from 1 to 1000000, not "-1".'],
  [["run", "-p", "--raw", "x"], "One that begins with a dash is given as --prompt=VALUE."],
  [["run", "--temperature", "1", "x"], 'Unknown option "--temperature". Did you mean "--temp"?'],
  [["run", "-t", "4", "x"], 'Unknown option "-t". Did you mean "--threads"?'],
  [["run", "-c", "512", "x"], 'Unknown option "-c". Did you mean "--ctx"?'],
  [["run", "--stop", "\\d", "x"], "whose backslashes begin \\n, \\r, \\t or \\\\"],
  [["run", "--special", "x"], "--special is for --raw"],
  [["run", "-p", "x", "model.gguf", "y"], 'Unexpected argument "y".'],
  [["score", "--ids", "1,x"], "--ids must be whole numbers separated by commas"],
  [["score", "--ids", "1,2", "model.gguf", "text"], 'Unexpected argument "text".'],
  [["bench", "-n", "1"], "-n, --max-tokens must be a whole number from 2"],
  [["doctor", "now"], 'Unexpected argument "now".'],
  [["run"], "There is no text to work on. Give it as an argument or pipe it in."],
  [["run", "model.gguf"], '("model.gguf" was taken as the model)'],
])("%j is wrong usage", async (args, message) => {
  const plain = await piphi(args);
  expect(plain).toMatchObject({ code: 2, stdout: "", calls: [] });
  expect(plain.stderr).toContain(message);
  expect(plain.stderr).toMatch(/^error: .* \[E_USAGE\]\n$/);

  const command = args.length > 0 && Object.hasOwn(COMMANDS, args[0]) && args.at(-1) !== "--seed";
  if (!command || args[0] === "help") return;
  const json = await piphi([...args, "--json"]);
  expect(json).toMatchObject({ code: 2, stderr: "" });
  expect(JSON.parse(json.stdout)).toEqual({ error: { code: "E_USAGE", message: expect.any(String), details: {} } });
});

test("failures print one line, or one JSON document", async () => {
  const plain = await piphi(["run", "x.gguf", "hi"], { loadError: notFound });
  expect(plain).toMatchObject({ code: 1, stdout: "" });
  expect(plain.stderr).toBe("error: There is no file x.gguf. Check the path. [E_NOT_FOUND]\n");

  const json = await piphi(["run", "x.gguf", "hi", "--json"], { loadError: notFound });
  expect(json).toMatchObject({ code: 1, stderr: "" });
  expect(JSON.parse(json.stdout)).toEqual({ error: notFound.toJSON() });
});

test("what comes after -- is text and not an option", async () => {
  const { code, stdout, call } = await piphi(["run", "--", "--json"]);
  expect({ code, stdout }).toEqual({ code: 0, stdout: "On.\n" });
  expect(call("chat")?.input).toEqual([{ role: "user", content: "--json" }]);
});

test("a stack is shown only to those who ask for it", async () => {
  const loadError = new TypeError("odd\u001b[2J");
  const quiet = await piphi(["run", "hi"], { loadError });
  expect(quiet).toMatchObject({ code: 1, stderr: "error: odd\\u001b[2J [E_ENGINE]\n" });
  const debug = await piphi(["run", "hi"], { loadError, env: { PIPHI_DEBUG: "1" } });
  expect(debug.stderr).toMatch(/\n +at .*main\.test\.ts/);
});

test("a terminal gets a red word, unless NO_COLOR is set", async () => {
  const colour = await piphi(["rnu"], { tty: true });
  expect(colour.stderr).toContain("\u001b[31merror:");
  const plain = await piphi(["rnu"], { tty: true, env: { NO_COLOR: "1" } });
  expect(plain.stderr).not.toContain("\u001b");
});

test("a full disk behind stdout is an error", async () => {
  const stdout = new Screen();
  stdout.fail = "ENOSPC";
  const { code, stderr } = await piphi(["run", "hi"], { stdout });
  const message = "The output cannot be written (write ENOSPC). Make room, or send it elsewhere. [E_DISK_FULL]";
  expect({ code, stderr }).toEqual({ code: 1, stderr: `error: ${message}\n` });
});

test("didYouMean counts swaps, omissions and replacements, and stays silent when nothing is near", () => {
  const known = ["run", "show", "score"];
  expect(didYouMean("urn", known)).toContain('"run"');
  expect(didYouMean("shw", known)).toContain('"show"');
  expect(didYouMean("scare", known)).toContain('"score"');
  expect(didYouMean("xyz", known)).toBe("");
  expect(didYouMean("s".repeat(1_000_000), known)).toBe("");
});
