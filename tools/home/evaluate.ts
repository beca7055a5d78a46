#!/usr/bin/env node
/** `npm run eval:home`: how well home commands are understood, on sentences that nobody trained on. */

import { existsSync, readdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { readHouseFile } from "../../devices/node/home/index.ts";
import { PiPhiError } from "../../runtime/errors.ts";
import { reportError } from "../report.ts";
import { hassilVersions, READERS, type Reader, type ReaderName, readerOf } from "./readers.ts";
import { judge, score, type Verdict } from "./score.ts";
import { readSentences, type Sentence } from "./sentences.ts";
import { report } from "./table.ts";

const HELP = `npm run eval:home -- [--house FILE] [--sentences FILE] [--reader LIST] [--python PATH] [--wrong N] [--json]

  --house FILE       house.yaml of every sentence that names none
  --sentences FILE   one JSON document a line; default: all five held-out houses (not spoken, fresh and blind.jsonl)
  --reader LIST      ${READERS.join(", ")}, separated by commas; default piphi
  --python PATH      a Python with tools/home/requirements.txt, for hassil; default python3
  --wrong N          shows the first N wrong answers of each reader
  --json             prints the scores as JSON`;

/** From dist/tools/home/ to the repository. */
const root = fileURLToPath(new URL("../../../", import.meta.url));
const heldout = path.join(root, "tools/home/heldout");

interface Exam {
  readonly houseFile: string;
  readonly sentences: Sentence[];
}

/** Sentences by the house that they were said in. */
function exams(house: string | undefined, file: string | undefined): Exam[] {
  const files = file
    ? [file]
    : readdirSync(heldout).filter(
        (name) => name.endsWith(".jsonl") && existsSync(path.join(heldout, name.replace(/jsonl$/, "yaml"))),
      );
  const byHouse = new Map<string, Sentence[]>();
  for (const name of files.map((each) => (file ? each : path.join(heldout, each)))) {
    for (const sentence of readSentences(name)) {
      const named = sentence.house && path.join(path.dirname(name), `${sentence.house}.yaml`);
      const houseFile = named ?? house ?? name.replace(/\.jsonl$/, ".yaml");
      byHouse.set(houseFile, [...(byHouse.get(houseFile) ?? []), sentence]);
    }
  }
  return [...byHouse].map(([houseFile, sentences]) => ({ houseFile, sentences }));
}

async function examine(reader: Reader, all: readonly Exam[]): Promise<Verdict[]> {
  const verdicts: Verdict[] = [];
  for (const { houseFile, sentences } of all) {
    const house = readHouseFile(houseFile);
    const answers = await reader(
      houseFile,
      sentences.map(({ text, area }) => ({ text, area })),
    );
    verdicts.push(...sentences.map((sentence, i) => judge(house, sentence, answers[i])));
  }
  return verdicts;
}

function readersNamed(list: string): ReaderName[] {
  return list.split(",").map((name) => {
    const known = READERS.find((reader) => reader === name.trim());
    if (known === undefined)
      throw new PiPhiError("E_USAGE", `There is no reader "${name}". Choose from ${READERS.join(", ")}.`);
    return known;
  });
}

const showWrong = (reader: string, verdicts: readonly Verdict[], most: number): string =>
  verdicts
    .filter(({ same }) => !same)
    .slice(0, most)
    .map(({ sentence: { text, area, intents }, answer }) =>
      [
        `${reader}: ${text}${area ? ` [${area}]` : ""}`,
        `  right ${JSON.stringify(intents)}`,
        `  given ${JSON.stringify(answer.intents)}`,
      ].join("\n"),
    )
    .join("\n");

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      house: { type: "string" },
      sentences: { type: "string" },
      reader: { type: "string", default: "piphi" },
      python: { type: "string", default: "python3" },
      wrong: { type: "string", default: "0" },
      json: { type: "boolean", default: false },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return console.log(HELP);
  const all = exams(values.house, values.sentences);
  const columns = [];
  for (const name of readersNamed(values.reader)) {
    const verdicts = await examine(readerOf(name, root, values.python), all);
    if (Number(values.wrong) > 0) console.error(showWrong(name, verdicts, Number(values.wrong)));
    columns.push([name, score(verdicts)] as const);
  }
  const peers = columns.some(([name]) => name === "hassil")
    ? `\n\nBeside it: ${hassilVersions(root, values.python)}.`
    : "";
  console.log(values.json ? JSON.stringify(Object.fromEntries(columns)) : report(columns) + peers);
}

try {
  await main();
} catch (error) {
  process.exitCode = reportError(error, false, process);
}
