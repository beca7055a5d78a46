/** What the embedded model answers without a house is held to a schema, and loses nothing by it. */

import { readFileSync } from "node:fs";
import { Ajv } from "ajv";
import { describe, expect, it } from "vitest";
import { load } from "../../devices/node/index.ts";
import { commandSchema } from "../../runtime/home/command-schema.ts";

const rows = (name: string): { text: string; intent: string }[] =>
  readFileSync(new URL(`../../tools/train/${name}`, import.meta.url), "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
const valid = new Ajv({ strict: false }).compile(commandSchema());

describe("commands without a house", () => {
  it("every right answer meets the schema", () => {
    const all = [...rows("heldout.jsonl"), ...rows("everyday.jsonl")];
    expect(all.filter(({ intent }) => !valid(JSON.parse(intent)))).toEqual([]);
  });

  it.each([
    { intent: "HassFly" },
    { intent: "HassTurnOn", domain: "dungeon" },
    { intent: "HassSetPosition", name: "blind" },
    { intent: "HassSetPosition", name: "blind", position: 150 },
    { intent: "none", name: "x" },
    {},
  ])("%j does not", (answer) => expect(valid(answer)).toBe(false));

  it("the model's answers are the same, and always valid, whatever is said", async () => {
    await using phi = await load();
    const options = { maxTokens: 80, temperature: 0, schema: commandSchema() };
    const answer = async (text: string) => (await phi.chat([{ role: "user", content: text }], options)).text.trim();
    const plain = rows("everyday.jsonl").slice(0, 30);
    const wrong: string[] = [];
    for (const { text, intent } of plain) if ((await answer(text)) !== intent) wrong.push(text);
    expect(wrong.length, wrong.join("\n")).toBeLessThanOrEqual(3);
    for (const odd of ["", "30°C\u0000", '{"intent":"', "Ω≈ç√ 💡 名前", "lampe à lave \\ \" ' }"])
      if (odd !== "") expect(valid(JSON.parse(await answer(odd))), odd).toBe(true);
  });
});
