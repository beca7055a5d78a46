/** From answers to figures, and how readers are asked. */

import { describe, expect, it } from "vitest";
import { readHouse } from "../../devices/node/home/index.ts";
import type { Intent } from "../../tools/home/effect.ts";
import { type Answer, intentsOf, processReader } from "../../tools/home/readers.ts";
import { judge, score } from "../../tools/home/score.ts";
import type { Sentence } from "../../tools/home/sentences.ts";
import { report } from "../../tools/home/table.ts";

const HOUSE = readHouse({
  language: "en",
  floors: [],
  areas: [{ id: "hall", name: "Hall" }],
  entities: [
    { id: "light.lamp", name: "Lamp", area: "hall" },
    { id: "lock.door", name: "Door", area: "hall" },
  ],
});
const lamp: Intent = { name: "HassTurnOn", slots: { name: "Lamp" } };
const hall: Intent = { name: "HassTurnOn", slots: { domain: "light", area: "Hall" } };
const lock: Intent = { name: "HassTurnOn", slots: { name: "Door" } };
const ask: Intent = { name: "HassGetState", slots: { name: "Door", state: "locked" } };

const sentence = (intents: Intent[], more: Partial<Sentence> = {}): Sentence => ({
  text: "said",
  intents,
  kinds: ["plain"],
  ...more,
});
const answer = (intents: Intent[], more: Partial<Answer> = {}): Answer => ({ intents, ms: 1, ...more });
const verdict = (said: Sentence, given: Answer) => judge(HOUSE, said, given);

describe("a verdict", () => {
  it("is exact for the label's slots in any order, and the same effect for the same deeds", () => {
    const turned: Intent = { name: "HassTurnOn", slots: { area: "Hall", domain: "light" } };
    expect(verdict(sentence([hall]), answer([turned]))).toMatchObject({ exact: true, same: true });
    expect(verdict(sentence([hall]), answer([lamp]))).toMatchObject({ exact: false, same: true });
    expect(verdict(sentence([hall]), answer([lock]))).toMatchObject({ exact: false, same: false });
  });

  it("any alternative will do", () => {
    const open = sentence([ask], { alternatives: [[lock], []] });
    expect([[ask], [lock], [], [lamp]].map((given) => verdict(open, answer(given)).same)).toEqual([
      true,
      true,
      true,
      false,
    ]);
  });
});

describe("a score", () => {
  const verdicts = [
    verdict(sentence([lamp], { kinds: ["names"] }), answer([lamp], { confidence: 0.95, ms: 10 })),
    verdict(sentence([lamp, lock], { kinds: ["names", "several"] }), answer([lamp], { confidence: 0.91, ms: 20 })),
    verdict(sentence([ask]), answer([], { confidence: 0.2, ms: 30 })),
    verdict(sentence([]), answer([], { confidence: 0.3, ms: 40 })),
    verdict(sentence([]), answer([lock], { confidence: 0.6, ms: 900 })),
    verdict(sentence([], { alternatives: [[lamp]] }), answer([lamp], { confidence: 0.65, ms: 5 })),
  ];
  const total = score(verdicts);

  it("counts commands, small talk and refusals apart; what may be either is neither", () => {
    expect(total.same).toEqual({ right: 3, count: 6 });
    expect(total.commands).toEqual({ right: 1, count: 3 });
    expect(total.leftAlone).toEqual({ right: 1, count: 2 });
    expect(total.refused).toEqual({ right: 1, count: 3 });
  });

  it("groups by every intent and every kind of a sentence", () => {
    expect(total.intents).toEqual({ HassTurnOn: { right: 1, count: 2 }, HassGetState: { right: 0, count: 1 } });
    expect(total.kinds).toEqual({
      plain: { right: 2, count: 4 },
      names: { right: 1, count: 2 },
      several: { right: 0, count: 1 },
    });
  });

  it("calibration is the mean distance between what was promised and what came", () => {
    expect(total.tenths[9]).toEqual({ from: 0.9, confidence: expect.closeTo(0.93, 6), right: 1, count: 2 });
    // Tenths 9, 2, 3 and 6: |1.86 - 1|, |0.2 - 0|, |0.3 - 1|, |1.25 - 1|, over six answers.
    expect(total.calibrationError).toBeCloseTo((0.86 + 0.2 + 0.7 + 0.25) / 6, 6);
    expect(score([verdict(sentence([]), answer([]))]).calibrationError).toBeUndefined();
  });

  it("times are the median and the 95th percentile", () => {
    expect([total.medianMs, total.p95Ms]).toEqual([30, 900]);
  });

  it("is shown as a table with a column a reader", () => {
    const text = report([
      ["piphi", total],
      ["hassil", score([...verdicts.slice(1), verdicts[1]])],
    ]);
    expect(text).toContain("| same effect | 50.0 % (3/6) | 33.3 % (2/6) |");
    expect(text).toContain("| HassTurnOn (2) | 50.0 % | 0.0 % |");
    expect(text).toContain("| 0.9 to 1.0 | 2 | 0.930 | 50.0 % |");
  });
});

describe("readers", () => {
  const script = (code: string) => processReader(() => [process.execPath, "-e", code]);
  const EACH = 'require("readline").createInterface(process.stdin).on("line", (line) => {';

  it("a process gets questions and gives answers, a line each", async () => {
    const echo = script(`${EACH} console.log(JSON.stringify({ intents: [], ms: JSON.parse(line).text.length })) })`);
    expect(await echo("house.yaml", [{ text: "ab" }, { text: "abcd", area: "Hall" }])).toEqual([
      { intents: [], ms: 2 },
      { intents: [], ms: 4 },
    ]);
  });

  it("a process that fails, or answers too little, is an error", async () => {
    await expect(script("process.exit(3)")("house.yaml", [{ text: "a" }])).rejects.toThrow(/ended with 3/);
    await expect(script("")("house.yaml", [{ text: "a" }])).rejects.toThrow(/0 of 1 answers/);
    await expect(processReader(() => ["no-such-program"])("h", [])).rejects.toThrow(/ENOENT/);
  });

  it("the embedded model's JSON is an intent, none, or wrong", () => {
    expect(intentsOf(' {"intent":"HassTurnOn","name":"Lamp"}')).toEqual([lamp]);
    expect(intentsOf('{"intent":"none"}')).toEqual([]);
    expect(intentsOf('{"intent":')).toEqual([{ name: "invalid JSON", slots: {} }]);
  });
});
