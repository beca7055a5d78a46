/** Answers in tokens: what can be said is said again as it was, and nothing else can be said. */

import { describe, expect, it } from "vitest";
import { type Command, decodeAnswer, encodeAnswer, type SlotValue } from "../../runtime/home/answer.ts";
import { houseFrom } from "../../runtime/home/house.ts";
import { promptOf, read, wordIds } from "../../runtime/home/reading.ts";
import { shapeOf } from "../../runtime/home/shape.ts";
import { END_ID, tokenId, tokenOf } from "../../runtime/home/tokens.ts";
import { automatonConstraint } from "../../runtime/text/automaton.ts";

const HOUSE = houseFrom({
  language: "en",
  floors: [],
  areas: [{ id: "office", name: "Office", aliases: [] }],
  entities: [
    { id: "light.lamp", name: "Lamp", area: "office", aliases: [] },
    { id: "sensor.heat", name: "Outside", device_class: "temperature", aliases: [] },
  ],
});
/** A token for each letter. */
const encode = (text: string) => Array.from(text, (letter) => letter.charCodeAt(0));
const VOCABULARY = 1024 + 304;

function asked(sentence: string, here = false) {
  const reading = read(sentence, HOUSE, here);
  const pieces = wordIds(reading, encode);
  return { reading, pieces, shape: shapeOf(reading, pieces) };
}

const command = (intent: string, slots: Record<string, SlotValue>): Command => ({
  intent,
  slots: new Map(Object.entries(slots)),
});
const plain = (commands: readonly Command[] | undefined) =>
  commands?.map(({ intent, slots }) => [intent, Object.fromEntries(slots)]);

/** Whether the automaton lets these tokens pass, and ends there. */
function allows({ shape }: ReturnType<typeof asked>, ids: readonly number[]): boolean {
  const constraint = automatonConstraint(shape, VOCABULARY, new Set([END_ID]));
  for (const id of ids) {
    if ((constraint.allowed()[id >> 5] & (1 << (id & 31))) === 0) return false;
    constraint.push(id);
  }
  return constraint.complete || (constraint.allowed()[END_ID >> 5] & (1 << (END_ID & 31))) !== 0;
}

describe("an answer", () => {
  const sentence = asked("turn off the lamp in the office and set the pasta timer for 10 minutes");
  const commands = [
    command("HassTurnOff", { name: { kind: "name", index: 0 }, area: { kind: "name", index: 1 } }),
    command("HassStartTimer", {
      minutes: { kind: "number", index: 0, minus: false },
      name: { kind: "text", from: 10, to: 11 },
    }),
  ];
  const ids = encodeAnswer(commands, sentence.pieces)!;

  it("is read as it was written", () => {
    expect(plain(decodeAnswer([...ids, END_ID], sentence.pieces))).toEqual(
      plain(commands.map(({ intent, slots }) => ({ intent, slots: new Map([...slots].sort()) }))),
    );
    expect(decodeAnswer(encodeAnswer([], [])!, [])).toEqual([]);
  });

  it("is allowed by the shape of its sentence", () => {
    expect(allows(sentence, ids)).toBe(true);
    expect(allows(sentence, encodeAnswer([], [])!)).toBe(true);
  });

  it("that is none is undefined", () => {
    const on = tokenId("<i:HassTurnOn>")!;
    const name = tokenId("<s:name>")!;
    expect(decodeAnswer([], [])).toBeUndefined();
    expect(decodeAnswer([name], [])).toBeUndefined();
    expect(decodeAnswer([on, name], [])).toBeUndefined();
  });
});

describe("it cannot", () => {
  const off = (slots: Record<string, SlotValue>, intent = "HassTurnOff") => [command(intent, slots)];
  it.each([
    ["name what is not said", "turn off the lamp", off({ name: { kind: "name", index: 3 } })],
    ["take a room for a device", "turn off the office", off({ name: { kind: "name", index: 0 } })],
    ["take a device for a room", "turn off the lamp", off({ area: { kind: "name", index: 0 } })],
    [
      "mean the room where it was said, if that is not known",
      "lights off",
      off({ area: { kind: "choice", value: "here" } }),
    ],
    [
      "dim a sensor",
      "outside to 10",
      off({ brightness: { kind: "number", index: 0, minus: false }, name: { kind: "name", index: 0 } }, "HassLightSet"),
    ],
    [
      "set 150 %",
      "lamp to 150",
      off({ brightness: { kind: "number", index: 0, minus: false }, name: { kind: "name", index: 0 } }, "HassLightSet"),
    ],
    ["leave out what an intent needs", "set the position", off({}, "HassSetPosition")],
  ])("%s", (_, sentence, commands) => {
    const question = asked(sentence);
    expect(allows(question, encodeAnswer(commands, question.pieces)!)).toBe(false);
  });

  it("say words that are not in the sentence, or half of them", () => {
    const question = asked("add oat milk to the list");
    const item = (from: number, to: number) =>
      encodeAnswer(off({ item: { kind: "text", from, to } }, "HassShoppingListAddItem"), question.pieces)!;
    expect(allows(question, item(1, 3))).toBe(true);
    const ids = item(1, 3);
    expect(allows(question, ids.toSpliced(3, 1))).toBe(false);
    expect(allows(question, ids.toSpliced(-2, 1))).toBe(false);
  });
});

it("a prompt marks names with what they are, and numbers", () => {
  const { reading, pieces } = asked("lamp to 10", true);
  const words = promptOf(reading, pieces).map((id) => tokenOf(id) ?? String.fromCharCode(id));
  expect(words.join("")).toBe("<home><here><p1><d:light> lamp<)> to<n1> 10<answer>");
});
