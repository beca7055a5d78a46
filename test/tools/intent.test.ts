import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Understanding } from "../../runtime/home/types.ts";
import type { UnderstandOptions } from "../../runtime/home/understand.ts";
import { FakeHomeAssistant, TOKEN } from "../fixtures/home-assistant.ts";
import { piphi, type Setting } from "./fake.ts";

const HOUSE = fileURLToPath(new URL("../../examples/house.yaml", import.meta.url));
let server: FakeHomeAssistant;

beforeAll(async () => {
  server = await FakeHomeAssistant.start();
});

afterAll(() => server.stop());

const understand = (text: string): Partial<Understanding> =>
  text.startsWith("turn off the lamp")
    ? {
        intents: [
          { name: "HassTurnOff", slots: { name: "Desk Lamp" } },
          { name: "HassStartTimer", slots: { minutes: 10 } },
        ],
      }
    : {};
const intent = (args: string[], setting: Setting = {}) =>
  piphi(["intent", ...args, "--house", HOUSE], { understand, ...setting });
const SENTENCE = "turn off the lamp in the office and set a timer for ten minutes";

test("prints intents with their slots and what to say", async () => {
  const { code, stdout, call } = await intent([SENTENCE]);
  expect(code).toBe(0);
  expect(stdout).toBe(
    "HassTurnOff     name=Desk Lamp  Turned off the light\n" +
      "HassStartTimer  minutes=10      Timer set for 10 minutes\n" +
      "sure to 99 %, in 12 ms\n",
  );
  expect(call("understand")?.input).toBe(SENTENCE);
  expect(call("close")).toBeDefined();
});

test("words are joined, and standard input is read without them", async () => {
  const joined = await intent(["what", "a", "day"]);
  expect(joined.call("understand")?.input).toBe("what a day");
  expect(joined.stdout).toMatch(/^No home command\.\n/);
  expect((await intent([], { stdin: "lights on\n" })).call("understand")?.input).toBe("lights on");
});

test("--json is one document", async () => {
  const { stdout } = await intent([SENTENCE, "--json"]);
  expect(JSON.parse(stdout)).toEqual({
    text: SENTENCE,
    intents: [
      { name: "HassTurnOff", slots: { name: "Desk Lamp" }, text: "Turned off the light" },
      { name: "HassStartTimer", slots: { minutes: 10 }, text: "Timer set for 10 minutes" },
    ],
    confidence: 0.987,
    ms: 12.3,
  });
});

test("--area is a name, an alias, an id or a satellite", async () => {
  for (const [area, id] of [
    ["Living Room", "living"],
    ["LOUNGE", "living"],
    ["kitchen", "kitchen"],
    ["assist_satellite.bedside", "bedroom"],
  ]) {
    expect((await intent(["lights on", "--area", area])).call("understand")?.options.area).toMatchObject({ id });
  }
  const wrong = await intent(["lights on", "--area", "cellar"]);
  expect([wrong.code, wrong.stderr]).toEqual([
    2,
    expect.stringMatching(/no area or satellite "cellar".*Kitchen, Living/),
  ]);
  expect(wrong.call("close")).toBeDefined();
});

test("--explain tells the names, the answer and why nothing is done", async () => {
  const explanation = {
    words: ["lamp", "off"],
    names: [
      { said: "lamp", likeness: 1, candidates: ["light.desk_lamp"] },
      { said: "of", likeness: 0.8, candidates: ["office", "light.a\u001b[31m"] },
    ],
    answer: [{ token: "<i:HassTurnOff>", probability: 0.61 }],
    meant: [{ name: "HassTurnOff", slots: { name: "Desk Lamp" } }],
    refused: "the confidence is below 0.7",
  };
  const { stdout } = await intent(["lamp off", "--explain"], {
    understand: (_: string, options: UnderstandOptions) => (options.explain ? { explanation } : {}),
  });
  expect(stdout).toMatchSnapshot();
  expect(stdout).not.toContain("\u001b");
});

test("--lines prints a document for each line, in order", async () => {
  const stdin = `\uFEFF${SENTENCE}\r\n{"text":"lights on","area":"Office"}\n\n{"text":"x"}\nlast`;
  const { code, stdout, calls } = await intent(["--lines", "--area", "kitchen"], { stdin });
  expect(code).toBe(0);
  const documents = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(documents.map(({ text }) => text)).toEqual([SENTENCE, "lights on", "", "x", "last"]);
  expect(documents[0].intents.length).toBe(2);
  const areas = calls
    .filter(({ method }) => method === "understand")
    .map(({ options }) => (options.area as { id: string }).id);
  expect(areas).toEqual(["kitchen", "office", "kitchen", "kitchen", "kitchen"]);
  expect(calls.filter(({ method }) => method === "load").length).toBe(1);
});

test("--lines answers a wrong line with an error in its place, and fails at the end", async () => {
  const stdin = '{"text":\n{"txt":"x"}\n{"text":"x","area":"cellar"}\n{"text":"x","area":7}\nok\n';
  const { code, stdout, stderr } = await intent(["--lines"], { stdin });
  const documents = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  expect(documents.map(({ error }) => error?.code)).toEqual(["E_USAGE", "E_USAGE", "E_USAGE", "E_USAGE", undefined]);
  expect([code, stderr]).toEqual([2, expect.stringMatching(/4 lines could not be read/)]);
});

test("an endless line ends the command", async () => {
  const { code, stderr } = await intent(["--lines"], { stdin: "x".repeat(2 ** 20 + 1) });
  expect([code, stderr]).toEqual([2, expect.stringMatching(/A line is longer/)]);
});

test("the house of Home Assistant, with its states", async () => {
  const { code, stdout } = await piphi(["intent", "is it on", "--home-assistant", server.url, "--json"], {
    env: { HOME_ASSISTANT_TOKEN: TOKEN },
    understand: () => ({ intents: [{ name: "HassGetState", slots: { name: "Kitchen Light", state: "on" } }] }),
  });
  expect(code).toBe(0);
  expect(JSON.parse(stdout).intents[0].text).toBe("Yes");
});

test("errors: no house, two houses, a house that is wrong, Home Assistant gone", async () => {
  const run = (...args: string[]) => piphi(["intent", "hi", ...args], { env: { HOME_ASSISTANT_TOKEN: TOKEN } });
  expect((await run()).stderr).toMatch(/--house FILE.*examples\/house.yaml.*\[E_USAGE\]/);
  expect((await run("--house", HOUSE, "--home-assistant", server.url)).code).toBe(2);
  expect((await run("--token-file", "x", "--house", HOUSE)).code).toBe(2);
  expect((await run("--house", "none.yaml")).stderr).toMatch(/no file none.yaml.*\[E_NOT_FOUND\]/);
  const json = await run("--house", fileURLToPath(import.meta.url), "--json");
  expect(JSON.parse(json.stdout).error.code).toBe("E_HOUSE");
  expect((await run("--home-assistant", "http://127.0.0.1:9")).stderr).toMatch(/\[E_HOME_ASSISTANT\]/);
  expect((await intent(["hi", "--lines"], { stdin: "" })).code).toBe(2);
});
