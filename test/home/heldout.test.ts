/** The held-out sentences are sound: their houses hold together, and Home Assistant could execute every label. */

import { readdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { checkHouseFile, type House, readHouseFile } from "../../devices/node/home/index.ts";
import { impossible } from "../../tools/home/effect.ts";
import { called } from "../../tools/home/house.ts";
import { isSmallTalk, readSentences, rightAnswers, type Sentence } from "../../tools/home/sentences.ts";

const folder = fileURLToPath(new URL("../../tools/home/heldout/", import.meta.url));
const names = readdirSync(folder)
  .filter((name) => name.endsWith(".yaml"))
  .map((name) => name.replace(".yaml", ""));
const houses = new Map(names.map((name) => [name, readHouseFile(path.join(folder, `${name}.yaml`))]));
const houseOf = (name: string): House => houses.get(name)!;
const files = readdirSync(folder).filter((name) => name.endsWith(".jsonl"));
const sentencesOf = (file: string): Sentence[] =>
  readSentences(path.join(folder, file)).map((sentence) => ({ house: file.replace(".jsonl", ""), ...sentence }));
const heldout = names.flatMap((name) => sentencesOf(`${name}.jsonl`));

it.each(names)("%s is a sound house", (name) => {
  expect(checkHouseFile(path.join(folder, `${name}.yaml`)).problems).toEqual([]);
});

describe.each(files)("%s", (file) => {
  const sentences = sentencesOf(file);

  it("every label can be executed in its house", () => {
    const faults = sentences.flatMap((sentence) =>
      rightAnswers(sentence).flatMap((intents) =>
        impossible(houseOf(sentence.house!), intents, sentence.area).map((fault) => `${sentence.text}: ${fault}`),
      ),
    );
    expect(faults).toEqual([]);
  });

  it("areas of satellites exist, kinds are given, nothing is there twice", () => {
    const strange = sentences.filter(
      ({ area, kinds, house }) =>
        kinds.length === 0 || (area !== undefined && called(houseOf(house!).areas, area).length !== 1),
    );
    expect(strange).toEqual([]);
    const keys = sentences.map(({ text, area, house }) => `${house} ${area}: ${text}`);
    expect(keys.filter((key, i) => keys.indexOf(key) < i)).toEqual([]);
  });
});

it("is large enough to judge by, houses and kinds of fault alike", () => {
  expect(names.length).toBeGreaterThanOrEqual(5);
  expect(heldout.length).toBeGreaterThanOrEqual(450);
  expect(heldout.filter(isSmallTalk).length).toBeGreaterThanOrEqual(110);
  const faults = heldout
    .flatMap(({ kinds }) => kinds)
    .filter((kind) => !["plain", "respond", "nevermind"].includes(kind));
  const counts = [...new Set(faults)].map((kind): [string, number] => [kind, faults.filter((k) => k === kind).length]);
  expect(counts.length).toBeGreaterThanOrEqual(27);
  expect(counts.filter(([, count]) => count < 15)).toEqual([]);
});
