import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { PassThrough } from "node:stream";
import { afterAll, expect, test, vi } from "vitest";
import type { ChatMessage } from "../../devices/node/index.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { piphi, Screen, type Setting } from "./fake.ts";

const folder = mkdtempSync(path.join(tmpdir(), "piphi-chat-"));
afterAll(() => rmSync(folder, { recursive: true }));

const turns = (calls: { method: string; input: unknown }[]) =>
  calls.filter(({ method }) => method === "chat").map(({ input }) => input as ChatMessage[]);

test("each piped line is a turn of one conversation", async () => {
  const { code, stdout, stderr, calls } = await piphi(["chat", "--system", "Be brief.", "-n", "5"], {
    stdin: "one\n\n two \n",
  });
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: "On.\nOn.\n", stderr: "" });
  const system = { role: "system", content: "Be brief." };
  const first = [system, { role: "user", content: "one" }];
  const second = [...first, { role: "assistant", content: "On." }, { role: "user", content: "two" }];
  expect(turns(calls)).toEqual([first, second]);
  expect(calls.find(({ method }) => method === "chat")?.options).toMatchObject({ maxTokens: 5 });
});

test("/reset keeps only the system message; /exit ends before the next line", async () => {
  const { calls } = await piphi(["chat", "--system", "S"], { stdin: "one\n/reset\ntwo\n/exit\nthree\n" });
  expect(turns(calls).map((messages) => messages.map(({ content }) => content))).toEqual([
    ["S", "one"],
    ["S", "two"],
  ]);
});

test("/reset begins a session of its own, so that nothing of the one before is saved", async () => {
  const { calls, stderr } = await piphi(["chat"], { stdin: "one\n/reset\n/save x.piphi\n" });
  expect(stderr).toBe("The conversation is forgotten.\nSaved to x.piphi, 168 MB.\n");
  expect(calls.map(({ method }) => method)).toEqual([
    ...["load", "session", "chat", "session", "closeSession", "save", "close"],
  ]);
});

test("a full context forgets the oldest turns, and one question too long is an error", async () => {
  const stdin = "one\ntwo\nthree\n";
  const { calls, code, stderr } = await piphi(["chat", "--system", "S"], { stdin, longestPrompt: 4 });
  expect(code).toBe(0);
  expect(stderr).toBe("The context is full: the oldest turn is forgotten.\n");
  expect(
    turns(calls)
      .at(-1)
      ?.map(({ content }) => content),
  ).toEqual(["S", "two", "On.", "three"]);
  const hopeless = await piphi(["chat", "--system", "S"], { stdin: "one\n", longestPrompt: 1 });
  expect(hopeless).toMatchObject({ code: 1, stdout: "" });
});

test("/help, /stats and mistyped commands answer on stderr", async () => {
  const { stdout, stderr } = await piphi(["chat"], { stdin: "/stats\n/help\n/rest\n/zzzzzz\nhi\n/stats\n" });
  expect(stdout).toBe("On.\n");
  expect(stderr).toMatchSnapshot();
});

const messages = [
  { role: "user", content: "hi" },
  { role: "assistant", content: "On." },
];

test("/export writes the messages, leaving nothing else behind", async () => {
  const file = path.join(folder, "my talk.json");
  const { code, stderr } = await piphi(["chat"], { stdin: `hi\n/export ${file}\n/export\n` });
  expect(code).toBe(0);
  expect(stderr).toBe(`Saved to ${file}.\n/export needs the name of a file.\n`);
  expect(readdirSync(folder)).toEqual(["my talk.json"]);
  expect(JSON.parse(readFileSync(file, "utf8"))).toEqual({ model: "home", messages });
});

test("a failed /export ends a piped conversation with an error", async () => {
  const { code, stderr } = await piphi(["chat"], { stdin: `/export ${path.join(folder, "none", "x.json")}\nhi\n` });
  expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining("ENOENT") });
});

test("/save saves the session with its messages, /load goes on with one", async () => {
  const note = JSON.stringify({ messages });
  const { calls, stderr } = await piphi(["chat"], { stdin: "hi\n/save a b.piphi\n/load c.piphi\nthere\n", note });
  expect(stderr).toBe("Saved to a b.piphi, 168 MB.\nGoing on with c.piphi, 1 turn.\n");
  expect(calls.find(({ method }) => method === "save")).toMatchObject({ input: "a b.piphi", options: { note } });
  expect(turns(calls).at(-1)).toEqual([...messages, { role: "user", content: "there" }]);
  expect(calls.filter(({ method }) => method === "closeSession")).toHaveLength(1);
});

