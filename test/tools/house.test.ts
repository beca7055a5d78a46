import { mkdtempSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readHouse } from "../../devices/node/home/index.ts";
import { FakeHomeAssistant, TOKEN } from "../fixtures/home-assistant.ts";
import { piphi } from "./fake.ts";

const folder = mkdtempSync(path.join(os.tmpdir(), "piphi-house-"));
let server: FakeHomeAssistant;

function file(name: string, text: string): string {
  const place = path.join(folder, name);
  writeFileSync(place, text);
  return place;
}

beforeAll(async () => {
  server = await FakeHomeAssistant.start();
});

afterAll(() => server.stop());

test("prints the house of Home Assistant as YAML that can be read again", async () => {
  const token = file("token", `${TOKEN}\n`);
  const { code, stdout, stderr } = await piphi(["house", "--home-assistant", server.url, "--token-file", token]);
  expect(code).toBe(0);
  expect(stdout).toContain("  - {id: light.kitchen, name: Kitchen Light, area: kitchen, aliases: [kitchen lamp]}\n");
  expect(readHouse(stdout).entities.length).toBe(3);
  expect(stderr).toBe("1 floor, 2 areas, 3 entities, 2 satellites\n");
});

test("takes the token from the environment, and prints JSON", async () => {
  const args = ["house", "--home-assistant", server.url, "--json"];
  const { code, stdout } = await piphi(args, { env: { HOME_ASSISTANT_TOKEN: TOKEN } });
  expect(code).toBe(0);
  expect(JSON.parse(stdout).areas[0]).toEqual({ id: "kitchen", name: "Kitchen", aliases: ["cooking room"] });
});

test("says what is wrong with the token, the address and the arguments", async () => {
  const house = (...args: string[]) => piphi(["house", ...args]);
  const at = ["--home-assistant", server.url];
  expect((await house(...at)).stderr).toMatch(/no access token.*--token-file.*\[E_TOKEN\]/);
  expect((await house(...at, "--token-file", file("bad", "wrong"))).stderr).toMatch(/long-lived.*\[E_TOKEN\]/);
  expect((await house(...at, "--token-file", file("empty", "\n"))).stderr).toMatch(
    /holds no access token.*\[E_TOKEN\]/,
  );
  expect((await house(...at, "--token-file", "none")).stderr).toMatch(/no file none.*\[E_NOT_FOUND\]/);
  const gone = await house("--home-assistant", "http://127.0.0.1:9", "--token-file", file("t", TOKEN));
  expect([gone.code, gone.stderr]).toEqual([1, expect.stringMatching(/does not answer.*\[E_HOME_ASSISTANT\]/)]);
  for (const args of [[], ["--token-file", "x"], ["x"], [...at, "--check", "x"]])
    expect((await house(...args)).code).toBe(2);
});

test("--check lists what is wrong and what surprises, each with its line", async () => {
  const bad = file("bad.yaml", "areas:\n  - {id: a, name: A, floor: up}\nentities:\n  - {id: light, name: ''}\n");
  const { code, stdout, stderr } = await piphi(["house", "--check", bad]);
  expect(code).toBe(1);
  expect(stdout.split("\n").map((line) => line.replace(bad, "F"))).toEqual([
    expect.stringMatching(/^wrong {4}F:2: There is no floor with the id "up"/),
    expect.stringMatching(/^wrong {4}F:4: "light" is no entity id/),
    expect.stringMatching(/^wrong {4}F:4: name is empty/),
    "",
  ]);
  expect(stderr).toMatch(/has 3 problems.*\[E_HOUSE\]/);
  const json = JSON.parse((await piphi(["house", "--check", bad, "--json"])).stdout);
  expect(json.error).toMatchObject({ code: "E_HOUSE", details: { problems: expect.any(Array) } });
  expect(json.error.details.problems.length).toBe(3);
});

test("--check of a good house counts what is in it", async () => {
  const good = file("good.yaml", "areas: [{id: a, name: A}]\nentities: [{id: light.a, name: Lamp}]\n");
  const { code, stdout } = await piphi(["house", "--check", good]);
  expect(code).toBe(0);
  expect(stdout.replaceAll(good, "F")).toBe(
    'warning  F:1: No entity is in the area "A". Commands for it will do nothing.\n' +
      "F: 0 floors, 1 area, 1 entity, 0 satellites\n",
  );
  const json = JSON.parse((await piphi(["house", "--check", good, "--json"])).stdout);
  expect(json).toMatchObject({ ok: true, entities: 1, warnings: [{ line: 1, path: "areas[0].name" }] });
});

test("--jsgf prints what a recogniser may hear, without names that it has no sounds for", async () => {
  const text =
    "areas:\n  - {id: a, name: Emma's Room}\nentities:\n  - {id: light.a, name: Lamp (left), area: a, aliases: [wallbox]}\n";
  const house = file("spoken.yaml", text);
  const words = file("words.dict", "lamp L AE M P\nleft L EH F T\nemma's EH M AH Z\nroom R UW M\nroom(2) R UH M\n");
  const { code, stdout, stderr } = await piphi(["house", "--jsgf", house, "--words", words]);
  expect(code).toBe(0);
  expect(stdout).toMatch(/^#JSGF V1\.0;\ngrammar house;\npublic <command> = /);
  expect(stdout).toContain("<light_name> = lamp left;");
  expect(stdout).toContain("<area_name> = emma's room;");
  expect(stdout).not.toMatch(/wallbox|<lock>|<name>/);
  expect(stderr).toMatch(/"wallbox".*aliases/);
  // Every rule that is used is there, and once.
  const defined = [...stdout.matchAll(/^(?:public )?<(\w+)> =/gm)].map(([, name]) => name);
  expect(new Set(defined).size).toBe(defined.length);
  for (const [, used] of stdout.matchAll(/<(\w+)>/g)) expect(defined).toContain(used);
  expect((await piphi(["house", "--jsgf", house])).stdout).toContain("| wallbox");
  expect((await piphi(["house", "--words", words])).code).toBe(2);
});
