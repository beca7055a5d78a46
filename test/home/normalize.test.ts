/** Sentences as words that can be compared. */

import { describe, expect, it } from "vitest";
import { wordsOf } from "../../runtime/home/normalize.ts";

const said = (sentence: string) =>
  wordsOf(sentence)
    .map(({ text }) => text)
    .join(" ");

describe("words", () => {
  it.each([
    ["TURN ON the Küche!", "turn on the kuche"],
    ["Zoë's lámpara", "zoe's lampara"],
    ["set it to 30°C", "set it to 30 degrees celsius"],
    ["thirty-five percent", "35 percent"],
    ["fifty per cent", "50 percent"],
    ["one hundred and five", "105"],
    ["twenty one point five", "21.5"],
    ["18½ degrees", "18.5 degrees"],
    ["minus five degrees", "-5 degrees"],
    ["an hour and a half", "1 hour and 30 minutes"],
    ["an hour and three quarters", "1 hour and 45 minutes"],
    ["half an hour", "30 minutes"],
    ["three quarters of an hour", "45 minutes"],
    ["two and a half minutes", "2 minutes and 30 seconds"],
    ["1.5 hours", "1 hours and 30 minutes"],
    ["half an hours", "30 minutes"],
    ["ten and half hours", "10 hours and 30 minutes"],
    ["8 and a 1/2 hour", "8 hours and 30 minutes"],
    ["add 1/2 a minute", "add 30 seconds"],
    ["set it to a third", "set it to 33"],
    ["the third floor to 23", "the third floor to 23"],
    ["turn of the lamp", "turn off the lamp"],
    ["clothes the gate", "close the gate"],
    ["a minute thirty", "1 minute and 30 seconds"],
    ["a our and a half", "1 hour and 30 minutes"],
    ["blinds halfway", "blinds 50"],
    ["the hallway lite", "the hallway light"],
    ["whats on", "what's on"],
    ["sixty ate", "68"],
  ])("%s", (sentence, words) => expect(said(sentence)).toBe(words));

  it("know where they stand in the sentence as given", () => {
    const sentence = "Stell die Bürolampe auf 30 %";
    const [, , word, , number] = wordsOf(sentence);
    expect(sentence.slice(word.from, word.to)).toBe("Bürolampe");
    expect([number.value, sentence.slice(number.from, number.to)]).toEqual([30, "30"]);
  });

  it("are none where nothing is said", () => {
    expect(wordsOf(" …?!— ")).toEqual([]);
  });
});