test("a session keeps its own system message, and says so where another was asked for", async () => {
  const asked = (content: string) => {
    const note = JSON.stringify({ messages: [{ role: "system", content: "S" }, ...messages] });
    return piphi(["chat", "--system", content], { stdin: "/load c.piphi\n", note });
  };
  expect((await asked("T")).stderr).toContain("--system counts after /reset.");
  expect((await asked("S")).stderr).toBe("Going on with c.piphi, 1 turn.\n");
});

test("~ is the home folder", async () => {
  vi.stubEnv("HOME", folder);
  const { calls } = await piphi(["chat"], { stdin: "/save ~/a.piphi\n/save ~b.piphi\n" });
  vi.unstubAllEnvs();
  const saved = calls.filter(({ method }) => method === "save").map(({ input }) => input);
  expect(saved).toEqual([path.join(folder, "a.piphi"), "~b.piphi"]);
});

test.each(["", "{}", '{"messages":[7]}', '{"messages":[{"role":"user"}]}'])(
  "a note that is %s is refused",
  async (note) => {
    const { code, stderr, calls } = await piphi(["chat"], { stdin: "/load x.piphi\nhi\n", note });
    expect({ code, stderr }).toEqual({ code: 1, stderr: expect.stringContaining("E_NOT_SESSION") });
    expect(calls.filter(({ method }) => method === "closeSession")).toHaveLength(1);
  },
);

test("--session begins a session that is not there, and saves what was said at the end", async () => {
  const file = path.join(folder, "new.piphi");
  const { calls, stderr } = await piphi(["chat", "--session", file], { stdin: "hi\n" });
  expect(stderr).toBe(`Saved to ${file}, 168 MB.\n`);
  expect(calls.map(({ method }) => method)).toEqual(["load", "session", "chat", "save", "close"]);
  const silent = await piphi(["chat", "--session", file], { stdin: "" });
  expect(silent.calls.map(({ method }) => method)).toEqual(["load", "session", "close"]);
});

test("--session goes on with one that is there, and leaves one alone that cannot be restored", async () => {
  const file = path.join(folder, "old.piphi");
  writeFileSync(file, "");
  const note = JSON.stringify({ messages });
  const { calls } = await piphi(["chat", "--session", file, "--system", "S"], { stdin: "there\n", note });
  expect(turns(calls)).toEqual([[...messages, { role: "user", content: "there" }]]);
  const restoreError = new PiPhiError("E_SESSION_MODEL", "Another model's.");
  const refused = await piphi(["chat", "--session", file], { stdin: "hi\n", restoreError });
  expect(refused.code).toBe(1);
  expect(refused.calls.map(({ method }) => method)).toEqual(["load", "session", "restore", "close"]);
  rmSync(file);
});

test("--session refuses a folder that is not there, and saves what was said before an error", async () => {
  const nowhere = await piphi(["chat", "--session", path.join(folder, "none", "x")], { stdin: "hi\n" });
  expect(nowhere).toMatchObject({ code: 1, calls: [] });
  const file = path.join(folder, "failing.piphi");
  const failing = await piphi(["chat", "--session", file, "--ctx-overflow", "stop"], {
    stdin: "hi\n/export /nowhere/at/all\n",
  });
  expect(failing).toMatchObject({ code: 1, stderr: expect.stringContaining("ENOENT") });
  expect(failing.call("save")).toMatchObject({ input: file, options: { note: JSON.stringify({ messages }) } });
});

test("the context rolls, unless it is too short or is told to stop", async () => {
  const overflow = async (args: string[], contextLength?: number) =>
    (await piphi(["chat", ...args], { stdin: "hi\n", contextLength })).call("chat")?.options.overflow;
  expect(await overflow([])).toBe("roll");
  expect(await overflow([], 64)).toBe("stop");
  expect(await overflow(["--ctx-overflow", "stop"])).toBe("stop");
});

test("/stats tells what left the context", async () => {
  const { stderr } = await piphi(["chat"], { stdin: "hi\n/stats\n", rolledTokens: 1024 });
  expect(stderr).toContain("the oldest 1,024 tokens left the context");
});

