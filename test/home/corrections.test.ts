/** What a speaker takes back does not count. */

import { describe, expect, it } from "vitest";
import { corrected } from "../../runtime/home/corrections.ts";
import { wordsOf } from "../../runtime/home/normalize.ts";

const left = (sentence: string) =>
  corrected(wordsOf(sentence))
    .map(({ text }) => text)
    .join(" ");

describe("corrections", () => {
  it.each([
    ["put the kettle on no wait turn it off", "turn the kettle off"],
    ["turn the telly on, actually turn it off", "turn the telly off"],
    ["open the hatch, scratch that, close it", "close the hatch"],
    ["turn on the reading lamp, actually no, the fairy lights", "turn on the fairy lights"],
    ["turn off the hall lights I mean the den lights", "turn off the den lights"],
    ["turn the lamp off please, oh no wait, the tall lamp", "turn the tall lamp off please"],
    ["set a timer for five minutes no make that ten minutes", "set a timer for 10 minutes"],
    ["set a timer for 10 minutes, no wait, 15", "set a timer for 15 minutes"],
    ["set the heating to 20 no 21 degrees", "set the heating to 21 degrees"],
    ["dim the lamp to 20 no make it 30 percent", "dim the lamp to 30 percent"],
    ["turn on the fan actually", "turn on the fan"],
  ])("%s", (sentence, wanted) => expect(left(sentence)).toBe(wanted));

  it.each([
    "switch on the fan, never mind",
    "lock the back door, oh wait, don't",
    "turn on the lamp, wait, leave it",
    "close the blind, no wait",
    "turn on the lamp, no I mean upstairs somewhere",
  ])("takes everything back: %s", (sentence) => expect(left(sentence)).toBe(""));

  it.each([
    "wait for it",
    "actually turn on the lamp",
    "hang on is the door locked",
    "never mind",
    "play hold on by wilson phillips",
    "add no more tears shampoo to the list",
    "what do you mean by that i mean it",
  ])("is no correction: %s", (sentence) => expect(left(sentence)).toBe(sentence));
});
