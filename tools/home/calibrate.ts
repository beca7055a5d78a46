#!/usr/bin/env node
/**
 * `npm run calibrate:home -- HOUSES.jsonl`: below which confidence an answer is better not carried out. Judged on sentences that
 * tools/train/generate.py makes from a seed that no training used, never on the held-out ones.
 */

import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type House, readHouse, understand, unload } from "../../devices/node/home/index.ts";
import { reportError } from "../report.ts";
import { type Intent, type SlotValue, sameEffect } from "./effect.ts";

const HELP = `npm run calibrate:home -- HOUSES.jsonl [--cost N]

  HOUSES.jsonl   what tools/train/generate.py wrote, from a seed of its own
  --cost N       how many commands that are carried out rightly make good for one that is carried out wrongly; default 1`;

/** A slot as generate.py writes it. */
interface Gold {
  readonly id?: string;
  readonly value?: string;
  readonly number?: number;
  readonly minus?: boolean;
  readonly text?: string;
}
interface Made {
  readonly text: string;
  readonly area: string | null;
  readonly commands: readonly { readonly intent: string; readonly slots: Readonly<Record<string, Gold>> }[];
}
/** An answer of the model that says that something is to be done. */
interface Answer {
  readonly confidence: number;
  readonly right: boolean;
}

/** As a document: generate.py writes houses as the runtime holds them. */
const documentOf = ({ entities, ...rest }: House) => ({
  ...rest,
  entities: entities.map(({ id, name, aliases, area, deviceClass }) => ({
    id,
    name,
    aliases,
    area,
    device_class: deviceClass,
  })),
});

function slotOf(slot: string, gold: Gold, house: House, heard?: string): SlotValue {
  const { id, value, number, minus, text } = gold;
  if (slot === "area" || slot === "floor") {
    const places = slot === "area" ? house.areas : house.floors;
    return places.find((place) => place.id === (value === "here" ? heard : id))?.name ?? "";
  }
  if (slot === "dim") return { min: 1, max: 70 };
  return id ?? text ?? value ?? (minus ? -number! : number!);
}

/** The intents that are right; undefined where they are spelled out otherwise than the label, as exceptions are. */
function goldOf({ commands, area }: Made, house: House): Intent[] | undefined {
  if (commands.some(({ slots }) => "except" in slots)) return undefined;
  return commands.map(({ intent, slots }) => ({
    name: intent,
    slots: Object.fromEntries(
      Object.entries(slots).map(([slot, gold]) => [
        slot === "dim" ? "brightness" : slot,
        slotOf(slot, gold, house, area ?? undefined),
      ]),
    ),
  }));
}

async function answersTo(line: string): Promise<Answer[]> {
  const { house: made, sentences } = JSON.parse(line) as { house: House; sentences: Made[] };
  const house = readHouse(documentOf(made));
  const answers: Answer[] = [];
  for (const sentence of sentences) {
    const gold = goldOf(sentence, house);
    if (!gold) continue;
    const { confidence, explanation } = await understand(sentence.text, {
      house,
      area: sentence.area ?? undefined,
      explain: true,
    });
    const { meant, answer } = explanation!;
    const heard = house.areas.find(({ id }) => id === sentence.area)?.name;
    if (meant.length > 0 && answer.length > 0)
      answers.push({ confidence, right: sameEffect(house, gold, meant, heard) });
  }
  return answers;
}

/** Rows of a table: what each threshold does, and what it is worth. */
function thresholds(answers: readonly Answer[], cost: number) {
  return Array.from({ length: 20 }, (_, i) => {
    const threshold = i / 20;
    const done = answers.filter(({ confidence }) => confidence >= threshold);
    const right = done.filter((one) => one.right).length;
    const refused = answers.filter((one) => one.right && one.confidence < threshold).length;
    return { threshold, right, wrong: done.length - right, refused, worth: right - cost * (done.length - right) };
  });
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { cost: { type: "string", default: "1" }, help: { type: "boolean", default: false } },
  });
  if (values.help || positionals.length !== 1) return console.log(HELP);
  const answers: Answer[] = [];
  for (const line of readFileSync(positionals[0], "utf8").split("\n").filter(Boolean))
    answers.push(...(await answersTo(line)));
  await unload();
  const rows = thresholds(answers, Number(values.cost));
  const best = Math.max(...rows.map(({ worth }) => worth));
  console.log("| threshold | done rightly | done wrongly | right but refused | worth |\n|---|---|---|---|---|");
  for (const { threshold, right, wrong, refused, worth } of rows) {
    const mark = worth === best ? " (best)" : "";
    console.log(`| ${threshold.toFixed(2)} | ${right} | ${wrong} | ${refused} | ${worth}${mark} |`);
  }
}

try {
  await main();
} catch (error) {
  process.exitCode = reportError(error, false, process);
}
