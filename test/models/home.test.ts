/** The embedded model through the real runtime: sentences and names that its training never saw. */

import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { load } from "../../devices/node/index.ts";

interface Row {
  text: string;
  intent: string;
}

function rowsOf(name: string): Row[] {
  const file = new URL(`../../tools/train/${name}`, import.meta.url);
  return readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

test.each([
  ["heldout.jsonl", 0.8],
  ["everyday.jsonl", 0.9],
])(
  "%s: at least %d exact",
  async (name, least) => {
    await using phi = await load();
    const rows = rowsOf(name);
    const wrong: string[] = [];
    for (const { text, intent } of rows) {
      const answer = (await phi.chat([{ role: "user", content: text }], { maxTokens: 80 })).text.trim();
      if (answer !== intent) wrong.push(`${text}\n  wanted ${intent}\n  got    ${answer}`);
    }
    const exact = 1 - wrong.length / rows.length;
    console.log(`${name}: ${(100 * exact).toFixed(1)} % of ${rows.length} exact`);
    expect(exact, wrong.slice(0, 10).join("\n")).toBeGreaterThanOrEqual(least);
  },
  180_000,
);

test("an earlier turn does not leak into the answer", async () => {
  await using phi = await load();
  const conversation = [
    { role: "user", content: "good night" },
    { role: "assistant", content: '{"intent":"none"}' },
    { role: "user", content: "turn on the kitchen lights" },
  ] as const;
  const answer = await phi.chat(conversation);
  expect(answer.text.trim()).toBe('{"intent":"HassTurnOn","area":"kitchen","domain":"light"}');
});