test("an interrupt of the process ends a piped conversation", async () => {
  const interrupt = new AbortController();
  const onDelta = (index: number) => void (index === 1 && interrupt.abort());
  const { code, stdout, calls } = await piphi(["chat"], { stdin: "one\ntwo\n", interrupt, onDelta });
  expect({ code, stdout }).toEqual({ code: 130, stdout: "On\n" });
  expect(turns(calls)).toHaveLength(1);
  expect(calls.at(-1)?.method).toBe("close");
});

/** A terminal on which keys can be pressed when a text has appeared. */
function terminal(setting: Setting = {}) {
  const keys = Object.assign(new PassThrough(), { isTTY: true });
  const stdout = new Screen(true);
  const done = piphi(["chat"], { ...setting, stdin: keys, stdout, env: { NO_COLOR: "1" } });
  const until = async (seen: () => boolean | undefined) => {
    while (!seen()) await new Promise((resolve) => setImmediate(resolve));
  };
  return { keys, stdout, done, until };
}

const prompts = (stdout: Screen) => stdout.text.split("> ").length - 1;

test("Ctrl-C ends the answer, clears a line, and leaves at an empty one", async () => {
  let pressed = false;
  const { keys, stdout, done, until } = terminal({
    deltas: ["one ", "two ", "three"],
    async onDelta(index) {
      if (index === 1 && !pressed) {
        pressed = true;
        keys.write("\x03");
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
  });
  await until(() => prompts(stdout) === 1);
  keys.write("hello\r");
  await until(() => stdout.text.split("one \n")[1]?.includes("> "));
  keys.write("half a line\x03again\r");
  await until(() => stdout.text.split("three\n")[1]?.includes("> "));
  keys.write("\x03");
  const { code, calls, exits } = await done;
  expect({ code, exits }).toEqual({ code: 0, exits: [] });
  // The shell's own prompt begins on a line of its own.
  expect(stdout.text.slice(stdout.text.lastIndexOf("> "))).toMatch(/\n$/);
  expect(turns(calls).map((messages) => messages.at(-1)?.content)).toEqual(["hello", "again"]);
  expect(turns(calls)[1][1]).toEqual({ role: "assistant", content: "one" });
});

test("a second Ctrl-C during an answer ends the process", async () => {
  const { keys, stdout, done, until } = terminal({
    async onDelta(index) {
      if (index !== 1) return;
      keys.write("\x03\x03");
      await new Promise((resolve) => setTimeout(resolve, 20));
    },
  });
  await until(() => prompts(stdout) === 1);
  keys.write("hello\r");
  await until(() => /On\n/.test(stdout.text));
  keys.end();
  expect((await done).exits).toEqual([130]);
});

test("on a terminal an error ends the turn, not the conversation", async () => {
  const answerError = new PiPhiError("E_PROMPT_TOO_LONG", "The prompt does not fit. /reset starts anew.");
  const { keys, stdout, done, until } = terminal({ answerError, deltas: [] });
  await until(() => prompts(stdout) === 1);
  keys.write("a\rb\r");
  await until(() => stdout.text.includes("b"));
  keys.end();
  const { code, calls, stderr } = await done;
  expect(code).toBe(0);
  expect(turns(calls)).toEqual([[{ role: "user", content: "a" }], [{ role: "user", content: "b" }]]);
  expect(stderr.match(/E_PROMPT_TOO_LONG/g)).toHaveLength(2);
});

test("Ctrl-D in the middle of an answer lets it end, then leaves", async () => {
  const { keys, stdout, done, until } = terminal({
    async onDelta(index) {
      if (index !== 1) return;
      keys.write("\x04");
      await new Promise((resolve) => setTimeout(resolve, 20));
    },
  });
  await until(() => prompts(stdout) === 1);
  keys.write("hello\r");
  expect((await done).code).toBe(0);
  expect(stdout.text).toMatch(/On\.\n$/);
  expect(keys.isPaused()).toBe(true);
});

test("two slashes say a text that begins with one, and U+2028 ends no turn", async () => {
  const { calls } = await piphi(["chat"], { stdin: "\ufeff//etc is a folder\na\u2028b\r\n" });
  const said = calls
    .filter(({ method }) => method === "chat")
    .map(({ input }) => (input as ChatMessage[]).at(-1)?.content);
  expect(said).toEqual(["/etc is a folder", "a\u2028b"]);
});
